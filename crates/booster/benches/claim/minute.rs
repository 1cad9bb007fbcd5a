//! Claims and all that comes after them: a burst until the last of it is in PostgreSQL, and a minute of claims on machines
//! that also do everything else.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::config::Durability;
use trial::bench::{Enough, Sample};

use crate::args::Size;
use crate::client::{Expected, RUSH};
use crate::stage::Stage;

/// How often it is said how far PostgreSQL is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A burst of claims.
pub struct Burst {
    /// The claims.
    pub claims: Sample,
    /// From the first claim until all of it was in PostgreSQL.
    pub stored: Duration,
}

/// So many claims as fast as they are answered; then everything that comes after them.
pub async fn burst(stage: &Stage, size: &Size) -> anyhow::Result<Burst> {
    stage.set(Durability::Fsync).await?;
    stage.deal("burst").await?;
    let callers = stage.accepted(RUSH, "burst", Expected::Coupon).await?;
    let begun = Instant::now();
    let claims = stage.sample(callers, Enough::Calls(size.burst)).await?;
    stage.arrived("burst", size.burst).await?;
    Ok(Burst { claims, stored: begun.elapsed() })
}

/// A minute of claims, one as the other.
pub struct Minute {
    /// All calls, those among them that found no room.
    pub claims: Sample,
    /// Coupons that were issued in the minute.
    pub won: u64,
    /// Coupons that were in PostgreSQL when it ended.
    pub stored: u64,
    /// From the first claim until all were.
    pub all_stored: Duration,
    /// CPU seconds until then.
    pub spent: trial::bench::Spent,
}

/// A minute of claims, as many as are answered. Whoever finds no room comes back a little later.
pub async fn measure(stage: &Stage, size: &Size, say: impl Fn(&str)) -> anyhow::Result<Minute> {
    stage.set(Durability::Fsync).await?;
    stage.deal("minute").await?;
    let callers = stage.accepted(RUSH, "minute", Expected::CouponIfRoom).await?;
    let won = callers.first().map(|caller| caller.won.clone()).unwrap_or_default();
    let before = stage.watched.look()?;
    let begun = Instant::now();
    let claims = async {
        let claims = stage.sample(callers, Enough::Time(size.minute)).await?;
        anyhow::Ok((claims, stage.stored("minute").await?))
    };
    let (claims, stored) = tokio::select! {
        done = claims => done?,
        never = tell(stage, &won, say) => match never {},
    };
    let won = won.load(Ordering::Relaxed);
    stage.arrived("minute", won).await?;
    let spent = stage.watched.look()?.since(&before);
    Ok(Minute { claims, won, stored, all_stored: begun.elapsed(), spent })
}

/// Says how far it is, now and then, until nobody listens any more.
async fn tell(stage: &Stage, won: &AtomicU64, say: impl Fn(&str)) -> Infallible {
    loop {
        tokio::time::sleep(SAY_EVERY).await;
        if let Ok(stored) = stage.stored("minute").await {
            say(&format!("{} claims, {stored} in PostgreSQL", won.load(Ordering::Relaxed)));
        }
    }
}
