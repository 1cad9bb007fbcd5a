//! What a deal should do: the documented rules, written once more without Redis.

use std::collections::{HashMap, HashSet};

use promotion::deal::{Decision, Patch, Refusal};
use promotion::redis::Unfit;

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
    pub opens_ms: i64,
    pub closes_ms: i64,
    decided: Option<Decision>,
    seats: i64,
    free: Vec<i64>,
    /// Orders that can never redeem a rank: they have restored it.
    barred: HashSet<(i64, u8)>,
    /// How long a coupon is valid, in milliseconds; none: for ever.
    valid_ms: Option<i64>,
}

/// What a user took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    pub rank: i64,
    pub seat: i64,
    pub claimed_ms: i64,
    pub returned: bool,
    /// Counts the coupon's changes.
    pub version: i64,
    /// The order that has redeemed it.
    pub order: Option<u8>,
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
    pub fn new(stock: i64, (opens_ms, closes_ms): (i64, i64), valid_ms: Option<i64>) -> Self {
        Self { stock, version: 1, round: 1, sequence: 1, opens_ms, closes_ms, valid_ms, ..Self::default() }
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
            None if now_ms < self.opens_ms && !self.closed => return Told::NotOpen,
            None if self.closed => return Told::Closed,
            None if self.live() >= self.stock => return Told::SoldOut,
            None => {}
        }
        let seat = self.free.pop().unwrap_or_else(|| {
            self.seats += 1;
            self.seats
        });
        self.issued += 1;
        self.held.insert(user, Share::new(self.issued, seat, now_ms));
        Told::Won(self.issued, now_ms)
    }

    /// A return; it is taken back also after the end.
    pub fn give_back(&mut self, user: u8, rank: i64, now_ms: i64) -> Result<(), Unfit> {
        let expired = self.is_expired(user, now_ms);
        let share = self.held_by(user, rank)?;
        if !share.returned {
            if share.order.is_some() {
                return Err(Unfit::Refused(Refusal::CouponRedeemed));
            }
            if expired {
                return Err(Unfit::Refused(Refusal::CouponExpired));
            }
            share.returned = true;
            share.version += 1;
            let seat = share.seat;
            self.free.push(seat);
            self.round += 1;
            self.sequence += 1;
        }
        Ok(())
    }

    /// An order uses a coupon. Deal and end do not matter; what it has undone it cannot do any more.
    pub fn redeem(&mut self, user: u8, rank: i64, order: u8, now_ms: i64) -> Result<(), Unfit> {
        let (expired, barred) = (self.is_expired(user, now_ms), self.barred.contains(&(rank, order)));
        let share = self.held_by(user, rank)?;
        match share.order {
            _ if share.returned => Err(Unfit::Refused(Refusal::CouponReturned)),
            Some(other) if other == order => Ok(()),
            Some(_) => Err(Unfit::Refused(Refusal::CouponRedeemed)),
            None if expired => Err(Unfit::Refused(Refusal::CouponExpired)),
            None if barred => Err(Unfit::Refused(Refusal::CouponOtherOrder)),
            None => {
                share.order = Some(order);
                share.version += 1;
                Ok(())
            }
        }
    }

    /// An order undoes its use of a coupon, also before it has used it.
    pub fn restore(&mut self, rank: i64, order: u8) -> Result<(), Unfit> {
        if rank > self.issued {
            return Err(Unfit::Refused(Refusal::CouponNotFound));
        }
        self.barred.insert((rank, order));
        let share = self.held.values_mut().find(|share| share.rank == rank).unwrap();
        match share.order {
            Some(other) if other == order => {
                share.order = None;
                share.version += 1;
                Ok(())
            }
            Some(_) => Err(Unfit::Refused(Refusal::CouponOtherOrder)),
            None => Ok(()),
        }
    }

    fn held_by(&mut self, user: u8, rank: i64) -> Result<&mut Share, Unfit> {
        let issued = self.issued;
        match self.held.get_mut(&user) {
            Some(share) if share.rank == rank => Ok(share),
            Some(_) | None if rank <= issued => Err(Unfit::Refused(Refusal::NotOwner)),
            Some(_) | None => Err(Unfit::Refused(Refusal::CouponNotFound)),
        }
    }

    fn is_expired(&self, user: u8, now_ms: i64) -> bool {
        let claimed_ms = self.held.get(&user).map_or(now_ms, |share| share.claimed_ms);
        self.valid_ms.is_some_and(|valid_ms| claimed_ms + valid_ms <= now_ms)
    }

    /// An order to change the deal, by a version that is new, the newest, or old.
    pub fn update(&mut self, patch: &Patch, version: i64, now_ms: i64) -> Decision {
        if version < self.version {
            return Decision::PassedOver;
        }
        if version > self.version {
            self.version = version;
            self.decided = self.decide(patch, now_ms);
        }
        self.decided.unwrap_or(Decision::Done)
    }

    fn decide(&mut self, patch: &Patch, now_ms: i64) -> Option<Decision> {
        let stock = patch.stock.unwrap_or(self.stock);
        let (opens_ms, closes_ms) =
            (patch.opens_ms.unwrap_or(self.opens_ms), patch.closes_ms.unwrap_or(self.closes_ms));
        if patch.close {
            self.close(now_ms);
            return None;
        }
        if self.closed || now_ms >= self.closes_ms {
            return Some(Decision::DealOver);
        }
        if opens_ms != self.opens_ms && now_ms >= self.opens_ms {
            return Some(Decision::DealStarted);
        }
        if stock < self.stock {
            return Some(Decision::StockShrinks);
        }
        if closes_ms <= opens_ms {
            return Some(Decision::ClosesEarly);
        }
        self.round += i64::from(stock > self.stock);
        self.sequence += i64::from((stock, opens_ms, closes_ms) != (self.stock, self.opens_ms, self.closes_ms));
        (self.stock, self.opens_ms, self.closes_ms) = (stock, opens_ms, closes_ms);
        None
    }

    fn close(&mut self, now_ms: i64) {
        if !self.closed {
            if now_ms > self.opens_ms && now_ms < self.closes_ms {
                self.closes_ms = now_ms;
            }
            self.closed = true;
            self.sequence += 1;
        }
    }
}

impl Share {
    fn new(rank: i64, seat: i64, claimed_ms: i64) -> Self {
        Self { rank, seat, claimed_ms, returned: false, version: 1, order: None }
    }
}
