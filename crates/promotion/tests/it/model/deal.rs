//! What a deal should do: the documented rules, written once more without Redis.

use std::collections::HashMap;

use promotion::deal::Refusal;

/// A deal, by its rules.
#[derive(Default)]
pub struct Model {
    pub stock: i64,
    pub version: i64,
    pub round: i64,
    pub sequence: i64,
    pub issued: i64,
    pub held: HashMap<u8, Share>,
    pub closed: bool,
    opens_ms: i64,
    closes_ms: i64,
    seats: i64,
    free: Vec<i64>,
}

/// What a user took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    pub rank: i64,
    pub seat: i64,
    pub claimed_ms: i64,
    pub returned: bool,
}

/// What a claim is told; ranks come with the instant of the yes, in milliseconds.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Won(i64, i64),
    Held(i64, i64),
    Returned(i64, i64),
    Late,
    NotOpen,
    Closed,
    SoldOut,
}

impl Model {
    pub fn new(stock: i64, opens_ms: i64, closes_ms: i64) -> Self {
        Self { stock, version: 1, round: 1, sequence: 1, opens_ms, closes_ms, ..Self::default() }
    }

    /// Coupons that are alive.
    pub fn live(&self) -> i64 {
        self.seats - i64::try_from(self.free.len()).unwrap()
    }

    /// A batch. The end is recorded once, by the first batch that comes after it.
    pub fn claim(&mut self, users: &[u8], now_ms: i64, not_after_ms: i64) -> Vec<Told> {
        if !self.closed && now_ms >= self.closes_ms {
            self.closed = true;
            self.sequence += 1;
        }
        let before = self.issued;
        let told = users.iter().map(|user| self.claim_one(*user, now_ms, not_after_ms)).collect();
        self.sequence += i64::from(self.issued > before);
        told
    }

    /// The documented order: a holder is answered whatever else is true.
    fn claim_one(&mut self, user: u8, now_ms: i64, not_after_ms: i64) -> Told {
        match self.held.get(&user) {
            Some(Share { rank, claimed_ms, returned: false, .. }) => return Told::Held(*rank, *claimed_ms),
            Some(Share { rank, claimed_ms, returned: true, .. }) => return Told::Returned(*rank, *claimed_ms),
            None if now_ms > not_after_ms => return Told::Late,
            None if now_ms < self.opens_ms => return Told::NotOpen,
            None if self.closed => return Told::Closed,
            None if self.live() >= self.stock => return Told::SoldOut,
            None => {}
        }
        let seat = self.free.pop().unwrap_or_else(|| {
            self.seats += 1;
            self.seats
        });
        self.issued += 1;
        self.held.insert(user, Share { rank: self.issued, seat, claimed_ms: now_ms, returned: false });
        Told::Won(self.issued, now_ms)
    }

    /// A return; it is taken back also after the end.
    pub fn give_back(&mut self, user: u8, rank: i64) -> &'static str {
        match self.held.get_mut(&user) {
            Some(share) if share.rank == rank && share.returned => "yes",
            Some(share) if share.rank == rank => {
                share.returned = true;
                self.free.push(share.seat);
                self.round += 1;
                self.sequence += 1;
                "yes"
            }
            Some(_) | None if rank <= self.issued => "not owner",
            Some(_) | None => "not found",
        }
    }

    /// The stock in force, and why an order was refused.
    pub fn update(&mut self, stock: i64, version: i64, now_ms: i64) -> (i64, Option<Refusal>) {
        if version <= self.version {
            return (self.stock, None);
        }
        self.version = version;
        if self.closed || now_ms >= self.closes_ms {
            return (self.stock, Some(Refusal::DealOver));
        }
        if stock < self.stock {
            return (self.stock, Some(Refusal::StockShrinks));
        }
        if stock > self.stock {
            self.stock = stock;
            self.round += 1;
            self.sequence += 1;
        }
        (self.stock, None)
    }
}
