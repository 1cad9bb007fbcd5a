//! Coupons.

use sqlx::PgConnection;

use crate::orders::kept::Coupon;

/// Every coupon of these deals.
pub(super) async fn coupons(to: &mut PgConnection, deals: &[String]) -> anyhow::Result<Vec<Coupon>> {
    let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT deal_id || '-' || rank, user_id, state, order_id FROM promotion.coupon WHERE deal_id = ANY($1)",
    )
    .bind(deals)
    .fetch_all(to)
    .await?;
    let coupon = |(coupon_id, user_id, state, order_id)| Coupon { coupon_id, user_id, order_id, state };
    Ok(rows.into_iter().map(coupon).collect())
}
