//! Lists, page by page, from PostgreSQL; deals as they stand now.

use futures::{StreamExt as _, TryStreamExt as _};
use kit::error::Error;
use kit::postgres::Pool;

use crate::coupon::{Coupon, State};
use crate::deal::{self, Deal, DealId, Refusal, UserId, VenueId};
use crate::place::Place;
use crate::postgres::coupon as rows;
use crate::postgres::deal::Row;
use crate::postgres::list as deal_rows;
use crate::redis::Deals;

/// Deals looked at for one page, at most: where few are in the state asked for, the page is shorter, and the next one goes on.
const LOOKS_MOST: usize = 1_000;
/// Deals read from PostgreSQL at once, at most.
const READ_MOST: usize = 200;
/// Deals looked at side by side.
const LOOKS_AT_ONCE: usize = 32;

/// Whose coupons are asked for.
#[derive(Debug, Clone)]
pub enum Of {
    /// One user's, newest first.
    User(UserId),
    /// One deal's, highest rank first.
    Deal(DealId),
}

/// One page.
#[derive(Debug)]
pub struct Listed<T> {
    /// What is on it.
    pub found: Vec<T>,
    /// After which place the next one begins; none where this was the last.
    pub next: Option<Place>,
}

/// One page of coupons.
///
/// # Errors
/// [`Error::Unavailable`] where PostgreSQL is away.
pub async fn coupons(
    pool: &Pool,
    of: &Of,
    state: Option<State>,
    after: Option<&Place>,
    size: usize,
) -> Result<Listed<Coupon>, Error<Refusal>> {
    // One more than is needed tells whether there is another page.
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let mut found = match of {
        Of::User(user_id) => rows::of_user(pool, user_id, state, after, limit).await?,
        Of::Deal(deal_id) => rows::of_deal(pool, deal_id, state, after, limit).await?,
    };
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(Coupon::place);
    Ok(Listed { found, next })
}

/// One page of deals, of one venue or of all, in one state or in any.
///
/// # Errors
/// [`Error::Unavailable`] where a store is away.
pub async fn deals(
    pool: &Pool,
    deals: &Deals,
    (venue_id, state): (Option<&VenueId>, Option<deal::State>),
    mut after: Option<Place>,
    size: usize,
) -> Result<Listed<Deal>, Error<Refusal>> {
    let (mut found, mut looks) = (Vec::new(), 0);
    let mut limit = size.min(READ_MOST);
    while looks < LOOKS_MOST {
        // One more than is needed tells whether there is another page.
        let asked = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let mut rows = deal_rows::page(pool, venue_id, after.as_ref(), asked).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        looks += rows.len();
        let places: Vec<Place> = rows.iter().map(Row::place).collect();
        let standing = futures::stream::iter(rows).map(|row| super::standing(pool, deals, row)).buffered(LOOKS_AT_ONCE);
        let standing: Vec<Deal> = standing.try_collect().await?;
        for (place, deal) in places.into_iter().zip(standing) {
            if state.is_none_or(|state| deal.state() == state) {
                if found.len() == size {
                    return Ok(Listed { found, next: after });
                }
                found.push(deal);
            }
            after = Some(place);
        }
        if !more {
            return Ok(Listed { found, next: None });
        }
        if found.len() == size {
            break;
        }
        // Few are in the state asked for: what is read next is not as little as what is missing.
        limit = (limit * 2).min(READ_MOST);
    }
    Ok(Listed { found, next: after })
}
