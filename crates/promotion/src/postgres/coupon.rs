//! Coupons as they have arrived: one row for each yes.

use kit::postgres::{Failure, Pool, Tx};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::coupon::{Coupon, State};
use crate::deal::{DealId, Prize, UserId};
use crate::place::Place;

/// A coupon to write down: its state after a change, and the version of that change.
#[derive(Debug, Clone)]
pub struct Change {
    /// The coupon after the change.
    pub coupon: Coupon,
    /// The place among the stock that it occupies.
    pub seat: i64,
    /// Counts the coupon's changes.
    pub version: i64,
    /// Whether it is stored as returned only because a higher rank sits on its seat.
    pub inferred: bool,
}

/// Writes the changes down; a row that is newer stays as it is. One change per coupon. One whose seat a higher rank has
/// already taken is stored as returned: its own return is still on the way. A rank that somebody else has is refused (no user is
/// not a user): the event is wrong, or the row is.
pub async fn upsert(tx: &mut Tx, changes: &[Change]) -> Result<(), Failure> {
    let columns = Columns::of(changes);
    sqlx::query!(
        r#"INSERT INTO promotion.coupon AS mine (deal_id, rank, user_id, seat, venue_id, prize, state, version,
             claimed_at, expires_at, order_id, inferred)
           SELECT new.deal_id, new.rank, new.user_id, new.seat, new.venue_id, new.prize,
             CASE WHEN overtaken THEN 'RETURNED' ELSE new.state END, new.version, new.claimed_at, new.expires_at,
             new.order_id, new.inferred OR overtaken
           FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::jsonb[], $7::text[],
             $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::boolean[])
             AS new (deal_id, rank, user_id, seat, venue_id, prize, state, version, claimed_at, expires_at, order_id,
               inferred)
           CROSS JOIN LATERAL (SELECT new.state <> 'RETURNED' AND EXISTS (
             SELECT FROM promotion.coupon AS other
             WHERE other.deal_id = new.deal_id AND other.seat = new.seat AND other.rank > new.rank
               AND other.state <> 'RETURNED') AS overtaken) AS seat
           ON CONFLICT (deal_id, rank) DO UPDATE SET state = excluded.state, version = excluded.version,
             order_id = excluded.order_id, inferred = excluded.inferred,
             user_id = CASE WHEN mine.user_id = excluded.user_id THEN mine.user_id END
           WHERE mine.version < excluded.version OR mine.user_id <> excluded.user_id"#,
        &columns.deal_ids,
        &columns.ranks,
        &columns.user_ids,
        &columns.seats,
        &columns.venue_ids,
        &columns.prizes as _,
        &columns.states,
        &columns.versions,
        &columns.claimed_at,
        &columns.expires_at as _,
        &columns.order_ids as _,
        &columns.inferred,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Retires whoever sits on a seat that a higher rank among `changes` has taken: his return has happened, and its event
/// is still on the way.
pub async fn retire(tx: &mut Tx, changes: &[Change]) -> Result<(), Failure> {
    let (mut deal_ids, mut ranks, mut seats) = (Vec::new(), Vec::new(), Vec::new());
    for Change { coupon, seat, .. } in changes.iter().filter(|change| may_follow_another(change)) {
        deal_ids.push(coupon.deal_id.to_string());
        ranks.push(coupon.rank);
        seats.push(*seat);
    }
    if deal_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE promotion.coupon AS old SET state = 'RETURNED', inferred = true
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS new (deal_id, rank, seat)
         WHERE old.deal_id = new.deal_id AND old.seat = new.seat AND old.rank < new.rank AND old.state <> 'RETURNED'",
        &deal_ids,
        &ranks,
        &seats,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether somebody may have sat there before. Seats are counted up with the ranks until the first one is freed, and never
/// overtake them: where both are the same, nobody has. In a deal without returns nothing needs to be looked for.
fn may_follow_another(change: &Change) -> bool {
    change.coupon.state != State::Returned && change.seat != change.coupon.rank
}

/// One user's coupons, newest first.
pub async fn of_user(
    pool: &Pool,
    user_id: &UserId,
    state: Option<State>,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Coupon>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT deal_id, rank, user_id, venue_id, prize AS "prize: Json<Prize>", state, claimed_at, expires_at, order_id
           FROM promotion.coupon
           WHERE user_id = $1
             AND ($2::text IS NULL OR $2 = CASE
               WHEN state = 'ISSUED' AND expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE state END)
             AND ($3::timestamptz IS NULL OR (claimed_at, deal_id, rank) < ($3, $4, $5))
           ORDER BY claimed_at DESC, deal_id DESC, rank DESC LIMIT $6"#,
        user_id.as_str(),
        state.map(State::as_str),
        after.and_then(Place::at),
        after.map(|after| after.deal_id.as_str()),
        after.map(|after| after.rank),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_coupon).collect())
}

/// One deal's coupons, highest rank first.
pub async fn of_deal(
    pool: &Pool,
    deal_id: &DealId,
    state: Option<State>,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Coupon>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT deal_id, rank, user_id, venue_id, prize AS "prize: Json<Prize>", state, claimed_at, expires_at, order_id
           FROM promotion.coupon
           WHERE deal_id = $1
             AND ($2::text IS NULL OR $2 = CASE
               WHEN state = 'ISSUED' AND expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE state END)
             AND ($3::bigint IS NULL OR rank < $3)
           ORDER BY rank DESC LIMIT $4"#,
        deal_id.as_str(),
        state.map(State::as_str),
        after.map(|after| after.rank),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_coupon).collect())
}

/// The coupon of a rank.
pub async fn get(pool: &Pool, deal_id: &DealId, rank: i64) -> Result<Option<Coupon>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT deal_id, rank, user_id, venue_id, prize AS "prize: Json<Prize>", state, claimed_at, expires_at, order_id
           FROM promotion.coupon WHERE deal_id = $1 AND rank = $2"#,
        deal_id.as_str(),
        rank,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(Row::into_coupon))
}

/// What one user has of a deal.
pub async fn of_holder(pool: &Pool, deal_id: &DealId, user_id: &UserId) -> Result<Option<Coupon>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT deal_id, rank, user_id, venue_id, prize AS "prize: Json<Prize>", state, claimed_at, expires_at, order_id
           FROM promotion.coupon WHERE deal_id = $1 AND user_id = $2"#,
        deal_id.as_str(),
        user_id.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(Row::into_coupon))
}

/// The coupons that these orders have redeemed: order, deal and rank.
pub async fn redeemed_by(pool: &Pool, order_ids: &[String]) -> Result<Vec<(String, String, i64)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT order_id AS "order_id!", deal_id, rank FROM promotion.coupon
           WHERE order_id = ANY($1) AND state = 'REDEEMED' ORDER BY order_id, deal_id, rank"#,
        order_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row.deal_id, row.rank)).collect())
}

/// What an audit looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// The order number of the yes.
    pub rank: i64,
    /// The place among the stock.
    pub seat: i64,
    /// Who holds it.
    pub user_id: String,
    /// As it is stored.
    pub state: String,
    /// Counts the coupon's changes.
    pub version: i64,
    /// The order that has redeemed it.
    pub order_id: Option<String>,
    /// Whether it is stored as returned only because a higher rank sits on its seat.
    pub inferred: bool,
    /// Whether its time is over.
    pub expired: bool,
}

/// Every row of a deal.
pub async fn audited(pool: &Pool, deal_id: &DealId) -> Result<Vec<Audited>, Failure> {
    Ok(sqlx::query_as!(
        Audited,
        r#"SELECT rank, seat, user_id, state, version, order_id, inferred,
             coalesce(expires_at <= clock_timestamp(), false) AS "expired!"
           FROM promotion.coupon WHERE deal_id = $1 ORDER BY rank"#,
        deal_id.as_str(),
    )
    .fetch_all(pool)
    .await?)
}

struct Row {
    deal_id: String,
    rank: i64,
    user_id: String,
    venue_id: String,
    prize: Json<Prize>,
    state: String,
    claimed_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    order_id: Option<String>,
}

impl Row {
    /// The ids were checked before they were stored.
    fn into_coupon(self) -> Option<Coupon> {
        Some(Coupon {
            deal_id: DealId::parse(&self.deal_id).ok()?,
            rank: self.rank,
            user_id: UserId::parse(&self.user_id).ok()?,
            venue_id: self.venue_id,
            prize: self.prize.0,
            state: State::parse(&self.state)?,
            claimed_at: self.claimed_at,
            expires_at: self.expires_at,
            order_id: self.order_id,
        })
    }
}

/// Changes by column, as `UNNEST` wants them.
#[derive(Default)]
struct Columns {
    deal_ids: Vec<String>,
    ranks: Vec<i64>,
    user_ids: Vec<String>,
    seats: Vec<i64>,
    venue_ids: Vec<String>,
    prizes: Vec<Json<Prize>>,
    states: Vec<String>,
    versions: Vec<i64>,
    claimed_at: Vec<OffsetDateTime>,
    expires_at: Vec<Option<OffsetDateTime>>,
    order_ids: Vec<Option<String>>,
    inferred: Vec<bool>,
}

impl Columns {
    fn of(changes: &[Change]) -> Self {
        let mut columns = Self::default();
        for Change { coupon, seat, version, inferred } in changes {
            columns.inferred.push(*inferred);
            columns.deal_ids.push(coupon.deal_id.to_string());
            columns.ranks.push(coupon.rank);
            columns.user_ids.push(coupon.user_id.to_string());
            columns.seats.push(*seat);
            columns.venue_ids.push(coupon.venue_id.clone());
            columns.prizes.push(Json(coupon.prize.clone()));
            columns.states.push(coupon.state.as_str().to_owned());
            columns.versions.push(*version);
            columns.claimed_at.push(coupon.claimed_at);
            columns.expires_at.push(coupon.expires_at);
            columns.order_ids.push(coupon.order_id.clone());
        }
        columns
    }
}
