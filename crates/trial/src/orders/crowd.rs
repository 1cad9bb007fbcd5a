//! The users: all orders in shuffled order, as many at once as the connections carry, and beside that what becomes of them afterwards.

use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::{StreamExt as _, stream};
use hdrhistogram::Histogram;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::order::v1::{NewOrderLine, Order, PlaceOrderRequest};
use proto::r#type::v1::Money;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::answer::Outcome;
use super::call::{Attempt, insist, timed};
use super::doors::Doors;
use super::journal::{Call, Entry, Journal};
use super::progress::Progress;
use super::props::Coupons;
use super::scene::{CURRENCY, STALE_BY, Scene, Then, Wish};
use crate::rush::backoff::Patience;

/// Everybody who orders, and all they share.
pub(super) struct Crowd<'a> {
    pub(super) scene: &'a Scene,
    pub(super) coupons: &'a Coupons,
    pub(super) doors: &'a Doors,
    pub(super) patience: Patience,
    pub(super) journal: &'a Journal,
    /// When the first order was placed: what is written down counts from here.
    pub(super) begun: Instant,
}

/// What came of the placing.
pub(super) struct Placed {
    /// From the first placing to the last answer to one.
    pub(super) took: Duration,
    /// What each waited, from the first attempt to the definite answer, in microseconds.
    pub(super) waits: Histogram<u64>,
}

/// An order that was placed, and whose user is not done with it.
pub(super) struct Followed {
    pub(super) number: usize,
    pub(super) order_id: String,
}

/// The longest wait that is told apart from longer ones, in microseconds.
const LONGEST_WAIT_US: u64 = 600_000_000;
/// Digits of a wait that are kept.
const WAIT_DIGITS: u8 = 3;

impl Crowd<'_> {
    /// Every order is placed, over `spread`; those that go on are handed to `follow`.
    pub(super) async fn place(
        &self,
        seed: u64,
        spread: Duration,
        progress: &Progress,
        follow: mpsc::UnboundedSender<Followed>,
    ) -> Placed {
        let calls = shuffled(self.scene, seed);
        let every = spread.checked_div(u32::try_from(calls.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let made = stream::iter(calls.iter().enumerate()).map(|(place, (number, call))| {
            let comes = every.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX));
            let follow = follow.clone();
            async move {
                tokio::time::sleep_until((self.begun + comes).into()).await;
                let wait = self.make(*number, *call, place, &follow).await;
                (*call, wait)
            }
        });
        let waits = Histogram::new_with_max(LONGEST_WAIT_US, WAIT_DIGITS);
        let mut waits = waits.expect("the bounds above are ones that a histogram can have");
        let mut made = made.buffer_unordered(self.doors.order.capacity()).boxed_local();
        while let Some((call, wait)) = made.next().await {
            if let Some(wait) = wait {
                waits.saturating_record(u64::try_from(wait.as_micros()).unwrap_or(LONGEST_WAIT_US));
            }
            if call == Call::Place {
                progress.step();
            }
        }
        drop(made);
        Placed { took: self.begun.elapsed(), waits }
    }

    /// One placing. How long its definite answer took.
    async fn make(
        &self,
        number: usize,
        call: Call,
        home: usize,
        follow: &mpsc::UnboundedSender<Followed>,
    ) -> Option<Duration> {
        let wish = &self.scene.wishes[number];
        let started = Instant::now();
        let outcome = self.send(number, call, home, self.request(number)).await;
        let took = started.elapsed();
        if let (Outcome::Ok { order_id, .. }, Call::Place) = (&outcome, call) {
            if wish.is_forged {
                self.send(number, Call::Forge, home, self.forged(number)).await;
            }
            if wish.then != Then::Nothing {
                // Where nobody follows any more, nothing is judged either.
                let _ = follow.unbounded_send(Followed { number, order_id: order_id.clone() });
            }
        }
        outcome.is_definite().then_some(took)
    }

    async fn send(&self, number: usize, call: Call, home: usize, request: PlaceOrderRequest) -> Outcome {
        self.journalled(number, call, home, async |channel| {
            OrderServiceClient::new(channel).place_order(timed(request.clone(), self.patience)).await
        })
        .await
    }

    /// Asks until the outcome is known, and writes each attempt down.
    pub(super) async fn journalled(
        &self,
        number: usize,
        call: Call,
        home: usize,
        ask: impl AsyncFn(Channel) -> Result<Response<Order>, Status>,
    ) -> Outcome {
        let told = |attempt: Attempt<'_, Order>| {
            self.journal.write(Entry {
                number,
                call,
                attempt: attempt.number,
                sent_ms: ms(attempt.sent.saturating_duration_since(self.begun)),
                ms: ms(attempt.took),
                outcome: Outcome::read(attempt.reply),
            });
        };
        Outcome::read(&insist(&self.doors.order, self.patience, home, ask, told).await)
    }

    fn request(&self, number: usize) -> PlaceOrderRequest {
        let wish = &self.scene.wishes[number];
        let coupon = wish.coupon.and_then(|coupon| self.coupons.get(&(coupon.deal, coupon.holder)));
        PlaceOrderRequest {
            user_id: self.scene.user_of(wish).user_id.clone(),
            lines: self.lines(wish),
            coupon_id: coupon.cloned().unwrap_or_default(),
            hold_id: String::new(),
            points_to_use: wish.points,
            payment_method: wish.method.as_str().to_owned(),
            request_id: self.scene.request_id(number),
        }
    }

    /// The same request id, and one more of the first item.
    fn forged(&self, number: usize) -> PlaceOrderRequest {
        let mut request = self.request(number);
        for line in request.lines.iter_mut().take(1) {
            line.quantity += 1;
        }
        request
    }

    fn lines(&self, wish: &Wish) -> Vec<NewOrderLine> {
        let lines = wish.lines.iter().enumerate().map(|(place, line)| {
            let item = &self.scene.items[line.item];
            let stale_by = if wish.is_stale && place == 0 { STALE_BY } else { 0 };
            NewOrderLine {
                item_id: item.item_id.clone(),
                quantity: line.quantity,
                expected_unit_price: Some(Money { currency: CURRENCY.to_owned(), minor_units: item.price + stale_by }),
            }
        });
        lines.collect()
    }
}

/// One placing of each order, and a second one of some: half of these right behind the first, as with a double click, the others after
/// everything.
fn shuffled(scene: &Scene, seed: u64) -> Vec<(usize, Call)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut numbers: Vec<usize> = (0..scene.wishes.len()).collect();
    numbers.shuffle(&mut rng);
    let mut calls = Vec::with_capacity(numbers.len());
    let mut later = Vec::new();
    for number in numbers {
        calls.push((number, Call::Place));
        if scene.wishes[number].is_double {
            if rng.random_bool(0.5) { &mut calls } else { &mut later }.push((number, Call::Again));
        }
    }
    calls.extend(later);
    calls
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Args;
    use crate::orders::scene::imagine;

    #[test]
    fn every_order_is_placed_once_and_some_twice_in_an_order_that_the_seed_decides() {
        let scene = imagine(&Args { orders: 1_000, ..Args::default() }, "r1", 1);
        let calls = shuffled(&scene, 7);
        let count = |call| calls.iter().filter(|(_, made)| *made == call).count();
        assert_eq!((count(Call::Place), count(Call::Again)), (1_000, 50));
        assert_eq!(calls, shuffled(&scene, 7));
        assert_ne!(calls, shuffled(&scene, 8));
    }
}
