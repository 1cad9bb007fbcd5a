//! The audit of everything: what adds up is clean, what is unfinished is told, and each planted defect is found, and nothing else.

use std::collections::BTreeSet;
use std::io::Write as _;

use proto::order::v1 as orders;
use proto::order::v1::OrderState;
use proto::point::v1 as points;
use proto::promotion::v1 as pb;

use crate::booster::{run, told};
use crate::whole::{USED, Whole, insist};

/// What the audit said: its violations, what it looked at, and its exit code.
struct Said {
    violations: BTreeSet<String>,
    looked_at: Vec<String>,
    code: Option<i32>,
}

impl Said {
    /// Whether it has looked at so much of something, and found so many violations.
    fn has(&self, looked_at: &str) -> bool {
        self.looked_at.iter().any(|line| line == looked_at)
    }
}

async fn audit(whole: &Whole) -> Said {
    let log = whole.log.to_str().unwrap();
    let output = run(Some(&whole.ground), &["audit", "--provider-log", log]).await;
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(errors, "", "it could not look at everything");
    let of =
        |kind: &str| said.lines().filter_map(|line| line.strip_prefix(kind)).map(str::to_owned).collect::<Vec<_>>();
    Said {
        violations: of("violation  ").into_iter().collect(),
        looked_at: of("audit      "),
        code: output.status.code(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_adds_up_is_clean_and_each_planted_defect_is_found_and_nothing_else() {
    let mut whole = Whole::start("audit-all").await;
    whole.stock().await;
    let mut paid = Vec::new();
    for user in ["ann", "bob", "cid", "dan", "eve"] {
        paid.push(whole.ordered(user, "sandbox", OrderState::Paid).await);
    }
    let declined = whole.ordered("fay", "sandbox:decline", OrderState::Failed).await;
    let cancelled = whole.ordered("gus", "sandbox", OrderState::Paid).await;
    let asked = orders::CancelOrderRequest { order_id: cancelled.clone() };
    whole.order.cancel_order(asked).await.unwrap();
    whole.until(&cancelled, OrderState::Cancelled).await;

    let said = audit(&whole).await;
    assert_eq!((said.violations, said.code), (BTreeSet::new(), Some(0)), "{:?}", said.looked_at);
    let expected = [
        "1 items, 7 orders, 0 of them unfinished, 0 violations",
        "7 accounts, 16 entries, 0 violations",
        "7 payments, 0 of them unsettled, 0 overdue, 0 violations",
        "7 payments held against the log of the provider, 0 violations",
        "6 sales, 2 boards, 0 violations",
        "7 orders held against all services, 0 of them unfinished, 0 violations",
        "1 deals, 7 coupons, 0 violations",
    ];
    assert_eq!(said.looked_at, expected);

    // What is on its way is told, and is no violation.
    whole.end_provider().await;
    let coupon_id = whole.equip("hal").await;
    whole.place("hal", &coupon_id, "sandbox").await;
    let said = audit(&whole).await;
    assert_eq!((&said.violations, said.code), (&BTreeSet::new(), Some(0)), "{:?}", said.looked_at);
    assert!(said.has("8 orders held against all services, 1 of them unfinished, 0 violations"), "{:?}", said.looked_at);

    let expected = plant(&whole, &paid, &declined, &cancelled).await;
    let mut said = audit(&whole).await;
    // Whether ranking has asked for its top again meanwhile is its own business.
    said.violations.retain(|violation| !violation.starts_with("the top of all time is"));
    assert_eq!((said.violations, said.code), (expected, Some(1)), "{:?}", said.looked_at);
    // Of one deal only that is asked.
    let one = told(Some(&whole.ground), &["audit", "--deal", "ten-off"]).await;
    assert_eq!(one, "audit      1 deals, 9 coupons, 0 violations\n");
    whole.end().await;
}

/// Plants a defect of each kind, and tells what has to be said of them.
async fn plant(whole: &Whole, paid: &[String], declined: &str, cancelled: &str) -> BTreeSet<String> {
    let [refunded, twice, stolen, charged, _] = paid else { panic!("five have paid") };
    // The points of an order that has paid are given back.
    let asked = points::RefundPointsRequest { order_id: refunded.clone(), request_id: "by-hand".to_owned() };
    insist(async || whole.point.clone().refund_points(asked.clone()).await).await;
    // Those of another one are given back twice, and that is not even in the ledger.
    whole
        .sql(&format!(
            "ALTER TABLE point.order_use DROP CONSTRAINT order_use_check;
         UPDATE point.order_use SET refunded = 2 * taken WHERE order_id = '{twice}'"
        ))
        .await;
    // An order that has failed has redeemed another coupon of its user.
    let coupon_id = whole.claim("ida").await;
    let (user_id, order_id) = ("ida".to_owned(), declined.to_owned());
    let asked = pb::RedeemCouponRequest { coupon_id: coupon_id.clone(), user_id, order_id };
    insist(async || whole.promotion.clone().redeem_coupon(asked.clone()).await).await;
    // Somebody takes the coupon of an order that has paid back from it.
    let lost = whole.get(stolen).await.coupon_id;
    let asked = pb::RestoreCouponRequest { coupon_id: lost.clone(), order_id: stolen.clone() };
    insist(async || whole.promotion.clone().restore_coupon(asked.clone()).await).await;
    // The provider has charged once more than anybody knows, and somebody says of another order that it cost more.
    let line = std::fs::read_to_string(&whole.log).unwrap();
    let line =
        line.lines().find(|line| line.contains(charged.as_str()) && line.contains("CHARGED")).unwrap().to_owned();
    let mut log = std::fs::OpenOptions::new().append(true).open(&whole.log).unwrap();
    writeln!(log, "{line}").unwrap();
    whole
        .sql(&format!(
            r#"UPDATE "order".orders SET discount = discount - 1 WHERE order_id = '{charged}';
           UPDATE ranking.all_time SET score = score + 2"#
        ))
        .await;
    // A payment of an order that was undone forgets that it was given back.
    whole
        .sql(&format!(
            "ALTER TABLE payment.payment DISABLE TRIGGER ALL;
         ALTER TABLE payment.payment DROP CONSTRAINT payment_refunded;
         UPDATE payment.payment SET refunded = refunded - 1 WHERE order_id = '{cancelled}'"
        ))
        .await;

    let sum = 10_000 - 1_000 - USED;
    [
        format!("order {refunded}: it is PAID, and it has taken 0 points and not given them back, which should be {USED} (I8)"),
        format!("order {twice}: {} points were given back, and {USED} taken (I6)", 2 * USED),
        format!("order {twice}: {} points were given back, and its entry says nothing (I8)", 2 * USED),
        format!("order {twice}: it is PAID, and it has taken -{USED} points and not given them back, which should be {USED} (I8)"),
        format!("order {declined}: it is FAILED, and {coupon_id} is redeemed by it (I8)"),
        format!("order {stolen}: it is PAID, and its coupon {lost} is not redeemed by it (I8)"),
        format!("order {charged}: it was charged 2 times (I7)"),
        format!("order {charged}: its payment says {sum} charged and 0 refunded, the provider {} and 0 (I7)", 2 * sum),
        format!("order {charged}: it is PAID, and {sum} KRW are charged and 0 refunded, which should leave {} KRW (I7)", sum + 1),
        format!("order {cancelled}: it is REFUNDED, and {} of {sum} are refunded (I7)", sum - 1),
        format!("order {cancelled}: its payment says {sum} charged and {} refunded, the provider {sum} and {sum} (I7)", sum - 1),
        format!(
            "order {cancelled}: it is CANCELLED, and {sum} KRW are charged and {} refunded, which should leave 0 KRW (I7)",
            sum - 1
        ),
        "soup has 7 of all time, and its days say 5 (I13)".to_owned(),
        "item soup: orders that count have sold 5, and ranking says 7 (I13)".to_owned(),
    ]
    .into()
}
