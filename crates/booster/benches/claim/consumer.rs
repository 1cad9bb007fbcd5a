//! The consumer into PostgreSQL, against plain inserts into a table like the one that it fills. It reads what the rounds have
//! left in Kafka, each time as a consumer that is new, into a database that is new.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bus::consumer::{Consumer, Effects};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::Told;
use kit::postgres::Tx;
use promotion::kafka::Records;
use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use trial::bench::{Figure, per_second};
use trial::ground::Ground;

use crate::args::Size;
use crate::bare::process;
use crate::stage::Stage;

/// Rows of one plain insert.
const ROWS: u64 = 500;
/// How long one turn may take.
const MOST: Duration = Duration::from_secs(60);

/// Rows a second.
pub struct Consumed {
    pub consumer: Vec<f64>,
    pub inserts: Vec<f64>,
}

impl Consumed {
    pub fn figure(&self) -> Figure {
        let ratios: Vec<f64> = self.consumer.iter().zip(&self.inserts).map(|(rows, plain)| rows / plain).collect();
        Figure::of("claim/consumer", "consumer, rows/s / plain UNNEST inserts of 500 rows, rows/s", &ratios)
    }
}

/// Both in turns, each first in every other round.
pub async fn measure(stage: &Stage, size: &Size) -> anyhow::Result<Consumed> {
    let mut consumed = Consumed { consumer: Vec::new(), inserts: Vec::new() };
    for round in 0..size.consumer_rounds {
        let ground = Ground::new("bench-consumer").await;
        if round % 2 == 0 {
            consumed.consumer.push(consumer(stage, &ground, size.rows).await?);
            consumed.inserts.push(inserts(&ground, size.rows).await?);
        } else {
            consumed.inserts.push(inserts(&ground, size.rows).await?);
            consumed.consumer.push(consumer(stage, &ground, size.rows).await?);
        }
        ground.end().await;
    }
    Ok(consumed)
}

/// The effects of the service, with a watch beside them.
struct Timed {
    effects: Records,
    seen: Arc<Mutex<Seen>>,
    wanted: u64,
    enough: watch::Sender<bool>,
}

/// From the moment at which the first batch has reached its effects to the moment at which the last one has: as many whole
/// turns of the consumer as batches, and their events.
#[derive(Default)]
struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    events: u64,
    newest: u64,
}

impl Effects for Timed {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            seen.first.get_or_insert(now);
            if seen.events < self.wanted {
                seen.last = Some(now);
                seen.events += seen.newest;
                seen.newest = events.len() as u64;
            } else {
                self.enough.send_replace(true);
            }
        }
        self.effects.apply(tx, events).await
    }
}

async fn consumer(stage: &Stage, ground: &Ground, rows: u64) -> anyhow::Result<f64> {
    let servers = ground.servers();
    let process = process().await?;
    let (enough, mut told) = watch::channel(false);
    let seen = Arc::default();
    let effects = Timed { effects: Records, seen: Arc::clone(&seen), wanted: rows, enough };
    let pool = kit::postgres::connect(&servers, promotion::SERVICE).await?;
    // The topic is that of the rounds, and the group is new each time.
    let (topic, name) = (bus::topic::name(promotion::SERVICE), servers.prefixed(promotion::SERVICE));
    let consumer = Consumer::new(&name, promotion::SERVICE, vec![topic], effects);
    bus::consumer::spawn(&process, &stage.ground.servers(), pool.clone(), consumer)?;
    let consumed = async {
        let done = tokio::time::timeout(MOST, told.wait_for(|enough| *enough)).await;
        process.stop();
        done.map(drop).context("the consumer has not read enough")
    };
    let (_code, done) = tokio::join!(process.clone().run_to_end(), consumed);
    done?;
    pool.close().await;
    let seen: std::sync::MutexGuard<'_, Seen> = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let (first, last) = seen.first.zip(seen.last).context("the consumer has read nothing")?;
    ensure!(seen.events >= rows, "the consumer has read {} of {rows} events", seen.events);
    Ok(per_second(seen.events, last - first))
}

/// Rows as a plain program would insert them: by column, 500 in a statement, one statement after the other.
struct Rows {
    deal_ids: Vec<String>,
    ranks: Vec<i64>,
    user_ids: Vec<String>,
    venue_ids: Vec<String>,
    prizes: Vec<Json<serde_json::Value>>,
    states: Vec<String>,
    versions: Vec<i64>,
    claimed_at: Vec<OffsetDateTime>,
}

impl Rows {
    fn new(first: u64, number: u64) -> Self {
        let ranks: Vec<i64> = (first..first + number).map(|rank| rank.cast_signed() + 1).collect();
        let prize = serde_json::json!({ "discount": { "off": { "percent": 10 }, "max_amount": null,
            "min_order": null, "valid_for_seconds": null } });
        Self {
            deal_ids: ranks.iter().map(|_| "accepted-fsync-4x64-1".to_owned()).collect(),
            user_ids: (first..first + number).map(crate::client::name).collect(),
            venue_ids: ranks.iter().map(|_| "bench".to_owned()).collect(),
            prizes: ranks.iter().map(|_| Json(prize.clone())).collect(),
            states: ranks.iter().map(|_| "ISSUED".to_owned()).collect(),
            versions: ranks.iter().map(|_| 1).collect(),
            claimed_at: ranks.iter().map(|_| kit::clock::now()).collect(),
            ranks,
        }
    }
}

async fn inserts(ground: &Ground, rows: u64) -> anyhow::Result<f64> {
    let mut connection = PgConnection::connect(ground.admin_url().expose()).await.context("PostgreSQL")?;
    sqlx::raw_sql("CREATE TABLE promotion.plain (LIKE promotion.coupon INCLUDING ALL)")
        .execute(&mut connection)
        .await?;
    let begun = Instant::now();
    for first in (0..rows).step_by(usize::try_from(ROWS)?) {
        let rows = Rows::new(first, ROWS);
        sqlx::query(
            "INSERT INTO promotion.plain (deal_id, rank, user_id, seat, venue_id, prize, state, version, claimed_at)
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[], $2::bigint[], $4::text[], $5::jsonb[],
               $6::text[], $7::bigint[], $8::timestamptz[])",
        )
        .bind(&rows.deal_ids)
        .bind(&rows.ranks)
        .bind(&rows.user_ids)
        .bind(&rows.venue_ids)
        .bind(&rows.prizes)
        .bind(&rows.states)
        .bind(&rows.versions)
        .bind(&rows.claimed_at)
        .execute(&mut connection)
        .await?;
    }
    let rate = per_second(rows, begun.elapsed());
    connection.close().await?;
    Ok(rate)
}
