//! Every way in which an order may end, and every way in which somebody may say something else.

use order::order::State;

use super::*;

/// An order that was paid with everything, and what everybody says of it.
fn paid() -> (End, Effects) {
    let end = End {
        order_id: "o1".to_owned(),
        user_id: "ann".to_owned(),
        state: State::Paid,
        coupon_id: Some("lunch-1".to_owned()),
        points: 300,
        charge: 5_000,
        currency: "KRW".to_owned(),
        finished: true,
        counted: true,
        lines: vec![("soup".to_owned(), 2), ("rice".to_owned(), 1)],
    };
    let mut effects = Effects::default();
    effects.redeemed.insert("o1".to_owned(), vec!["lunch-1".to_owned()]);
    effects.points.insert("o1".to_owned(), 300);
    effects.paid.insert("o1".to_owned(), charge(5_000, 0));
    (end, effects)
}

/// The same order, undone, and nothing left of it.
fn undone(state: State) -> (End, Effects) {
    let (end, _) = paid();
    let mut effects = Effects::default();
    effects.points.insert("o1".to_owned(), 0);
    effects.paid.insert("o1".to_owned(), Paid { state: Payment::Refunded, ..charge(5_000, 5_000) });
    (End { state, counted: false, ..end }, effects)
}

fn charge(charged: i64, refunded: i64) -> Paid {
    Paid { state: Payment::Charged, charged, refunded, currency: "KRW".to_owned() }
}

#[test]
fn whoever_has_paid_has_everything_once_and_whoever_is_undone_nothing() {
    for state in [State::Paid, State::Preparing, State::Shipping, State::Delivered] {
        let (end, effects) = paid();
        assert_eq!(order(&End { state, ..end }, &effects), Vec::<String>::new());
    }
    for state in [State::Cancelled, State::Failed] {
        let (end, mut effects) = undone(state);
        assert_eq!(order(&end, &effects), Vec::<String>::new());
        effects.paid.insert("o1".to_owned(), Paid { state: Payment::Declined, ..charge(0, 0) });
        assert_eq!(order(&end, &effects), Vec::<String>::new());
        assert_eq!(order(&end, &Effects::default()), Vec::<String>::new(), "nobody was ever asked");
    }
    let (end, _) = paid();
    let free = End { coupon_id: None, points: 0, charge: 0, ..end };
    assert_eq!(order(&free, &Effects::default()), Vec::<String>::new());
}

#[test]
fn what_is_missing_of_a_paid_order_is_found() {
    let said = |change: &dyn Fn(&mut Effects)| {
        let (end, mut effects) = paid();
        change(&mut effects);
        order(&end, &effects)
    };
    let one = |what: &str| vec![format!("order o1: it is PAID, and {what}")];
    assert_eq!(said(&|effects| effects.redeemed.clear()), one("its coupon lunch-1 is not redeemed by it (I8)"));
    assert_eq!(
        said(&|effects| effects.redeemed.entry("o1".to_owned()).or_default().push("lunch-2".to_owned())),
        one("lunch-1, lunch-2 are redeemed by it, and not lunch-1 alone (I8)")
    );
    for (taken, words) in [(0, "0"), (600, "600"), (-300, "-300")] {
        let what = format!("it has taken {words} points and not given them back, which should be 300 (I8)");
        assert_eq!(
            said(&|effects| {
                effects.points.insert("o1".to_owned(), taken);
            }),
            one(&what)
        );
    }
    assert_eq!(said(&|effects| effects.paid.clear()), one("nothing of 5000 KRW is charged (I7)"));
    let pending = Paid { state: Payment::Pending, ..charge(0, 0) };
    let paid = |paid: &Paid| said(&|effects| drop(effects.paid.insert("o1".to_owned(), paid.clone())));
    assert_eq!(paid(&pending), one("its payment is still PENDING (I8)"));
    for (charged, refunded, currency) in
        [(4_999, 0, "KRW"), (5_000, 1, "KRW"), (10_000, 5_000, "KRW"), (5_000, 0, "EUR")]
    {
        let what =
            format!("{charged} {currency} are charged and {refunded} refunded, which should leave 5000 KRW (I7)");
        assert_eq!(paid(&Paid { currency: currency.to_owned(), ..charge(charged, refunded) }), one(&what));
    }
}

#[test]
fn what_is_left_of_an_undone_order_is_found() {
    let said = |change: &dyn Fn(&mut Effects)| {
        let (end, mut effects) = undone(State::Failed);
        change(&mut effects);
        order(&end, &effects)
    };
    let one = |what: &str| vec![format!("order o1: it is FAILED, and {what}")];
    let redeemed = |effects: &mut Effects| drop(effects.redeemed.insert("o1".to_owned(), vec!["lunch-1".to_owned()]));
    assert_eq!(said(&redeemed), one("lunch-1 is redeemed by it (I8)"));
    let over = said(&|effects| {
        redeemed(effects);
        effects.over.insert("lunch-1".to_owned());
    });
    assert_eq!(over, Vec::<String>::new(), "its deal is archived: nothing of it changes any more");
    for taken in [300, -300] {
        let what = format!("it has taken {taken} points and not given them back, which should be 0 (I8)");
        assert_eq!(
            said(&|effects| {
                effects.points.insert("o1".to_owned(), taken);
            }),
            one(&what)
        );
    }
    let charged = said(&|effects| drop(effects.paid.insert("o1".to_owned(), charge(5_000, 0))));
    assert_eq!(charged, one("5000 KRW are charged and 0 refunded, which should leave 0 KRW (I7)"));
}

#[test]
fn what_was_sold_is_what_counts_and_what_is_on_its_way_may_count() {
    let mut sold = Sold::default();
    let (counts, _) = paid();
    let (gone, _) = undone(State::Cancelled);
    sold.count(&counts);
    sold.count(&gone);
    let ranked = |soup: i64, rice: i64| HashMap::from([("soup".to_owned(), soup), ("rice".to_owned(), rice)]);
    assert_eq!(sold.against(&ranked(2, 1)), Vec::<String>::new());
    let wrong = "item soup: orders that count have sold 2, and ranking says 3 (I13)";
    assert_eq!(sold.against(&ranked(3, 1)), [wrong]);
    sold.count(&End { state: State::Cancelling, finished: false, ..gone });
    assert_eq!(sold.against(&ranked(3, 1)), Vec::<String>::new());
    assert_eq!(sold.against(&ranked(5, 1)).len(), 1);
    assert_eq!(sold.against(&ranked(2, 0)).len(), 1);
    let unheard = HashMap::from([("soup".to_owned(), 2), ("rice".to_owned(), 1), ("tea".to_owned(), 1)]);
    assert_eq!(sold.against(&unheard), ["item tea: orders that count have sold 0, and ranking says 1 (I13)"]);
}
