//! Deals as they were ordered.

use kit::postgres::{Failure, Pool, Tx};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::deal::{Course, DealId, Decision, Patch, Prize, RequestId, Terms, Updated, VenueId, Wish};

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

/// What became of an order to change a deal.
#[derive(Debug)]
pub enum Wished {
    /// It is written down.
    Yes(Box<Row>),
    /// An order before it is still to be decided on, which comes first.
    NotYet(Box<Row>),
    /// There is no such deal.
    NotFound,
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

/// Where a page of deals begins: after this one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct After {
    /// When it was written down, in microseconds.
    pub created_us: i64,
    /// Its name.
    pub deal_id: String,
}

impl Row {
    /// Where it stands in a list.
    #[must_use]
    pub fn place(&self) -> After {
        let micros = self.created_at.unix_timestamp_nanos() / 1_000;
        After { created_us: i64::try_from(micros).unwrap_or_default(), deal_id: self.wish.deal_id.to_string() }
    }
}

/// What is wanted, and by which version.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    version: i64,
    patch: Patch,
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

/// Writes an order down, if the one before it has been decided on: so no order is ever overwritten by another.
pub async fn wish(pool: &Pool, deal_id: &DealId, patch: &Patch) -> Result<Wished, Failure> {
    let row = sqlx::query_as!(
        Columns,
        r#"UPDATE promotion.deal
           SET version = version + 1, wanted = jsonb_build_object('version', version + 1, 'patch', $2::jsonb),
             wanted_stock = coalesce($3, stock)
           WHERE deal_id = $1 AND state = 'ARMED' AND applied = version
           RETURNING deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at"#,
        deal_id.as_str(),
        Json(patch) as _,
        patch.stock,
    )
    .fetch_optional(pool)
    .await?;
    if let Some(row) = row.and_then(Columns::into_row) {
        return Ok(Wished::Yes(Box::new(row)));
    }
    Ok(get(pool, deal_id).await?.map_or(Wished::NotFound, |row| Wished::NotYet(Box::new(row))))
}

/// Notes what Redis has decided on an order, and what is in force since; `title` is the new one, if it was one and is granted.
pub async fn applied(pool: &Pool, row: &Row, updated: &Updated) -> Result<(), Failure> {
    let title = row.wanted.title.as_deref().filter(|_| updated.decision == Decision::Done);
    sqlx::query!(
        "UPDATE promotion.deal SET applied = $2, title = coalesce($3, title), stock = $4, opens_at = $5, closes_at = $6,
           prize = $7, pass_required = $8
         WHERE deal_id = $1 AND applied < $2",
        row.wish.deal_id.as_str(),
        row.version,
        title,
        updated.stock,
        kit::clock::from_millis(updated.opens_ms),
        kit::clock::from_millis(updated.closes_ms),
        Json(&updated.terms.prize) as _,
        updated.pass_required,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that an order came when the deal was archived: nothing of it can be changed.
pub async fn passed(pool: &Pool, row: &Row) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE promotion.deal SET applied = $2 WHERE deal_id = $1 AND applied < $2",
        row.wish.deal_id.as_str(),
        row.version,
    )
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

/// Deals, newest first.
pub async fn page(
    pool: &Pool,
    venue_id: Option<&VenueId>,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<Row>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at
           FROM promotion.deal
           WHERE ($1::text IS NULL OR venue_id = $1)
             AND ($2::timestamptz IS NULL OR (created_at, deal_id) < ($2, $3))
           ORDER BY created_at DESC, deal_id DESC LIMIT $4"#,
        venue_id.map(VenueId::as_str),
        after.map(|after| instant(after.created_us)),
        after.map(|after| after.deal_id.as_str()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_row).collect())
}

fn instant(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The deal's row.
pub async fn get(pool: &Pool, deal_id: &DealId) -> Result<Option<Row>, Failure> {
    row(pool, deal_id.as_str()).await
}

/// Deals of which something was begun and is not known to be finished.
pub async fn pending(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Row>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at
           FROM promotion.deal
           WHERE (state = 'CREATED' OR applied < version) AND deal_id > $1 AND created_at < clock_timestamp() - interval '2 seconds'
           ORDER BY deal_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_row).collect())
}

/// Names of deals after `after`, in their order.
pub async fn names(pool: &Pool, after: &str, limit: i64) -> Result<Vec<DealId>, Failure> {
    let names = sqlx::query_scalar!(
        "SELECT deal_id FROM promotion.deal WHERE deal_id > $1 ORDER BY deal_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(names.iter().filter_map(|name| DealId::parse(name).ok()).collect())
}

/// Names of deals after `after` that have neither come to their end nor left Redis, in their order.
pub async fn current(pool: &Pool, after: &str, limit: i64) -> Result<Vec<DealId>, Failure> {
    let names = sqlx::query_scalar!(
        "SELECT deal_id FROM promotion.deal WHERE closes_at > now() AND archived_at IS NULL AND deal_id > $1
         ORDER BY deal_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(names.iter().filter_map(|name| DealId::parse(name).ok()).collect())
}

/// How many deals have come to their end, or have left Redis.
pub async fn over(pool: &Pool) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "over!" FROM promotion.deal WHERE closes_at <= now() OR archived_at IS NOT NULL"#
    )
    .fetch_one(pool)
    .await?)
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

struct Columns {
    deal_id: String,
    venue_id: String,
    state: String,
    version: i64,
    applied: i64,
    title: String,
    stock: i64,
    wanted_stock: i64,
    opens_at: OffsetDateTime,
    closes_at: OffsetDateTime,
    prize: Json<Prize>,
    pass_required: bool,
    wanted: Option<Json<Wanted>>,
    course: Option<Json<Course>>,
    created_at: OffsetDateTime,
}

impl Columns {
    /// The table's own checks hold the shape of an id.
    fn into_row(self) -> Option<Row> {
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
