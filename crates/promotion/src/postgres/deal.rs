//! Deals as they were ordered.

use kit::postgres::{Failure, Pool, Tx};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::deal::{Course, DealId, Patch, Prize, RequestId, Terms, Wish};
use crate::place::Place;

/// A deal's row.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was ordered.
    pub wish: Wish,
    /// Counts what was ordered.
    pub version: i64,
    /// What was last ordered; `wish` has what is in force.
    pub wanted: Patch,
    /// Whether it is known to be in Redis: then it is never put there again.
    pub armed: bool,
    /// Whether Redis has decided on the newest order.
    pub applied: bool,
    /// How it stood when its last coupon was over.
    pub course: Option<Course>,
    /// When it was written down.
    pub created_at: OffsetDateTime,
}

/// What PostgreSQL knows of a deal that Redis does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was never made.
    Unknown,
    /// It was made: Redis has lost it, or does not have it yet.
    Made,
    /// All of its coupons are over, and it has left Redis.
    Archived,
}

impl Row {
    /// Where it stands in a list.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::new(self.created_at, &self.wish.deal_id, 0)
    }
}

/// What became of an order for a new deal.
#[derive(Debug)]
pub enum Created {
    /// It is written down, now or by an earlier sending of the same request.
    Yes(Box<Row>),
    /// The request's id was used for something else.
    RequestIdReused,
    /// Another request made a deal of this name.
    Exists,
}

/// Writes the deal and its request down, in one transaction.
pub async fn create(
    pool: &Pool,
    wish: &Wish,
    tag: i16,
    request: Option<(&RequestId, &[u8])>,
) -> Result<Created, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    if let Some((request_id, digest)) = request {
        let new = sqlx::query!(
            "INSERT INTO promotion.request (request_id, digest, deal_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            request_id.as_str(),
            digest,
            wish.deal_id.as_str(),
        )
        .execute(&mut *tx)
        .await?;
        if new.rows_affected() == 0 {
            return repeated(&mut tx, request_id, digest).await;
        }
    }
    let created_at = sqlx::query_scalar!(
        "INSERT INTO promotion.deal (deal_id, tag, venue_id, state, version, title, stock, wanted_stock, opens_at, closes_at,
           prize, pass_required)
         VALUES ($1, $2, $3, 'CREATED', 1, $4, $5, $5, $6, $7, $8, $9) ON CONFLICT (deal_id) DO NOTHING RETURNING created_at",
        wish.deal_id.as_str(),
        tag,
        wish.terms.venue_id,
        wish.title,
        wish.stock,
        wish.opens_at,
        wish.closes_at,
        Json(&wish.terms.prize) as _,
        wish.pass_required,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(created_at) = created_at else { return Ok(Created::Exists) };
    kit::postgres::commit(tx).await?;
    let (wish, wanted) = (wish.clone(), Patch::default());
    let row = Row { wish, version: 1, wanted, armed: false, applied: false, course: None, created_at };
    Ok(Created::Yes(Box::new(row)))
}

/// The same request again answers the same deal.
async fn repeated(tx: &mut Tx, request_id: &RequestId, digest: &[u8]) -> Result<Created, Failure> {
    let made = sqlx::query!(
        r#"SELECT deal_id, digest = $2 AS "same!" FROM promotion.request WHERE request_id = $1"#,
        request_id.as_str(),
        digest,
    )
    .fetch_optional(&mut **tx)
    .await?;
    // It may have been forgotten in this very moment: a day is over.
    let Some(made) = made.filter(|made| made.same) else { return Ok(Created::RequestIdReused) };
    let row = row(&mut **tx, &made.deal_id).await?;
    Ok(row.map_or(Created::RequestIdReused, |row| Created::Yes(Box::new(row))))
}

/// Notes that the deal is in Redis, about to be armed there.
pub async fn armed(pool: &Pool, deal_id: &DealId) -> Result<(), Failure> {
    sqlx::query!("UPDATE promotion.deal SET state = 'ARMED' WHERE deal_id = $1", deal_id.as_str())
        .execute(pool)
        .await?;
    Ok(())
}

/// What is known of a deal that Redis does not have.
pub async fn fate(pool: &Pool, deal_id: &DealId) -> Result<Fate, Failure> {
    let archived = sqlx::query_scalar!(
        r#"SELECT archived_at IS NOT NULL AS "archived!" FROM promotion.deal WHERE deal_id = $1"#,
        deal_id.as_str()
    )
    .fetch_optional(pool)
    .await?;
    Ok(match archived {
        None => Fate::Unknown,
        Some(false) => Fate::Made,
        Some(true) => Fate::Archived,
    })
}

/// The deal's row.
pub async fn get(pool: &Pool, deal_id: &DealId) -> Result<Option<Row>, Failure> {
    row(pool, deal_id.as_str()).await
}

/// Forgets requests that are older than a day.
pub async fn forget_requests(pool: &Pool) -> Result<u64, Failure> {
    let gone = sqlx::query!("DELETE FROM promotion.request WHERE created_at < clock_timestamp() - interval '24 hours'")
        .execute(pool)
        .await?;
    Ok(gone.rows_affected())
}

async fn row(at: impl sqlx::PgExecutor<'_>, deal_id: &str) -> Result<Option<Row>, Failure> {
    let row = sqlx::query_as!(
        Columns,
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at
           FROM promotion.deal WHERE deal_id = $1"#,
        deal_id,
    )
    .fetch_optional(at)
    .await?;
    Ok(row.and_then(Columns::into_row))
}

/// What is wanted, and by which version.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    version: i64,
    patch: Patch,
}

/// A deal's row, as it is read.
pub(super) struct Columns {
    pub(super) deal_id: String,
    pub(super) venue_id: String,
    pub(super) state: String,
    pub(super) version: i64,
    pub(super) applied: i64,
    pub(super) title: String,
    pub(super) stock: i64,
    pub(super) wanted_stock: i64,
    pub(super) opens_at: OffsetDateTime,
    pub(super) closes_at: OffsetDateTime,
    pub(super) prize: Json<Prize>,
    pub(super) pass_required: bool,
    pub(super) wanted: Option<Json<Wanted>>,
    pub(super) course: Option<Json<Course>>,
    pub(super) created_at: OffsetDateTime,
}

impl Columns {
    /// The table's own checks hold the shape of an id.
    pub(super) fn into_row(self) -> Option<Row> {
        let wish = Wish {
            deal_id: DealId::parse(&self.deal_id).ok()?,
            title: self.title,
            terms: Terms { venue_id: self.venue_id, prize: self.prize.0 },
            stock: self.stock,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            pass_required: self.pass_required,
        };
        // A process of before writes its orders down without a patch.
        let of_before = Patch { stock: Some(self.wanted_stock), ..Patch::default() };
        let wanted = self.wanted.filter(|wanted| wanted.version == self.version);
        Some(Row {
            wish,
            version: self.version,
            wanted: wanted.map_or(of_before, |wanted| wanted.0.patch),
            course: self.course.map(|course| course.0),
            created_at: self.created_at,
            armed: self.state == "ARMED",
            applied: self.applied >= self.version,
        })
    }
}
