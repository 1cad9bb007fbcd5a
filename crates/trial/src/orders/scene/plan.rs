//! How a scene is made of a seed. Shares are exact: of 200 orders with 10% declined 20 are.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::{Coupon, Deal, Item, Line, Method, Prize, Purse, Scene, Then, User, When, Wish, subtotal};
use crate::orders::{Args, Share};

/// Items of which there is enough; the first is the hot one.
const ITEMS: usize = 20;
/// The share of orders that want the hot item, that of those with a second line, and with a third.
const HOT: f64 = 0.3;
const SECOND_LINE: f64 = 0.3;
const THIRD_LINE: f64 = 0.3;
/// Of one line, at most.
const QUANTITY_MOST: i64 = 3;
/// How many orders a user has on average.
const ORDERS_OF_USER: usize = 4;
const USERS_LEAST: usize = 10;
/// The first user orders far more than all others: his account is a hot one. He holds no coupons, of which there is one for each deal.
const KEEN: f64 = 0.05;
/// What some orders are, in thousandths of all.
const SCARCE: usize = 20;
const STALE: usize = 10;
const DOUBLE: usize = 50;
const FORGED: usize = 10;
/// Of the orders with a coupon: the share that want one that another order of the same user wants, and that of another user.
const CONTENDED: f64 = 0.03;
const STOLEN: f64 = 0.02;
/// The share of orders with points that ask for more than they cost.
const ALL_BY_POINTS: f64 = 0.15;
/// The share of orders that are moved on, of those that nobody cancels.
const ADVANCED: f64 = 0.03;
/// What is left to a user whose points are enough.
const CHANGE: i64 = 1_000;

/// The scene of this run.
pub(in crate::orders) fn imagine(args: &Args, run: &str, seed: u64) -> Scene {
    let mut rng = StdRng::seed_from_u64(seed);
    let orders = args.orders as usize;
    let mut items = items(run);
    let mut users = users(run, orders);
    let mut wishes: Vec<Wish> = (0..orders).map(|_| wish(&mut rng, users.len())).collect();
    for number in some(&mut rng, orders, orders * SCARCE / 1000) {
        wishes[number].lines.push(Line { item: ITEMS, quantity: 1 });
    }
    for number in some(&mut rng, orders, orders * STALE / 1000) {
        wishes[number].is_stale = true;
    }
    for number in some(&mut rng, orders, orders * DOUBLE / 1000) {
        wishes[number].is_double = true;
    }
    for number in some(&mut rng, orders, orders * FORGED / 1000) {
        wishes[number].is_forged = true;
    }
    choose_methods(&mut rng, args, &mut wishes);
    choose_ends(&mut rng, args.cancelled, &mut wishes);
    let deals = give_coupons(&mut rng, args.coupons, run, &mut wishes);
    give_points(&mut rng, args.points, &items, &mut wishes, &mut users);
    stock_up(&mut items, &wishes);
    Scene { run: run.to_owned(), items, deals, users, wishes }
}

fn items(run: &str) -> Vec<Item> {
    let item = |number: usize| Item {
        item_id: format!("{run}-item-{number}"),
        price: 3_000 + 499 * number as i64,
        stock: 0,
        is_scarce: number == ITEMS,
    };
    (0..=ITEMS).map(item).collect()
}

fn users(run: &str, orders: usize) -> Vec<User> {
    let user = |number: usize| {
        let purse = match number {
            _ if number % 50 == 2 => Purse::Empty,
            _ if number % 20 == 1 => Purse::Tight,
            _ => Purse::Full,
        };
        User { user_id: format!("{run}-user-{number}"), earned: 0, purse }
    };
    (0..(orders / ORDERS_OF_USER).max(USERS_LEAST)).map(user).collect()
}

fn wish(rng: &mut StdRng, users: usize) -> Wish {
    let user = if rng.random_bool(KEEN) { 0 } else { rng.random_range(1..users) };
    let mut items = BTreeSet::from([if rng.random_bool(HOT) { 0 } else { rng.random_range(1..ITEMS) }]);
    if rng.random_bool(SECOND_LINE) {
        items.insert(rng.random_range(0..ITEMS));
        if rng.random_bool(THIRD_LINE) {
            items.insert(rng.random_range(0..ITEMS));
        }
    }
    let lines = items.into_iter().map(|item| Line { item, quantity: rng.random_range(1..=QUANTITY_MOST) }).collect();
    Wish {
        user,
        lines,
        coupon: None,
        points: 0,
        method: Method::Charge,
        is_stale: false,
        is_double: false,
        is_forged: false,
        then: Then::Nothing,
    }
}

/// So many different numbers below `whole`, in any order.
fn some(rng: &mut StdRng, whole: usize, count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..whole).collect();
    numbers.shuffle(rng);
    numbers.truncate(count);
    numbers
}

fn choose_methods(rng: &mut StdRng, args: &Args, wishes: &mut [Wish]) {
    let orders = wishes.len();
    let shares = [(args.declined, Method::Decline), (args.dropped, Method::Drop), (args.late, Method::Late)];
    let mut numbers = some(rng, orders, orders).into_iter();
    for (share, method) in shares {
        for number in numbers.by_ref().take(share.of(orders)) {
            wishes[number].method = method;
        }
    }
}

fn choose_ends(rng: &mut StdRng, cancelled: Share, wishes: &mut [Wish]) {
    for wish in wishes.iter_mut().filter(|_| rng.random_bool(ADVANCED)) {
        wish.then = Then::Advance(1);
    }
    for wish in wishes.iter_mut().filter(|wish| wish.then != Then::Nothing) {
        wish.then = Then::Advance(rng.random_range(1..=3));
    }
    for (place, number) in some(rng, wishes.len(), cancelled.of(wishes.len())).into_iter().enumerate() {
        wishes[number].then =
            Then::Cancel([When::AtOnce, When::Paid, When::AtOnce, When::Paid, When::Preparing][place % 5]);
    }
}

/// Each user has one coupon of each deal at most: his first is of the first deal, his second of the second.
fn give_coupons(rng: &mut StdRng, share: Share, run: &str, wishes: &mut [Wish]) -> Vec<Deal> {
    let mut numbers: Vec<usize> = (0..wishes.len()).filter(|number| wishes[*number].user != 0).collect();
    numbers.shuffle(rng);
    numbers.truncate(share.of(wishes.len()));
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    let mut thieves = Vec::new();
    for number in numbers {
        let wish = &mut wishes[number];
        let count = held.entry(wish.user).or_default();
        if rng.random_bool(STOLEN) {
            thieves.push(number);
            continue;
        }
        if *count == 0 || !rng.random_bool(CONTENDED) {
            *count += 1;
        }
        wish.coupon = Some(Coupon { deal: *count - 1, holder: wish.user, is_contended: false });
    }
    let owned: Vec<Coupon> = wishes.iter().filter_map(|wish| wish.coupon).collect();
    let mut wanted: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for coupon in &owned {
        *wanted.entry((coupon.deal, coupon.holder)).or_default() += 1;
    }
    for coupon in wishes.iter_mut().filter_map(|wish| wish.coupon.as_mut()) {
        coupon.is_contended = wanted[&(coupon.deal, coupon.holder)] > 1;
    }
    for number in thieves.into_iter().filter(|_| !owned.is_empty()) {
        let loot = owned[rng.random_range(0..owned.len())];
        wishes[number].coupon = (loot.holder != wishes[number].user).then_some(loot);
    }
    deals(run, wanted.into_keys())
}

fn deals(run: &str, claims: impl Iterator<Item = (usize, usize)>) -> Vec<Deal> {
    let mut deals: Vec<Deal> = Vec::new();
    // In the order of deals, of which none is left out: who has a coupon of the second deal has one of the first.
    for (deal, holder) in claims {
        if deal == deals.len() {
            let deal_id = format!("{run}-deal-{deal}");
            deals.push(Deal { deal_id, prize: Prize::of_deal(deal), holders: BTreeSet::new() });
        }
        deals[deal].holders.insert(holder);
    }
    deals
}

fn give_points(rng: &mut StdRng, share: Share, items: &[Item], wishes: &mut [Wish], users: &mut [User]) {
    let mut wanted = vec![0; users.len()];
    for number in some(rng, wishes.len(), share.of(wishes.len())) {
        let wish = &mut wishes[number];
        let subtotal = subtotal(items, &wish.lines);
        wish.points = if rng.random_bool(ALL_BY_POINTS) { subtotal * 2 } else { rng.random_range(1..=subtotal / 2) };
        wanted[wish.user] += wish.points.min(subtotal);
    }
    for (user, wanted) in users.iter_mut().zip(wanted).filter(|(_, wanted)| *wanted > 0) {
        user.earned = match user.purse {
            Purse::Full => wanted + CHANGE,
            Purse::Tight => wanted / 2,
            Purse::Empty => 0,
        };
    }
}

/// As many as are wanted, were it all at once; of the scarce one half of that.
fn stock_up(items: &mut [Item], wishes: &[Wish]) {
    for line in wishes.iter().flat_map(|wish| &wish.lines) {
        items[line.item].stock += line.quantity;
    }
    for item in items.iter_mut().filter(|item| item.is_scarce) {
        item.stock /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(orders: u32, seed: u64) -> Scene {
        imagine(&Args { orders, ..Args::default() }, "r1", seed)
    }

    fn count(scene: &Scene, is: impl Fn(&Wish) -> bool) -> usize {
        scene.wishes.iter().filter(|wish| is(wish)).count()
    }

    #[test]
    fn the_seed_decides_everything() {
        assert_eq!(scene(500, 7), scene(500, 7));
        assert_ne!(scene(500, 7), scene(500, 8));
    }

    #[test]
    fn shares_are_what_was_asked_for() {
        let scene = scene(2_000, 1);
        assert_eq!(count(&scene, |wish| wish.method == Method::Decline), 200);
        assert_eq!(count(&scene, |wish| wish.method == Method::Drop), 100);
        assert_eq!(count(&scene, |wish| wish.method == Method::Late), 40);
        assert_eq!(count(&scene, |wish| matches!(wish.then, Then::Cancel(_))), 100);
        assert_eq!(count(&scene, |wish| wish.points > 0), 1_000);
        assert!((950..=1_000).contains(&count(&scene, |wish| wish.coupon.is_some())));
        assert!(count(&scene, Wish::is_thief) > 0);
        assert!(count(&scene, |wish| wish.coupon.is_some_and(|coupon| coupon.is_contended)) > 0);
    }

    #[test]
    fn whoever_redeems_has_claimed_before_and_holds_one_of_each_deal() {
        let scene = scene(2_000, 1);
        for coupon in scene.wishes.iter().filter_map(|wish| wish.coupon) {
            assert!(scene.deals[coupon.deal].holders.contains(&coupon.holder), "{coupon:?}");
        }
        assert_eq!(scene.claims().len(), scene.deals.iter().map(|deal| deal.holders.len()).sum::<usize>());
    }

    #[test]
    fn there_is_enough_of_everything_but_of_the_scarce_item() {
        let scene = scene(2_000, 1);
        let wanted = |number: usize| -> i64 {
            let lines = scene.wishes.iter().flat_map(|wish| &wish.lines);
            lines.filter(|line| line.item == number).map(|line| line.quantity).sum()
        };
        for (number, item) in scene.items.iter().enumerate() {
            assert_eq!(item.stock, if item.is_scarce { wanted(number) / 2 } else { wanted(number) }, "{item:?}");
            assert!(item.stock > 0);
        }
        assert!(wanted(0) > 4 * wanted(5), "the first one is hot");
    }

    #[test]
    fn a_few_orders_can_be_imagined_too() {
        for orders in [1, 2, 10] {
            assert_eq!(scene(orders, 3).wishes.len(), orders as usize);
        }
    }
}
