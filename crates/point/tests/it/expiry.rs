//! Points that expire: the oldest are used first; what has expired is not available, and is written off once.

use std::time::Duration;

use point::operation::{Asked, Outcome};
use point::refusal::Refusal;
use proto::point::v1 as pb;
use proto::point::v1::EntryKind::{Deduct, Earn, Expire, Refund};
use time::OffsetDateTime;

use crate::service::{PATIENCE, Service, earn, later, number, reason, until};
use crate::shelf::{self, Shelf, books, user};

fn expiring(user_id: &str, amount: i64, ms: u64) -> pb::EarnPointsRequest {
    pb::EarnPointsRequest { expires_at: Some(later(ms)), ..earn(user_id, amount) }
}

/// Waits until PostgreSQL's clock has passed this instant.
async fn past(instant: OffsetDateTime) {
    until("it is later", async || kit::clock::now() > instant + Duration::from_millis(20)).await;
}

#[tokio::test]
async fn what_expires_first_is_used_first_and_the_rest_is_swept_away() {
    let mut service = Service::start("expiry").await;
    service.try_earn(expiring("ann", 10, 3_600_000)).await.unwrap();
    service.try_earn(expiring("ann", 10, 5_000)).await.unwrap();
    service.earn("ann", 10).await;
    assert_eq!(service.balance("ann").await.expiring_soon, 20);
    service.deduct("ann", 4, "o1").await.unwrap();
    service.deduct("ann", 4, "o2").await.unwrap();
    assert_eq!(service.balance("ann").await.expiring_soon, 12);
    // Nobody does anything with the account: the sweeper does.
    until("it is swept away", async || service.story("ann").await.len() == 6).await;
    let expected = [(Earn, 10), (Earn, 10), (Earn, 10), (Deduct, -4), (Deduct, -4), (Expire, -2)];
    assert_eq!(service.story("ann").await, expected);
    let balance = service.balance("ann").await;
    assert_eq!((balance.available, balance.expiring_soon, balance.version), (20, 10, 6));
    // What was taken from it comes back, and is over.
    assert_eq!(service.refund("o1").await.unwrap().unwrap().balance_after, 24);
    assert_eq!(service.story("ann").await[6..], [(Refund, 4), (Expire, -4)]);
    assert_eq!(reason(service.deduct("ann", 21, "o3").await), "INSUFFICIENT_POINTS");
    service.end_clean().await;
}

#[tokio::test]
async fn what_nobody_has_written_off_yet_is_not_available() {
    let shelf = Shelf::new("expiry-unwritten").await;
    let over = kit::clock::now() + Duration::from_secs(3);
    shelf.one(shelf::earn("ann", 5, Some(over))).await;
    shelf.one(shelf::earn("ann", 5, None)).await;
    let balance = async |at| point::find::balance(shelf.pool(), &user("ann"), at).await.unwrap();
    assert_eq!((balance(None).await.available, balance(None).await.expiring_soon), (10, 5));
    past(over).await;
    let now = balance(None).await;
    assert_eq!((now.available, now.expiring_soon, now.version), (5, 0, 2));
    assert_eq!(number(&shelf.ground, "SELECT balance FROM point.account").await, 10);
    // Of the instant before it is said what was true then; of that instant itself, that it was over.
    let (before, then) = (over - Duration::from_micros(1), over);
    assert_eq!((balance(Some(before)).await.available, balance(Some(then)).await.available), (10, 5));
    // Whoever does anything with the account writes it off first.
    shelf.one(shelf::earn("ann", 1, None)).await;
    assert_eq!(number(&shelf.ground, "SELECT amount FROM point.entry WHERE nth = 3 AND kind = 'EXPIRE'").await, -5);
    assert_eq!((balance(Some(before)).await.available, balance(Some(then)).await.available), (10, 5));
    shelf.end().await;
}

#[tokio::test]
async fn two_who_sweep_at_once_write_it_off_once() {
    let shelf = Shelf::new("expiry-two").await;
    let over = kit::clock::now() + Duration::from_secs(6);
    const ACCOUNTS: i64 = 300;
    let earned = (0..ACCOUNTS).map(|nth| shelf::earn(&format!("u{nth}"), 5, Some(over)));
    let kept = (0..ACCOUNTS).map(|nth| shelf::earn(&format!("u{nth}"), 2, None));
    let asked: Vec<_> = earned.chain(kept).map(|operation| Asked { operation, request: None }).collect();
    let outcomes = shelf.books.apply(&asked.iter().collect::<Vec<_>>()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
    past(over).await;
    let others = [books(&shelf.ground).await, books(&shelf.ground).await];
    let sweeps = others.iter().flat_map(|books| [point::sweep::expire(books), point::sweep::expire(books)]);
    let operations = (0..10).map(|nth| shelf.one(shelf::deduct(&format!("u{nth}"), 3, &format!("o{nth}"))));
    let both = futures::future::join(futures::future::join_all(sweeps), futures::future::join_all(operations));
    let (swept, refused) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(swept.iter().all(Result::is_ok), "{swept:?}");
    let no = Outcome::Refused(Refusal::InsufficientPoints);
    assert!(refused.iter().all(|outcome| *outcome == no), "{refused:?}");
    let expired = "SELECT count(*) FROM point.entry WHERE kind = 'EXPIRE' AND amount = -5";
    assert_eq!(number(&shelf.ground, expired).await, ACCOUNTS);
    assert_eq!(number(&shelf.ground, "SELECT count(*) FROM point.lot").await, 0);
    assert_eq!(number(&shelf.ground, "SELECT count(*) FROM point.account WHERE balance = 2").await, ACCOUNTS);
    let report = point::audit::ledger(shelf.pool()).await.unwrap();
    assert_eq!((report.accounts, report.entries, report.violations), (ACCOUNTS, 3 * ACCOUNTS, Vec::new()));
    shelf.end().await;
}

#[tokio::test]
async fn lots_are_bounded_and_nothing_expires_earlier_than_it_should() {
    let shelf = Shelf::new("expiry-lots").await;
    let first = kit::clock::now() + Duration::from_secs(3_600);
    let lots = i32::try_from(point::account::LOTS_MOST).unwrap() + 20;
    for nth in 0..lots {
        shelf.one(shelf::earn("ann", 1, Some(first + Duration::from_secs(1) * nth.unsigned_abs()))).await;
    }
    let most = i64::from(lots) - 20;
    assert_eq!(number(&shelf.ground, "SELECT count(*) FROM point.lot").await, most);
    assert_eq!(number(&shelf.ground, "SELECT sum(remaining)::bigint FROM point.lot").await, i64::from(lots));
    shelf.one(shelf::deduct("ann", i64::from(lots), "o1")).await;
    assert_eq!(number(&shelf.ground, "SELECT count(*) FROM point.lot").await, 0);
    shelf.one(shelf::refund("o1")).await;
    assert_eq!(number(&shelf.ground, "SELECT count(*) FROM point.lot").await, most);
    assert_eq!(point::audit::ledger(shelf.pool()).await.unwrap().violations, Vec::<String>::new());
    shelf.end().await;
}
