//! Each defect, planted, is found; and nothing else is.

use bus::journal::EntryId;

use super::*;
use crate::redis::Held;

/// Three coupons of five: ann has 1, bob gave 2 back, cid has 3 on bob's seat.
fn scene() -> (Snapshot, Vec<Audited>) {
    let course = Course {
        now_ms: 1_500,
        epoch: 1,
        round: 2,
        sequence: 4,
        stock: 5,
        issued: 3,
        live: 2,
        opens_ms: 1_000,
        closes_ms: 2_000,
        closed: false,
        frozen: false,
        entry: EntryId::default(),
    };
    let held = [("ann", 1, 1, false), ("bob", 2, 2, true), ("cid", 3, 2, false)];
    let holders = held
        .iter()
        .map(|(user, rank, seat, returned)| {
            let held = Held { rank: *rank, seat: *seat, claimed_ms: 1_200, returned: *returned };
            ((*user).into(), Kept { held, version: if *returned { 2 } else { 1 }, order_id: None })
        })
        .collect();
    let rows = held.iter().map(|(user, rank, seat, returned)| Audited {
        rank: *rank,
        seat: *seat,
        user_id: (*user).to_owned(),
        state: if *returned { "RETURNED" } else { "ISSUED" }.to_owned(),
        version: if *returned { 2 } else { 1 },
        order_id: None,
        inferred: false,
        expired: false,
    });
    (Snapshot { course, holders, still: true }, rows.collect())
}

/// What is found after a change is exactly one sentence for each of `expected`, which it contains.
fn found(change: impl FnOnce(&mut Snapshot, &mut Vec<Audited>), expected: &[&str]) {
    let (mut snapshot, mut rows) = scene();
    change(&mut snapshot, &mut rows);
    let violations = snapshot.violations(&rows);
    assert_eq!(violations.len(), expected.len(), "{violations:#?}");
    for part in expected {
        assert!(violations.iter().any(|line| line.contains(part)), "{part:?} is not in {violations:#?}");
    }
}

#[test]
fn what_is_right_is_not_violated() {
    found(|_, _| (), &[]);
}

#[test]
fn what_came_after_the_snapshot_is_not_a_violation() {
    found(
        |snapshot, rows| {
            snapshot.still = false;
            (rows[0].state, rows[0].version) = ("RETURNED".to_owned(), 2);
            let late = Audited { rank: 4, seat: 1, user_id: "dan".to_owned(), ..rows[2].clone() };
            rows.push(late);
        },
        &[],
    );
}

#[test]
fn a_row_that_is_gone_is_found() {
    found(|_, rows| drop(rows.remove(0)), &["rank 1 is not in PostgreSQL"]);
}

#[test]
fn a_row_of_somebody_else_is_found() {
    found(
        |_, rows| rows[0].user_id = "eve".to_owned(),
        &["rank 1 of eve is in PostgreSQL and not in Redis", "rank 1 is ann's in Redis and eve's in PostgreSQL"],
    );
}

#[test]
fn a_change_that_was_lost_or_made_up_is_found() {
    let set = |row: &mut Audited, state: &str, version| (row.state, row.version) = (state.to_owned(), version);
    found(
        |_, rows| set(&mut rows[1], "ISSUED", 1),
        &["rank 2 of bob is ISSUED in PostgreSQL (change 1), and RETURNED in Redis", "ranks 2 and 3 sit on seat 2"],
    );
    found(
        |_, rows| set(&mut rows[0], "RETURNED", 1),
        &["rank 1 of ann is RETURNED in PostgreSQL (change 1), and ISSUED"],
    );
    found(
        |_, rows| set(&mut rows[0], "RETURNED", 2),
        &["rank 1 of ann is RETURNED in PostgreSQL (change 2), and ISSUED"],
    );
    found(|_, rows| rows[1].inferred = true, &["rank 2 of bob lost its seat"]);
}

#[test]
fn another_order_is_found() {
    let used = |snapshot: &mut Snapshot, rows: &mut Vec<Audited>, order: &str| {
        let kept = snapshot.holders.get_mut("ann").unwrap();
        (kept.version, kept.order_id) = (2, Some("o1".to_owned()));
        (rows[0].state, rows[0].version) = ("REDEEMED".to_owned(), 2);
        rows[0].order_id = Some(order.to_owned());
    };
    found(|snapshot, rows| used(snapshot, rows, "o1"), &[]);
    found(
        |snapshot, rows| used(snapshot, rows, "o2"),
        &["REDEEMED by o2 in PostgreSQL (change 2), and REDEEMED by o1"],
    );
}

#[test]
fn of_an_archived_deal_everything_is_over_and_there() {
    let (Snapshot { course, .. }, mut rows) = scene();
    assert_eq!(archived(&course, &rows).len(), 2, "ann's and cid's are not over");
    rows.iter_mut().for_each(|row| row.expired = true);
    assert_eq!(archived(&course, &rows), Vec::<String>::new());
    rows.remove(0);
    let sentences =
        ["rank 1 is not in PostgreSQL (I2, I3)", "1 coupons are alive, and 2 were when the deal was archived (I10)"];
    assert_eq!(archived(&course, &rows), sentences);
}

#[test]
fn another_seat_is_found() {
    found(|_, rows| rows[0].seat = 4, &["ann has rank 1 and seat 4 in PostgreSQL, and 1 and 1 in Redis"]);
    found(
        |_, rows| rows[0].seat = 6,
        &["rank 1 sits on seat 6 of 5", "ann has rank 1 and seat 6 in PostgreSQL, and 1 and 1 in Redis"],
    );
}

#[test]
fn counts_that_do_not_agree_are_found() {
    found(|snapshot, _| snapshot.course.live = 3, &["Redis counts 3 issued and 3 alive, and holds 3 and 2"]);
    found(
        |snapshot, _| snapshot.course.stock = 1,
        &["2 coupons are alive and the stock is 1", "rank 3 sits on seat 2"],
    );
}
