//! A small run in which everything is as it must be, for tests that change one thing.

use super::*;
use crate::orders::answer::Outcome;
use crate::orders::journal::Call;
use crate::orders::kept::{self, Account, Coupon, Inside, Item, Line, Payment, Score};
use crate::orders::scene::{self, Deal, Method, Prize, Purse, Then, User, When, Wish};
use proto::order::v1::OrderState;
use proto::payment::v1::PaymentState;
use std::collections::BTreeSet;

/// On which everything was sold.
pub(super) const DAY: &str = "2030-01-31";

/// All that the judge looks at.
pub(super) struct Run {
    pub(super) scene: Scene,
    pub(super) coupons: Coupons,
    pub(super) entries: Vec<Entry>,
    pub(super) kept: Kept,
    /// What the services show other than what is kept.
    pub(super) show: fn(&mut Shown),
    pub(super) deeds: Option<Vec<Deed>>,
    pub(super) is_alone: bool,
    pub(super) is_hurt: bool,
}

impl Run {
    /// | order | who, what | ends |
    /// |---|---|---|
    /// | o0 | ada, two burgers, with a coupon and 500 points | PAID |
    /// | o1 | bob, a burger, declined | FAILED |
    /// | o2 | cy, a burger, with points that he has not | FAILED |
    /// | o3 | ada, a burger, with 200 points; cancelled once it was paid | CANCELLED |
    /// | - | bob, a cake, of which there are no more | refused |
    /// | o5 | ada, a cake; placed twice, and its request id used for something else | PREPARING |
    /// | - | bob, a burger for a wrong price | refused |
    pub(super) fn exact() -> Self {
        let mut run = Self {
            scene: scene(),
            coupons: Coupons::from([((0, 0), "lunch-1".to_owned())]),
            entries: Vec::new(),
            kept: Kept::default(),
            show: |_| {},
            deeds: Some(Vec::new()),
            is_alone: true,
            is_hurt: false,
        };
        run.tell_all();
        for (number, state, reason) in [
            (0, OrderState::Paid, ""),
            (1, OrderState::Failed, "PAYMENT_DECLINED"),
            (2, OrderState::Failed, "INSUFFICIENT_POINTS"),
            (3, OrderState::Cancelled, "CANCELLED_BY_USER"),
            (5, OrderState::Preparing, ""),
        ] {
            let order = run.kept_order(number, state, reason);
            run.kept.orders.push(order);
        }
        run.keep_all();
        run
    }

    fn tell_all(&mut self) {
        for number in [0, 1, 2, 3, 5] {
            self.tell(number, Call::Place, yes(&order_id(number)));
        }
        self.tell(3, Call::Cancel, yes("o3"));
        self.tell(4, Call::Place, refused("OUT_OF_STOCK", &[("item_id", "cake")]));
        self.tell(5, Call::Again, yes("o5"));
        self.tell(5, Call::Forge, refused("REQUEST_ID_REUSED", &[]));
        self.tell(5, Call::Advance { to: 1 }, yes("o5"));
        self.tell(6, Call::Place, refused("PRICE_CHANGED", &[("item_id", "burger"), ("unit_price_minor", "1000")]));
    }

    fn keep_all(&mut self) {
        let item = |item_id: &str, stock, sold| Item { item_id: item_id.to_owned(), stock, sold };
        self.kept.items = vec![item("burger", 8, 2), item("cake", 0, 1)];
        self.kept.coupons = vec![Coupon {
            coupon_id: "lunch-1".to_owned(),
            user_id: "ada".to_owned(),
            order_id: Some(order_id(0)),
            state: "REDEEMED".to_owned(),
        }];
        self.entry("ada", "EARN", 700, None);
        self.entry("ada", "DEDUCT", -500, Some(0));
        self.entry("ada", "DEDUCT", -200, Some(3));
        self.entry("ada", "REFUND", 200, Some(3));
        self.entry("bob", "EARN", 100, None);
        self.pay_for("o0", "ada", 1_300, PaymentState::Charged);
        self.pay_for("o1", "bob", 1_000, PaymentState::Declined);
        self.pay_for("o3", "ada", 800, PaymentState::Refunded);
        self.pay_for("o5", "ada", 500, PaymentState::Charged);
        let score = |day: &str, item_id: &str, score| Score { day: day.to_owned(), item_id: item_id.to_owned(), score };
        self.kept.days = vec![score(DAY, "burger", 2), score(DAY, "cake", 1)];
        self.kept.all_time = vec![score("", "burger", 2), score("", "cake", 1)];
    }

    fn kept_order(&self, number: usize, state: OrderState, reason: &str) -> Order {
        let wish = &self.scene.wishes[number];
        let subtotal = self.scene.subtotal(wish);
        let discount = if wish.coupon.is_some() { subtotal / 10 } else { 0 };
        let line = |line: &scene::Line| {
            let item = &self.scene.items[line.item];
            Line { item_id: item.item_id.clone(), quantity: line.quantity, unit_price: item.price }
        };
        let was_paid = !matches!(state, OrderState::Failed);
        Order {
            order_id: order_id(number),
            user_id: self.scene.user_of(wish).user_id.clone(),
            lines: wish.lines.iter().map(line).collect(),
            coupon_id: wish.coupon.map(|_| "lunch-1".to_owned()),
            points: wish.points,
            subtotal,
            discount,
            total: subtotal - discount,
            state,
            reason: reason.to_owned(),
            was_paid,
            inside: Inside {
                request_id: Some(self.scene.request_id(number)),
                day: was_paid.then(|| DAY.to_owned()),
                paid_after: None,
                is_silent: false,
            },
        }
    }

    /// One more answer, after all others.
    pub(super) fn tell(&mut self, number: usize, call: Call, outcome: Outcome) {
        self.entries.push(Entry { number, call, attempt: 1, sent_ms: 0, ms: 0, outcome });
    }

    pub(super) fn order(&mut self, number: usize) -> &mut Order {
        let id = order_id(number);
        self.kept.orders.iter_mut().find(|order| order.order_id == id).unwrap()
    }

    pub(super) fn payment(&mut self, order_id: &str) -> &mut Payment {
        self.kept.payments.iter_mut().find(|payment| payment.order_id == order_id).unwrap()
    }

    /// One more entry, with the balance after it.
    pub(super) fn entry(&mut self, user: &str, kind: &str, amount: i64, order: Option<usize>) {
        self.kept.entries.push(kept::Entry {
            user_id: user.to_owned(),
            kind: kind.to_owned(),
            amount,
            balance_after: 0,
            order_id: order.map(order_id),
        });
        self.settle_accounts();
    }

    /// Every balance is the sum of its entries again.
    pub(super) fn settle_accounts(&mut self) {
        self.kept.accounts = Vec::new();
        for user in self.scene.user_ids() {
            let mut balance = 0;
            for entry in self.kept.entries.iter_mut().filter(|entry| entry.user_id == user) {
                balance += entry.amount;
                entry.balance_after = balance;
            }
            self.kept.accounts.push(Account { user_id: user, balance });
        }
    }

    pub(super) fn deed(&mut self, key: &str, kind: Kind, amount: i64) {
        self.deeds.get_or_insert_default().push(Deed { key: key.to_owned(), kind, amount });
    }

    fn pay_for(&mut self, order_id: &str, user_id: &str, amount: i64, state: PaymentState) {
        let is_charged = matches!(state, PaymentState::Charged | PaymentState::Refunded);
        let refunded = if state == PaymentState::Refunded { amount } else { 0 };
        self.deed(order_id, if is_charged { Kind::Charged } else { Kind::Declined }, amount);
        if refunded > 0 {
            self.deed(order_id, Kind::Refunded, amount);
        }
        let reference = if is_charged { format!("ref-{order_id}") } else { String::new() };
        self.kept.payments.push(Payment {
            order_id: order_id.to_owned(),
            user_id: user_id.to_owned(),
            amount,
            refunded,
            state,
            reference,
        });
    }

    /// A paid order is undone, with everything that this takes.
    pub(super) fn undo(&mut self, number: usize, state: OrderState, reason: &str) {
        let order = self.order(number);
        (order.state, order.reason) = (state, reason.to_owned());
        let (id, user, points, lines) =
            (order.order_id.clone(), order.user_id.clone(), order.points, order.lines.clone());
        if points > 0 {
            self.entry(&user, "REFUND", points, Some(number));
        }
        for coupon in self.kept.coupons.iter_mut().filter(|coupon| coupon.order_id.as_ref() == Some(&id)) {
            (coupon.state, coupon.order_id) = ("ISSUED".to_owned(), None);
        }
        let payment = self.payment(&id);
        (payment.state, payment.refunded) = (PaymentState::Refunded, payment.amount);
        let amount = payment.amount;
        self.deed(&id, Kind::Refunded, amount);
        self.sell(&lines, -1);
    }

    /// An order that failed is paid after all, with everything that belongs to it.
    pub(super) fn pay(&mut self, number: usize) {
        let order = self.order(number);
        (order.state, order.reason) = (OrderState::Paid, String::new());
        (order.was_paid, order.inside.day) = (true, Some(DAY.to_owned()));
        let (id, lines, charge) = (order.order_id.clone(), order.lines.clone(), order.charge());
        self.payment(&id).state = PaymentState::Charged;
        self.deeds.get_or_insert_default().retain(|deed| deed.key != id);
        self.deed(&id, Kind::Charged, charge);
        self.sell(&lines, 1);
    }

    fn sell(&mut self, lines: &[Line], times: i64) {
        for Line { item_id, quantity, .. } in lines {
            let sold = quantity * times;
            for item in self.kept.items.iter_mut().filter(|item| item.item_id == *item_id) {
                (item.stock, item.sold) = (item.stock - sold, item.sold + sold);
            }
            let scores = self.kept.days.iter_mut().chain(&mut self.kept.all_time);
            scores.filter(|score| score.item_id == *item_id).for_each(|score| score.score += sold);
        }
    }

    pub(super) fn judged(&self) -> Verdict {
        let kept = self.kept.clone();
        let mut top = kept.all_time.clone();
        top.sort_by_key(|score| (-score.score, score.item_id.clone()));
        let mut shown = Shown {
            items: kept.items.clone(),
            orders: kept.orders.clone(),
            coupons: kept.coupons.clone(),
            accounts: kept.accounts.clone(),
            payments: kept.payments.clone(),
            days: kept.days.clone(),
            top,
        };
        (self.show)(&mut shown);
        judge(&Evidence {
            scene: &self.scene,
            coupons: &self.coupons,
            entries: &self.entries,
            kept: &kept,
            shown: &shown,
            deeds: self.deeds.as_deref(),
            is_alone: self.is_alone,
            is_hurt: self.is_hurt,
        })
    }

    /// What is broken, and by what.
    pub(super) fn found(&self) -> Vec<(Rule, String)> {
        self.judged().violations.into_iter().map(|violation| (violation.rule, violation.about)).collect()
    }
}

pub(super) fn order_id(number: usize) -> String {
    format!("o{number}")
}

pub(super) fn yes(order_id: &str) -> Outcome {
    Outcome::Ok { order_id: order_id.to_owned(), state: "PENDING".to_owned() }
}

pub(super) fn refused(reason: &str, metadata: &[(&str, &str)]) -> Outcome {
    let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Outcome::Refused { reason: reason.to_owned(), metadata }
}

fn scene() -> Scene {
    let item =
        |item_id: &str, price, stock, is_scarce| scene::Item { item_id: item_id.to_owned(), price, stock, is_scarce };
    let user = |user_id: &str, earned, purse| User { user_id: user_id.to_owned(), earned, purse };
    let wish = |user, item, quantity| Wish {
        user,
        lines: vec![scene::Line { item, quantity }],
        coupon: None,
        points: 0,
        method: Method::Charge,
        is_stale: false,
        is_double: false,
        is_forged: false,
        then: Then::Nothing,
    };
    let lunch = scene::Coupon { deal: 0, holder: 0, is_contended: false };
    Scene {
        run: "r".to_owned(),
        items: vec![item("burger", 1_000, 10, false), item("cake", 500, 1, true)],
        deals: vec![Deal {
            deal_id: "lunch".to_owned(),
            prize: Prize::Percent(10, None),
            holders: BTreeSet::from([0]),
        }],
        users: vec![user("ada", 700, Purse::Full), user("bob", 100, Purse::Tight), user("cy", 0, Purse::Empty)],
        wishes: vec![
            Wish { coupon: Some(lunch), points: 500, ..wish(0, 0, 2) },
            Wish { method: Method::Decline, ..wish(1, 0, 1) },
            Wish { points: 100, ..wish(2, 0, 1) },
            Wish { points: 200, then: Then::Cancel(When::Paid), ..wish(0, 0, 1) },
            wish(1, 1, 1),
            Wish { is_double: true, is_forged: true, then: Then::Advance(1), ..wish(0, 1, 1) },
            Wish { is_stale: true, ..wish(1, 0, 1) },
        ],
    }
}
