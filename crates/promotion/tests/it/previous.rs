//! A process of before beside one of today, on the same deals: what either has done, the other goes on with.

mod before;
mod rows;

use promotion::deal::{Decision, OrderId, Patch, Refusal, UserId, Wish};
use promotion::redis::{Archival, Outcome, Unfit};

use crate::shelf::{Shelf, found, wish};
use before::{Before, CLOSED, HELD, Look, RETURNED, SOLD_OUT, WON};

/// One deal, and both ways to it.
struct Pair {
    shelf: Shelf,
    before: Before,
    wish: Wish,
}

impl Pair {
    async fn new(name: &str, stock: i64) -> Self {
        let shelf = Shelf::new(name).await;
        let before = Before::connect(&shelf.ground.servers()).await;
        Self { shelf, before, wish: wish(stock) }
    }

    async fn make(&self, by_before: bool) {
        if by_before {
            self.before.put(&self.wish).await;
            // Each finishes what the other has begun: it changes nothing.
            self.shelf.put(&self.wish).await;
        } else {
            self.shelf.put(&self.wish).await;
            self.before.put(&self.wish).await;
        }
    }

    /// Both see the same deal; this is it: stock, issued, live and round.
    async fn seen(&self) -> (i64, i64, i64, i64) {
        let course = found(self.shelf.deals.look(&self.wish.deal_id).await.unwrap());
        let now: Look = (
            course.stock,
            course.issued,
            course.live,
            course.round,
            course.opens_ms,
            course.closes_ms,
            !course.frozen,
            course.closed,
        );
        assert_eq!(self.before.look(&self.wish.deal_id).await, now);
        (course.stock, course.issued, course.live, course.round)
    }

    /// A claim of today, as a process of before would be told of it.
    async fn claim(&self, user: &str) -> (i64, i64) {
        let users = [UserId::parse(user).unwrap()];
        let not_after_ms = kit::clock::to_millis(kit::clock::now()) + 60_000;
        let claimed = found(self.shelf.deals.claim(&self.wish.deal_id, &users, not_after_ms, "").await.unwrap());
        match claimed.outcomes[0] {
            Outcome::Won(grant) => (WON, grant.rank),
            Outcome::Held(grant) => (HELD, grant.rank),
            Outcome::Returned(grant) => (RETURNED, grant.rank),
            Outcome::SoldOut => (SOLD_OUT, 0),
            Outcome::Closed => (CLOSED, 0),
            other @ (Outcome::NotOpen | Outcome::Frozen | Outcome::PassRequired | Outcome::Late | Outcome::Full) => {
                panic!("{other:?}")
            }
        }
    }

    /// Both tell this user the same, however often he asks.
    async fn assert_told(&self, user: &str, said: (i64, i64)) {
        for _ in 0..2 {
            assert_eq!(self.before.claim(&self.wish.deal_id, &[user]).await, [said], "{user} by the one of before");
            assert_eq!(self.claim(user).await, said, "{user}");
            if said.1 > 0 {
                assert_eq!(
                    self.before.find(&self.wish.deal_id, user).await,
                    said,
                    "{user} is found by the one of before"
                );
            }
        }
    }

    async fn give_back(&self, user: &str, rank: i64) -> Result<(), Unfit> {
        let user = UserId::parse(user).unwrap();
        let answer = self.shelf.deals.give_back((&self.wish.deal_id, rank), &user, "").await.unwrap();
        found(answer).map(drop)
    }

    async fn redeem(&self, user: &str, rank: i64, order: &str) -> Result<(), Unfit> {
        let (user, order) = (UserId::parse(user).unwrap(), OrderId::parse(order).unwrap());
        found(self.shelf.deals.redeem((&self.wish.deal_id, rank), &user, &order, "").await.unwrap()).map(drop)
    }

    async fn restore(&self, rank: i64, order: &str) -> Result<(), Unfit> {
        let order = OrderId::parse(order).unwrap();
        found(self.shelf.deals.restore((&self.wish.deal_id, rank), &order, "").await.unwrap()).map(drop)
    }

    async fn update(&self, version: i64, patch: &Patch) -> (Decision, i64) {
        let updated = self.shelf.deals.update(&self.wish.deal_id, version, patch, None).await.unwrap();
        let updated = found(updated);
        (updated.decision, updated.stock)
    }

    async fn end(self) {
        self.shelf.ground.end().await;
    }
}

fn stock(stock: i64) -> Patch {
    Patch { stock: Some(stock), ..Patch::default() }
}

#[tokio::test]
async fn both_claim_from_a_deal_that_either_made() {
    for by_before in [true, false] {
        let pair = Pair::new("previous-claim", 6).await;
        let (id, before) = (&pair.wish.deal_id, &pair.before);
        pair.make(by_before).await;
        assert_eq!(pair.seen().await, (6, 0, 0, 1));
        for (rank, user) in (1..).zip(["u1", "u2", "u3", "u4"]) {
            let said = if rank % 2 == 0 { pair.claim(user).await } else { before.claim(id, &[user]).await[0] };
            assert_eq!(said, (WON, rank));
            pair.assert_told(user, (HELD, rank)).await;
            assert_eq!(pair.seen().await, (6, rank, rank, 1));
        }
        // A batch, with one who holds already, one who comes twice, and one for whom nothing is left.
        let told = before.claim(id, &["u5", "u1", "u5", "u6", "u7"]).await;
        assert_eq!(told, [(WON, 5), (HELD, 1), (HELD, 5), (WON, 6), (SOLD_OUT, 0)]);
        pair.assert_told("u7", (SOLD_OUT, 0)).await;
        assert_eq!(pair.seen().await, (6, 6, 6, 1));
        assert_same_winners(&pair).await;
        pair.end().await;
    }
}

/// Both remember the same holders of a deal that is sold out.
async fn assert_same_winners(pair: &Pair) {
    let sold = found(pair.shelf.deals.winners(&pair.wish.deal_id).await.unwrap()).unwrap();
    let mut now: Vec<(String, i64, bool)> =
        sold.holders.iter().map(|(user, held)| (user.to_string(), held.rank, held.returned)).collect();
    now.sort();
    let before = pair.before.winners(&pair.wish.deal_id).await.into_iter().map(|(user, value)| {
        // As a process of before read it.
        let (returned, rest) = value.strip_prefix('-').map_or((false, value.as_str()), |rest| (true, rest));
        (user, rest.split(':').next().unwrap().parse::<i64>().unwrap(), returned)
    });
    assert_eq!(before.collect::<Vec<_>>(), now);
}

#[tokio::test]
async fn what_either_gives_back_is_free_for_both() {
    let pair = Pair::new("previous-return", 4).await;
    let (id, before) = (&pair.wish.deal_id, &pair.before);
    pair.make(true).await;
    before.claim(id, &["u1", "u2", "u3", "u4"]).await;
    assert_eq!(pair.give_back("u1", 1).await, Ok(()));
    assert_eq!(pair.seen().await, (4, 4, 3, 2));
    assert_eq!(before.give_back(id, "u2", 2).await, "OK");
    assert_eq!(pair.seen().await, (4, 4, 2, 3));
    for (user, rank) in [("u1", 1), ("u2", 2)] {
        // A repeat changes nothing, whoever it comes to.
        assert_eq!(pair.give_back(user, rank).await, Ok(()));
        assert_eq!(before.give_back(id, user, rank).await, "OK");
        pair.assert_told(user, (RETURNED, rank)).await;
    }
    assert_eq!(pair.give_back("u1", 3).await, Err(Unfit::Refused(Refusal::NotOwner)));
    assert_eq!(before.give_back(id, "u1", 3).await, "NOT_OWNER");
    assert_eq!(before.give_back(id, "u1", 9).await, "NOT_FOUND");
    assert_eq!(pair.seen().await, (4, 4, 2, 3));

    assert_eq!(before.claim(id, &["u5"]).await, [(WON, 5)]);
    assert_eq!(pair.claim("u6").await, (WON, 6));
    pair.assert_told("u7", (SOLD_OUT, 0)).await;
    assert_eq!(pair.seen().await, (4, 6, 4, 3));
    assert_same_winners(&pair).await;
    pair.end().await;
}

#[tokio::test]
async fn what_an_order_has_used_is_given_back_by_neither() {
    let pair = Pair::new("previous-redeem", 3).await;
    let (id, before) = (&pair.wish.deal_id, &pair.before);
    pair.make(true).await;
    before.claim(id, &["u1", "u2", "u3"]).await;
    assert_eq!(pair.redeem("u1", 1, "o1").await, Ok(()));
    assert_eq!(pair.redeem("u2", 2, "o2").await, Ok(()));
    let rest = (3, 3, 3, 1);
    for (user, rank) in [("u1", 1), ("u2", 2)] {
        pair.assert_told(user, (HELD, rank)).await;
        assert_eq!(pair.give_back(user, rank).await, Err(Unfit::Refused(Refusal::CouponRedeemed)));
        assert_eq!(before.give_back(id, user, rank).await, "NOT_OWNER");
        // Nor under the number that it is kept by.
        assert_eq!(pair.seen().await, rest);
    }
    assert_same_winners(&pair).await;

    // Once it is restored whoever knows of orders gives it back, and nobody else.
    assert_eq!(pair.restore(1, "o1").await, Ok(()));
    assert_eq!(before.give_back(id, "u1", 1).await, "NOT_OWNER");
    pair.assert_told("u1", (HELD, 1)).await;
    assert_eq!(pair.seen().await, rest);
    assert_eq!(pair.give_back("u1", 1).await, Ok(()));
    pair.assert_told("u1", (RETURNED, 1)).await;
    assert_eq!(before.give_back(id, "u1", 1).await, "OK");
    assert_eq!(pair.seen().await, (3, 3, 2, 2));
    // What one of before has given back is used by no order.
    assert_eq!(before.give_back(id, "u3", 3).await, "OK");
    assert_eq!(pair.redeem("u3", 3, "o3").await, Err(Unfit::Refused(Refusal::CouponReturned)));
    assert_eq!(pair.restore(2, "o2").await, Ok(()));
    assert_eq!(before.claim(id, &["u4", "u5"]).await, [(WON, 4), (WON, 5)]);
    assert_eq!(pair.seen().await, (3, 5, 3, 3));
    assert_same_winners(&pair).await;
    pair.end().await;
}

#[tokio::test]
async fn orders_of_both_are_decided_by_their_versions() {
    let pair = Pair::new("previous-update", 2).await;
    let (id, before) = (&pair.wish.deal_id, &pair.before);
    pair.make(false).await;
    assert_eq!(before.update(id, 2, 4).await, (4, String::new()));
    assert_eq!(pair.seen().await, (4, 0, 0, 2));
    assert_eq!(pair.update(3, &stock(6)).await, (Decision::Done, 6));
    assert_eq!(pair.seen().await, (6, 0, 0, 3));
    // The same again, and older ones, change nothing.
    assert_eq!(pair.update(3, &stock(6)).await, (Decision::Done, 6));
    assert_eq!(before.update(id, 3, 6).await, (6, String::new()));
    assert_eq!(pair.update(2, &stock(4)).await, (Decision::PassedOver, 6));
    assert_eq!(before.update(id, 4, 5).await, (6, "STOCK_SHRINKS".to_owned()));
    assert_eq!(pair.update(5, &stock(5)).await, (Decision::StockShrinks, 6));
    assert_eq!(before.update(id, 6, 7).await, (7, String::new()));
    assert_eq!(pair.seen().await, (7, 0, 0, 4));
    for user in ["u1", "u2", "u3", "u4", "u5", "u6", "u7"] {
        pair.claim(user).await;
    }
    pair.assert_told("u8", (SOLD_OUT, 0)).await;

    // Closed, and archived, by one of today: one of before sells nothing of it, and makes no second one.
    assert_eq!(pair.update(7, &Patch { close: true, ..Patch::default() }).await, (Decision::Done, 7));
    pair.assert_told("u8", (CLOSED, 0)).await;
    pair.assert_told("u7", (HELD, 7)).await;
    assert_eq!(before.update(id, 8, 9).await, (7, "DEAL_OVER".to_owned()));
    let entry = found(pair.shelf.deals.look(id).await.unwrap()).entry;
    assert_eq!(found(pair.shelf.deals.archive(id, entry).await.unwrap()), Archival::Done);
    assert_eq!(before.status(id).await, "MISSING");
    before.put_again(&pair.wish).await;
    assert_eq!(before.status(id).await, "MISSING");
    pair.end().await;
}

#[tokio::test]
async fn an_order_that_one_of_before_has_decided_on_is_not_said_to_be_done() {
    let pair = Pair::new("previous-decided", 2).await;
    pair.make(false).await;
    // One of today has written down that the deal is to be closed, and one of before comes first: it knows of the stock alone.
    assert_eq!(pair.before.update(&pair.wish.deal_id, 2, 2).await, (2, String::new()));
    let close = Patch { close: true, ..Patch::default() };
    assert_eq!(pair.update(2, &close).await, (Decision::PassedOver, 2));
    assert_eq!(pair.update(3, &close).await, (Decision::Done, 2));
    pair.assert_told("u1", (CLOSED, 0)).await;
    pair.end().await;
}
