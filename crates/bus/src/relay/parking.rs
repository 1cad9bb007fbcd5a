//! What a relay cannot read is parked, under a name of its own, and what comes after it goes on.

use std::time::Duration;

use kit::postgres::{Pool, begin, commit};

use crate::postgres::parked::{self, Parked};

/// What the relays of a service may park; beyond it they wait where they stand.
const PARKED_MOST: i64 = 10_000;
/// Pause before a relay that waits for an operator looks again.
const PARKED_PAUSE: Duration = Duration::from_secs(10);

/// Parks it, once there is room. Returns whether it is new there.
pub(super) async fn park(pool: &Pool, service: &'static str, unreadable: &Parked) -> anyhow::Result<bool> {
    let name = parked::relay_name(service);
    loop {
        let mut tx = begin(pool).await?;
        if parked::count(&mut tx, &name).await? < PARKED_MOST {
            let new = parked::park(&mut tx, &name, unreadable).await?;
            commit(tx).await?;
            if new {
                metrics::counter!("booster_relay_parked_entries_total", "service" => service).increment(1);
            }
            return Ok(new);
        }
        tracing::error!(service, parked = PARKED_MOST, "so much is parked that this relay waits for an operator");
        tokio::time::sleep(PARKED_PAUSE).await;
    }
}
