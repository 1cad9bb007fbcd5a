//! Counting: what was heard of orders becomes sums. A batch is folded to one sale for each order; what that turns is folded to one
//! change for each item and day.

use kit::postgres::{Failure, Tx};

use crate::postgres::{all_time, day, sale};
use crate::sale::{Changes, Sale, fold};

/// Writes down what was heard, in the transaction of the inbox. A sale counts once, from when it was paid on and until it is
/// cancelled, whichever of the two is heard of first, and however often.
///
/// # Errors
/// PostgreSQL is away, or refuses a row: it is the last judge.
pub async fn sales(tx: &mut Tx, heard: Vec<Sale>) -> Result<(), Failure> {
    let sales = fold(heard);
    if sales.is_empty() {
        return Ok(());
    }
    let changes = Changes::of(&sale::note(tx, &sales).await?);
    day::change(tx, &changes.days).await?;
    all_time::change(tx, &changes.all_time).await
}
