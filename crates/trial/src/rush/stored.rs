//! What PostgreSQL holds of the deal, read past the service.

use std::str::FromStr as _;

use anyhow::Context as _;
use kit::config::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::Row;

/// The role, and the schema, that `{service}` stands for.
const SERVICE: &str = "promotion";

/// Whether PostgreSQL can be asked at all; better known before the rush than after it.
pub(super) async fn reach(url: &Secret) -> anyhow::Result<()> {
    Ok(connect(url).await?.close().await?)
}

/// Every coupon of the deal, by rank.
pub(super) async fn rows(url: &Secret, deal_id: &str) -> anyhow::Result<Vec<Row>> {
    let mut connection = connect(url).await?;
    let rows: Vec<(i64, i64, String, String)> =
        sqlx::query_as("SELECT rank, seat, user_id, state FROM promotion.coupon WHERE deal_id = $1 ORDER BY rank")
            .bind(deal_id)
            .fetch_all(&mut connection)
            .await
            .context("the coupons in PostgreSQL cannot be read")?;
    connection.close().await?;
    Ok(rows.into_iter().map(row).collect())
}

async fn connect(url: &Secret) -> anyhow::Result<PgConnection> {
    let url = url.expose().replace("{service}", SERVICE);
    let options = PgConnectOptions::from_str(&url).context("--postgres-url is not a PostgreSQL URL")?;
    let options = options.application_name("booster-trial");
    options.connect().await.with_context(|| {
        let (host, port) = (options.get_host(), options.get_port());
        format!("PostgreSQL does not answer at {host}:{port}: start it with scripts/up, or say with --postgres-url where it is")
    })
}

fn row((rank, seat, user, state): (i64, i64, String, String)) -> Row {
    Row { rank, user, state, seat: Some(seat), coupon_id: None }
}
