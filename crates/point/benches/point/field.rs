//! How others keep a balance: one transaction for each operation, with an entry and nothing else.

use std::fmt;

use anyhow::{Context as _, ensure};
use sqlx::PgPool;
use trial::bench::Caller;

use crate::place::ACCOUNTS;
use crate::turns::Over;

/// How many call at once, each with a connection of his own.
pub const CALLERS: usize = 8;
/// How often somebody tries whom others are always ahead of.
const TRIES: usize = 1_000;

/// What keeps two from taking the same points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The row is locked, read and written.
    RowLock,
    /// The row is read, and written if it has not changed since; else all of it again.
    VersionCheck,
    /// There is no balance: it is the sum of the entries, read under a lock of the account.
    EventSum,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RowLock => "row lock",
            Self::VersionCheck => "version check",
            Self::EventSum => "event sum",
        })
    }
}

/// Takes a point, or gives one, in turn.
pub struct Client {
    pub pool: PgPool,
    pub way: Way,
    pub over: Over,
    pub amount: i64,
}

impl Caller for Client {
    async fn call(&mut self) -> anyhow::Result<()> {
        let account = i32::try_from(self.over.pick(ACCOUNTS))?;
        self.amount = -self.amount;
        match self.way {
            Way::RowLock => self.lock(account).await,
            Way::VersionCheck => self.check(account).await,
            Way::EventSum => self.sum(account).await,
        }
    }
}

impl Client {
    async fn lock(&self, account: i32) -> anyhow::Result<()> {
        let mut tx = self.pool.begin().await?;
        let balance: i64 = sqlx::query_scalar("SELECT balance FROM bench.account WHERE id = $1 FOR UPDATE")
            .bind(account)
            .fetch_one(&mut *tx)
            .await?;
        ensure!(balance + self.amount >= 0, "there is nothing left");
        sqlx::query("UPDATE bench.account SET balance = $2 WHERE id = $1")
            .bind(account)
            .bind(balance + self.amount)
            .execute(&mut *tx)
            .await?;
        self.enter(&mut tx, "INSERT INTO bench.entry (account, amount) VALUES ($1, $2)", account).await?;
        tx.commit().await.context("commit")
    }

    async fn check(&self, account: i32) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            let (balance, version): (i64, i64) =
                sqlx::query_as("SELECT balance, version FROM bench.account WHERE id = $1")
                    .bind(account)
                    .fetch_one(&self.pool)
                    .await?;
            ensure!(balance + self.amount >= 0, "there is nothing left");
            let mut tx = self.pool.begin().await?;
            let statement = "UPDATE bench.account SET balance = $2, version = $3 + 1 WHERE id = $1 AND version = $3";
            let updated = sqlx::query(statement).bind(account).bind(balance + self.amount).bind(version);
            if updated.execute(&mut *tx).await?.rows_affected() == 1 {
                self.enter(&mut tx, "INSERT INTO bench.entry (account, amount) VALUES ($1, $2)", account).await?;
                return tx.commit().await.context("commit");
            }
            tx.rollback().await?;
        }
        anyhow::bail!("others were ahead {TRIES} times")
    }

    async fn sum(&self, account: i32) -> anyhow::Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(i64::from(account)).execute(&mut *tx).await?;
        let statement = "SELECT sum(amount)::bigint FROM bench.sum WHERE account = $1";
        let balance: i64 = sqlx::query_scalar(statement).bind(account).fetch_one(&mut *tx).await?;
        ensure!(balance + self.amount >= 0, "there is nothing left");
        self.enter(&mut tx, "INSERT INTO bench.sum (account, amount) VALUES ($1, $2)", account).await?;
        tx.commit().await.context("commit")
    }

    async fn enter(
        &self,
        tx: &mut sqlx::Transaction<'_, sqlx::Postgres>,
        statement: &'static str,
        account: i32,
    ) -> anyhow::Result<()> {
        sqlx::query(statement).bind(account).bind(self.amount).execute(&mut **tx).await?;
        Ok(())
    }
}
