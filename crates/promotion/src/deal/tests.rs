//! Rules of deals.

use super::*;

fn wish() -> Wish {
    let off = Off::Percent(10);
    let discount = Discount { off, max_amount: None, min_order: None, valid_for_seconds: None };
    Wish {
        deal_id: DealId::random(),
        title: "Lunch".to_owned(),
        terms: Terms { venue_id: "venue".to_owned(), prize: Prize::Discount(discount) },
        stock: 10,
        opens_at: kit::clock::from_millis(1_000),
        closes_at: kit::clock::from_millis(2_000),
        pass_required: false,
    }
}

fn course() -> Course {
    Course {
        now_ms: 1_500,
        epoch: 1,
        round: 1,
        sequence: 1,
        stock: 10,
        issued: 0,
        live: 0,
        opens_ms: 1_000,
        closes_ms: 2_000,
        closed: false,
        frozen: false,
        entry: EntryId::default(),
    }
}

fn state(course: Course) -> State {
    Deal { wish: wish(), course: Some(course) }.state()
}

fn refused(change: impl FnOnce(&mut Wish, &mut Discount)) -> Option<String> {
    let mut wish = wish();
    let Prize::Discount(mut discount) = wish.terms.prize.clone();
    change(&mut wish, &mut discount);
    wish.terms.prize = Prize::Discount(discount);
    wish.check().err().map(|invalid| invalid.field.into_owned())
}

#[test]
fn a_deal_stands_where_the_clock_and_its_course_say() {
    assert_eq!(state(course()), State::Open);
    assert_eq!(state(Course { now_ms: 999, ..course() }), State::Scheduled);
    assert_eq!(state(Course { now_ms: 1_000, ..course() }), State::Open);
    assert_eq!(state(Course { live: 10, ..course() }), State::SoldOut);
    assert_eq!(state(Course { now_ms: 2_000, live: 10, ..course() }), State::Closed);
    assert_eq!(state(Course { closed: true, ..course() }), State::Closed);
    assert_eq!(state(Course { frozen: true, closed: true, ..course() }), State::Frozen);
    assert_eq!(Deal { wish: wish(), course: None }.state(), State::Frozen);
}

#[test]
fn what_remains_is_the_stock_less_those_alive() {
    assert_eq!(Deal { wish: wish(), course: Some(Course { live: 3, ..course() }) }.remaining(), 7);
    assert_eq!(Deal { wish: wish(), course: None }.remaining(), 0);
}

#[test]
fn a_wish_that_cannot_be_a_deal_names_its_field() {
    let money = |minor_units| Money { currency: "KRW".to_owned(), minor_units };
    assert_eq!(refused(|_, _| ()), None);
    assert_eq!(refused(|wish, _| wish.stock = 0).as_deref(), Some("deal.stock"));
    assert_eq!(refused(|wish, _| wish.stock = STOCK_MOST + 1).as_deref(), Some("deal.stock"));
    assert_eq!(refused(|wish, _| wish.title = "x".repeat(201)).as_deref(), Some("deal.title"));
    assert_eq!(refused(|wish, _| wish.title = "a\0b".to_owned()).as_deref(), Some("deal.title"));
    assert_eq!(refused(|wish, _| wish.closes_at = wish.opens_at).as_deref(), Some("deal.closes_at"));
    for percent in [0, -1, 101] {
        let field = refused(|_, discount| discount.off = Off::Percent(percent));
        assert_eq!(field.as_deref(), Some("deal.prize.discount.percent"));
    }
    let field = refused(|_, discount| discount.off = Off::Amount(money(0)));
    assert_eq!(field.as_deref(), Some("deal.prize.discount.amount"));
    let field = refused(|_, discount| discount.min_order = Some(Money { currency: "won".to_owned(), minor_units: 1 }));
    assert_eq!(field.as_deref(), Some("deal.prize.discount.min_order"));
    let field = refused(|_, discount| discount.valid_for_seconds = Some(0));
    assert_eq!(field.as_deref(), Some("deal.prize.discount.valid_for"));
    let field = refused(|_, discount| {
        discount.off = Off::Amount(money(5));
        discount.max_amount = Some(money(1));
    });
    assert_eq!(field.as_deref(), Some("deal.prize.discount.max_amount"));
}
