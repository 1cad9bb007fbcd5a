//! Participants of the tests' own. They do as a participant has to: a step takes effect once, an undo leaves its mark, and whoever asks
//! again is answered again. And they can be told to refuse, to be silent, and to repeat themselves.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bus::consumer::{Consumer, Effects};
use bus::event::NewEvent;
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::{Outbox, Told};
use bus::relay::outbox::Relay;
use kit::boot::Process;
use kit::config::{Secret, Servers};
use kit::postgres::{Schema, Tx};
use prost::Message as _;
use proto::order::v1 as pb;
use proto::r#type::v1::{StepAnswer, StepKind};
use sqlx::migrate::Migrator;

/// Who answers to what.
const SERVICES: [(&str, &str); 4] = [
    ("promotion", "booster.order.v1.CouponRequested"),
    ("reservation", "booster.order.v1.HoldRequested"),
    ("point", "booster.order.v1.PointsRequested"),
    ("payment", "booster.order.v1.PaymentRequested"),
];

/// How participants behave to the orders of one user.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// They refuse to do this.
    pub refuses: Option<&'static str>,
    /// They do not answer so many requests to do this, and answer each later one.
    pub silent: Option<(&'static str, usize)>,
    /// They do it at the first request, but answer only from the second undo on.
    pub late: Option<&'static str>,
    /// How often they say each answer besides.
    pub repeats: usize,
    /// What the coupon is worth, in per cent.
    pub percent: i32,
}

/// What has happened, by service.
#[derive(Debug, Default)]
struct World {
    manners: HashMap<String, Manners>,
    /// (service, order)
    effects: HashSet<(String, String)>,
    marks: HashSet<(String, String)>,
    answers: HashMap<(String, String, i32), StepAnswer>,
    /// (service, order, kind): how often it was asked.
    asked: HashMap<(String, String, i32), usize>,
    /// Amounts that were asked for.
    amounts: HashMap<String, i64>,
}

/// All participants.
#[derive(Clone, Default)]
pub struct Participants(Arc<Mutex<World>>);

impl Participants {
    /// Makes their places on the servers. Nobody holds tables yet: of reservation there is not even a schema.
    pub async fn prepare(servers: &Servers, admin_url: &Secret) {
        let bus = Migrator::new(trial::ground::root().join("migrations/bus")).await.unwrap();
        let own = Box::leak(Box::new(Migrator::with_migrations(Vec::new())));
        let schema = Schema { service: "reservation", bus: Box::leak(Box::new(bus)), own };
        kit::postgres::migrate(admin_url, servers, &schema).await.unwrap();
        for (service, _) in SERVICES {
            bus::topic::make(servers, service).await.unwrap();
        }
    }

    /// Starts them in `process`.
    pub async fn start(process: &Process, servers: &Servers) -> Self {
        let participants = Self::default();
        for (service, wants) in SERVICES {
            let pool = kit::postgres::connect(servers, service).await.unwrap();
            let outbox = Outbox::default();
            let relay = Relay {
                service,
                servers: servers.clone(),
                pool: pool.clone(),
                connection: kit::postgres::options(servers, service).unwrap(),
                outbox: outbox.clone(),
                delivery_timeout: None,
            };
            bus::relay::outbox::spawn(process, relay).await.unwrap();
            let effects = Participant { service, wants, outbox, world: participants.clone() };
            let name = format!("{service}.test");
            let consumer = Consumer::new(&name, service, vec![bus::topic::name("order")], effects);
            bus::consumer::spawn(process, servers, pool, consumer).unwrap();
        }
        participants
    }

    /// How they behave to this user's orders.
    pub fn behave(&self, user_id: &str, manners: Manners) {
        self.0.lock().unwrap().manners.insert(user_id.to_owned(), manners);
    }

    /// Whose effects of an order are there.
    pub fn effects(&self, order_id: &str) -> Vec<&'static str> {
        let world = self.0.lock().unwrap();
        let there = |service: &&str| world.effects.contains(&((*service).to_owned(), order_id.to_owned()));
        SERVICES.map(|(service, _)| service).into_iter().filter(there).collect()
    }

    /// How often one of them was asked.
    pub fn asked(&self, service: &str, order_id: &str, kind: StepKind) -> usize {
        let key = (service.to_owned(), order_id.to_owned(), kind.into());
        self.0.lock().unwrap().asked.get(&key).copied().unwrap_or_default()
    }

    /// What payment was asked to charge.
    pub fn amount(&self, order_id: &str) -> Option<i64> {
        self.0.lock().unwrap().amounts.get(order_id).copied()
    }
}

struct Participant {
    service: &'static str,
    wants: &'static str,
    outbox: Outbox,
    world: Participants,
}

impl Effects for Participant {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let mut told = Vec::new();
        for event in events {
            // All requests have order and kind in the same places.
            let asked = pb::PaymentRequested::decode(event.payload.clone()).unwrap();
            told.extend(self.answers(&asked));
        }
        self.outbox.tell(tx, &told).await
    }

    fn wants(&self, kind: &str) -> bool {
        kind == self.wants
    }
}

impl Participant {
    fn answers(&self, asked: &pb::PaymentRequested) -> Vec<NewEvent> {
        let order = asked.order.as_ref().unwrap();
        let mut world = self.world.0.lock().unwrap();
        let manners = world.manners.get(&order.user_id).cloned().unwrap_or_default();
        let key = (self.service.to_owned(), order.order_id.clone());
        let counted = world.asked.entry((key.0.clone(), key.1.clone(), asked.kind)).or_default();
        *counted += 1;
        let nth = *counted;
        if let Some(amount) = &asked.amount {
            world.amounts.insert(order.order_id.clone(), amount.minor_units);
        }
        let is_do = asked.kind() == StepKind::Do;
        if is_do && manners.silent.is_some_and(|(service, times)| service == self.service && nth <= times) {
            return Vec::new();
        }
        let answer = world.answer(&key, asked, manners.refuses == Some(self.service));
        let is_late = manners.late == Some(self.service) && (is_do || nth < 2);
        let mut answers = if is_late { Vec::new() } else { vec![answer.clone()] };
        if !is_do && manners.late == Some(self.service) && nth >= 2 {
            // The late yes comes after the answer to the undo.
            answers.extend(world.answers.get(&(key.0.clone(), key.1.clone(), StepKind::Do.into())).cloned());
        }
        for _ in 0..manners.repeats {
            answers.extend(answers.clone());
            answers.truncate(manners.repeats + 1);
        }
        answers.into_iter().map(|answer| self.event(answer, manners.percent)).collect()
    }

    fn event(&self, answer: StepAnswer, percent: i32) -> NewEvent {
        use proto::promotion::v1 as promotion;
        let subject = answer.order_id.clone();
        let (kind, payload) = match self.service {
            "promotion" => {
                let off = Some(promotion::discount::Off::Percent(percent));
                let discount = promotion::Discount { off, ..promotion::Discount::default() };
                let prize = Some(promotion::Prize { kind: Some(promotion::prize::Kind::Discount(discount)) });
                let coupon = answer.done.then(|| promotion::Coupon { prize, ..promotion::Coupon::default() });
                let answered = promotion::CouponStepAnswered { answer: Some(answer), coupon };
                ("promotion.v1.CouponStepAnswered", answered.encode_to_vec())
            }
            "reservation" => {
                let answered = proto::reservation::v1::HoldStepAnswered { answer: Some(answer) };
                ("reservation.v1.HoldStepAnswered", answered.encode_to_vec())
            }
            "point" => {
                let answered = proto::point::v1::PointsStepAnswered { answer: Some(answer), ..Default::default() };
                ("point.v1.PointsStepAnswered", answered.encode_to_vec())
            }
            _ => {
                let answered = proto::payment::v1::PaymentStepAnswered { answer: Some(answer), payment: None };
                ("payment.v1.PaymentStepAnswered", answered.encode_to_vec())
            }
        };
        let (kind, partition_key) = (format!("booster.{kind}"), subject.clone());
        NewEvent { kind, subject, sequence: 1, partition_key, payload: payload.into() }
    }
}

impl World {
    fn answer(&mut self, key: &(String, String), asked: &pb::PaymentRequested, refuses: bool) -> StepAnswer {
        let known = (key.0.clone(), key.1.clone(), asked.kind);
        if let Some(answer) = self.answers.get(&known) {
            return answer.clone();
        }
        let is_do = asked.kind() == StepKind::Do;
        let done = !is_do || !(refuses || self.marks.contains(key));
        if is_do && done {
            self.effects.insert(key.clone());
        } else if !is_do {
            self.effects.remove(key);
            self.marks.insert(key.clone());
        }
        let cause = if done { String::new() } else { "NOT_TODAY".to_owned() };
        let answer = StepAnswer { order_id: key.1.clone(), kind: asked.kind, done, cause };
        self.answers.insert(known, answer.clone());
        answer
    }
}
