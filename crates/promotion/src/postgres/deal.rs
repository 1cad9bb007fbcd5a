//! Deals as they were ordered.

use kit::postgres::{Failure, Pool, Tx};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::deal::{DealId, Prize, RequestId, Terms, Wish};

/// A deal's row.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was ordered.
    pub wish: Wish,
    /// Counts what was ordered.
    pub version: i64,
    /// The stock that was last ordered; `wish` has the one in force.
    pub wanted_stock: i64,
    /// Whether it is known to be in Redis: then it is never put there again.
    pub armed: bool,
    /// Whether Redis has decided on the newest order.
    pub applied: bool,
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
    let new = sqlx::query!(
        "INSERT INTO promotion.deal (deal_id, tag, venue_id, state, version, title, stock, wanted_stock, opens_at, closes_at,
           prize, pass_required)
         VALUES ($1, $2, $3, 'CREATED', 1, $4, $5, $5, $6, $7, $8, $9) ON CONFLICT (deal_id) DO NOTHING",
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
    .execute(&mut *tx)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(Created::Exists);
    }
    kit::postgres::commit(tx).await?;
    let row = Row { wish: wish.clone(), version: 1, wanted_stock: wish.stock, armed: false, applied: false };
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

/// Writes down what is wished for. None where there is no such deal.
pub async fn wish(pool: &Pool, deal_id: &DealId, stock: i64) -> Result<Option<Row>, Failure> {
    let row = sqlx::query_as!(
        Columns,
        r#"UPDATE promotion.deal SET version = version + 1, wanted_stock = $2 WHERE deal_id = $1
           RETURNING deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required"#,
        deal_id.as_str(),
        stock,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(Columns::into_row))
}

/// Notes what Redis has decided on an order, and on all before it.
pub async fn applied(pool: &Pool, deal_id: &DealId, version: i64, stock: i64) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE promotion.deal SET applied = $2, stock = greatest(stock, $3) WHERE deal_id = $1 AND applied < $2",
        deal_id.as_str(),
        version,
        stock,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether such a deal was ever made.
pub async fn exists(pool: &Pool, deal_id: &DealId) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM promotion.deal WHERE deal_id = $1) AS "exists!""#,
        deal_id.as_str()
    )
    .fetch_one(pool)
    .await?)
}

/// The deal's row.
pub async fn get(pool: &Pool, deal_id: &DealId) -> Result<Option<Row>, Failure> {
    row(pool, deal_id.as_str()).await
}

/// Deals of which something was begun and is not known to be finished.
pub async fn pending(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Row>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock,
             opens_at, closes_at, prize AS "prize: Json<Prize>",
             pass_required
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
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock,
             opens_at, closes_at, prize AS "prize: Json<Prize>",
             pass_required
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
        Some(Row {
            wish,
            version: self.version,
            wanted_stock: self.wanted_stock,
            armed: self.state == "ARMED",
            applied: self.applied >= self.version,
        })
    }
}
