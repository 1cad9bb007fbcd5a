//! Tables that are partitioned by time: a partition holds what belongs to one stretch of it, and goes as a whole.

use kit::postgres::{Failure, Tx};
use sqlx::AssertSqlSafe;
use time::format_description::{BorrowedFormatItem, parse_borrowed};
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// A table, and how long each of its partitions reaches: a day, or an hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partitioned {
    pub table: &'static str,
    pub length: Duration,
    /// How each partition is kept: `WITH (...)`, or nothing.
    pub storage: &'static str,
}

impl Partitioned {
    /// Two processes that make or drop partitions wait for each other, until the transaction ends: one that is paused meanwhile, for
    /// less time than others wait for a lock.
    pub(crate) async fn lock(self, tx: &mut Tx) -> Result<(), Failure> {
        sqlx::query!("SET LOCAL idle_in_transaction_session_timeout = '3s'").execute(&mut **tx).await?;
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext($1))", self.table)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Where each partition begins, in order.
    pub(crate) async fn begins(self, tx: &mut Tx) -> Result<Vec<OffsetDateTime>, Failure> {
        let names = sqlx::query_scalar!(
            r#"SELECT child.relname::text AS "name!" FROM pg_inherits
               JOIN pg_class child ON child.oid = inhrelid
               WHERE inhparent = to_regclass($1) ORDER BY child.relname"#,
            self.table,
        )
        .fetch_all(&mut **tx)
        .await?;
        Ok(names.iter().filter_map(|name| self.begin_of(name)).collect())
    }

    /// Makes what is missing, from the partition that `from` is in to the one that `to` is in. Each is made alone and then attached:
    /// so nobody who reads or writes the table is waited for, nor has to wait.
    pub(crate) async fn make(self, tx: &mut Tx, from: OffsetDateTime, to: OffsetDateTime) -> Result<(), Failure> {
        let there = self.begins(tx).await?;
        let (mut begin, mut missing) = (self.floor(from), String::new());
        while begin <= to {
            let next = begin + self.length;
            if !there.contains(&begin) {
                let (name, table, storage) = (self.name_of(begin), self.table, self.storage);
                let (from, to) = (begin.unix_timestamp(), next.unix_timestamp());
                missing += &format!(
                    "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED) {storage};
                     ALTER TABLE {table} ATTACH PARTITION {name}
                       FOR VALUES FROM (to_timestamp({from})) TO (to_timestamp({to}));"
                );
            }
            begin = next;
        }
        // All at once: whoever else makes partitions waits meanwhile.
        sqlx::raw_sql(AssertSqlSafe(missing)).execute(&mut **tx).await?;
        Ok(())
    }

    /// Drops the partition that begins here.
    pub(crate) async fn drop(self, tx: &mut Tx, begin: OffsetDateTime) -> Result<(), Failure> {
        let dropped = format!("DROP TABLE {}", self.name_of(begin));
        sqlx::raw_sql(AssertSqlSafe(dropped)).execute(&mut **tx).await?;
        Ok(())
    }

    /// Where the partition begins that this instant is in.
    pub(crate) fn floor(self, instant: OffsetDateTime) -> OffsetDateTime {
        let length = self.length.whole_seconds();
        let begin = instant.unix_timestamp().div_euclid(length) * length;
        OffsetDateTime::from_unix_timestamp(begin).unwrap_or(instant)
    }

    /// `inbox_20260131`, `outbox_2026013110`.
    pub(crate) fn name_of(self, begin: OffsetDateTime) -> String {
        let date = format!("{:04}{:02}{:02}", begin.year(), u8::from(begin.month()), begin.day());
        let hour = if self.length < Duration::DAY { format!("{:02}", begin.hour()) } else { String::new() };
        format!("{}_{date}{hour}", self.table)
    }

    fn begin_of(self, name: &str) -> Option<OffsetDateTime> {
        let digits = name.strip_prefix(self.table)?.strip_prefix('_')?;
        let whole = if self.length < Duration::DAY { digits.to_owned() } else { format!("{digits}00") };
        let format: Vec<BorrowedFormatItem<'_>> = parse_borrowed::<2>("[year][month][day][hour][minute]").ok()?;
        let begin = PrimitiveDateTime::parse(&format!("{whole}00"), &format).ok()?;
        Some(begin.assume_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_the_partition_begins() {
        let instant = OffsetDateTime::from_unix_timestamp(1_769_853_599).unwrap();
        let days = Partitioned { table: "inbox", length: Duration::DAY, storage: "" };
        let hours = Partitioned { table: "outbox", length: Duration::HOUR, storage: "" };
        for (partitioned, name) in [(days, "inbox_20260131"), (hours, "outbox_2026013109")] {
            let begin = partitioned.floor(instant);
            assert_eq!(partitioned.name_of(begin), name);
            assert_eq!(partitioned.begin_of(name), Some(begin));
            assert!(begin <= instant && instant < begin + partitioned.length);
        }
        assert_eq!(hours.begin_of("outbox_unsent"), None);
    }
}
