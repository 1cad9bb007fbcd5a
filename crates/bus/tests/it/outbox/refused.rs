//! PostgreSQL refuses for a moment: deadlocks and serialization failures. Whatever was refused is done again, and takes effect once.

use bus::outbox::Outbox;
use sqlx::AssertSqlSafe;

use super::{assert_told_once, relay, told};
use crate::counting::{self, Counting};
use crate::place::Place;
use crate::running::{Differently, Running};

/// Events of each kind of refusal.
const EVENTS: i64 = 60;

/// The first statements of this kind are refused with a deadlock and a serialization failure in turn, and every seventh after them.
async fn refuse(place: &Place, name: &str, trigger: &str) {
    let refuse = format!(
        "CREATE SEQUENCE {name}_tried;
         CREATE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql AS $refuse$
           DECLARE nth bigint := nextval('{name}_tried');
           BEGIN
             IF nth <= 4 OR nth % 7 = 0 THEN
               RAISE EXCEPTION 'refused' USING ERRCODE = CASE nth % 2 WHEN 0 THEN '40P01' ELSE '40001' END;
             END IF;
             RETURN NULL;
           END $refuse$;
         CREATE TRIGGER {name}_refuse AFTER {trigger} FOR EACH STATEMENT EXECUTE FUNCTION {name}_refuse()"
    );
    sqlx::raw_sql(AssertSqlSafe(refuse)).execute(&place.pool).await.unwrap();
}

/// How often it was tried.
async fn tried(place: &Place, name: &str) -> i64 {
    let tried = format!("SELECT last_value FROM {name}_tried");
    sqlx::query_scalar(AssertSqlSafe(tried)).fetch_one(&place.pool).await.unwrap()
}

#[tokio::test]
async fn effects_and_notes_that_are_refused_for_a_moment_are_done_again_and_once() {
    let place = Place::new("outbox-refused").await;
    let outbox = Outbox::default();
    refuse(&place, "effects", "INSERT ON effect").await;
    refuse(&place, "notes", "UPDATE ON outbox").await;
    let process = relay(&place, &outbox, Differently::default()).await;
    let consumer = Running::start().await;
    consumer.add_consumer(&place, Counting { echo: Some(outbox.clone()), ..Counting::new("count") }).await;
    for nth in 0..EVENTS {
        counting::count_up(&place.pool, &outbox, &format!("subject-{}", nth % 3)).await;
    }
    assert_told_once(&place, true).await;
    assert!(tried(&place, "effects").await > 4 && tried(&place, "notes").await > 4);
    assert_eq!(told(&place).await, EVENTS);
    assert!(place.parked("count").await.is_empty());
    process.stop().await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_change_that_is_refused_tells_nothing_and_can_be_made_again() {
    let place = Place::new("outbox-refused-change").await;
    let outbox = Outbox::default();
    refuse(&place, "changes", "INSERT ON outbox").await;
    let process = super::whole(&place, &outbox).await;
    let mut refused = 0;
    while told(&place).await < EVENTS {
        let mut change = outbox.begin::<()>(&place.pool).await.unwrap();
        let version = counting::raise(&mut change, "subject").await;
        match change.commit(&[counting::told("subject", version)]).await {
            Ok(()) => {}
            Err(failure) => {
                assert!(failure.is_away(), "{failure:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 4, "nothing was refused");
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}
