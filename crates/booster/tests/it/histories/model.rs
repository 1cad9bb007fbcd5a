//! What a deal should answer: the documented rules, written once more.

use std::collections::{BTreeSet, HashMap};

use proto::promotion::v1 as pb;

/// What a step was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Coupon { rank: i64, state: pb::CouponState, order_id: String },
    Stock(i64),
    No(String),
}

/// What a user took.
#[derive(Debug, Clone)]
struct Share {
    rank: i64,
    returned: bool,
    expired: bool,
    /// When it expires, in milliseconds.
    expires_ms: Option<i64>,
    order: Option<u8>,
}

/// A deal, by its rules.
#[derive(Debug, Clone)]
pub struct Model {
    stock: i64,
    round: i64,
    closed: bool,
    held: HashMap<u8, Share>,
    /// Orders that can never redeem a rank.
    barred: BTreeSet<(i64, u8)>,
    /// Whether it is known to have left Redis.
    pub archived: bool,
}

impl Model {
    pub fn new(stock: i64) -> Self {
        let (held, barred) = (HashMap::new(), BTreeSet::new());
        Self { stock, round: 1, closed: false, held, barred, archived: false }
    }

    pub fn issued(&self) -> i64 {
        i64::try_from(self.held.len()).unwrap()
    }

    /// Whether every coupon is over, and the deal may leave Redis at any time.
    pub fn is_over(&self) -> bool {
        self.closed && self.held.values().all(|share| share.returned || share.expired)
    }

    /// The same, at an instant: some of it may have expired.
    pub fn at(&self, now_ms: i64) -> Self {
        let mut model = self.clone();
        for share in model.held.values_mut() {
            share.expired = share.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
        }
        model
    }

    /// A coupon was said to expire then.
    pub fn expires(&mut self, said: &Said, expires_ms: Option<i64>) {
        if let Said::Coupon { rank, .. } = said
            && let Some(share) = self.held.values_mut().find(|share| share.rank == *rank)
        {
            share.expires_ms = expires_ms;
        }
    }

    pub fn claim(&mut self, user: u8) -> Said {
        if let Some(share) = self.held.get(&user) {
            if share.returned {
                return no("COUPON_RETURNED");
            }
            // As it was issued, whatever became of it since.
            return Said::Coupon { rank: share.rank, state: pb::CouponState::Issued, order_id: String::new() };
        }
        if self.closed {
            return no("CLOSED");
        }
        if self.live() >= self.stock {
            return no("SOLD_OUT");
        }
        let share = Share { rank: self.issued() + 1, returned: false, expired: false, expires_ms: None, order: None };
        let said = share.said();
        self.held.insert(user, share);
        said
    }

    pub fn give_back(&mut self, user: u8, rank: i64) -> Said {
        let share = match self.held_by(user, rank) {
            Ok(share) => share,
            Err(refused) => return refused,
        };
        match share {
            Share { returned: true, .. } => {}
            Share { order: Some(_), .. } => return no("COUPON_REDEEMED"),
            Share { expired: true, .. } => return no("COUPON_EXPIRED"),
            Share { .. } => {
                share.returned = true;
                self.round += 1;
            }
        }
        self.held[&user].said()
    }

    pub fn redeem(&mut self, user: u8, rank: i64, order: u8) -> Said {
        let barred = self.barred.contains(&(rank, order));
        let share = match self.held_by(user, rank) {
            Ok(share) => share,
            Err(refused) => return refused,
        };
        match share {
            Share { returned: true, .. } => return no("COUPON_RETURNED"),
            Share { order: Some(other), .. } if *other != order => return no("COUPON_REDEEMED"),
            Share { order: Some(_), .. } => {}
            Share { expired: true, .. } => return no("COUPON_EXPIRED"),
            Share { .. } if barred => return no("COUPON_OTHER_ORDER"),
            Share { .. } => share.order = Some(order),
        }
        share.said()
    }

    pub fn restore(&mut self, rank: i64, order: u8) -> Said {
        let archived = self.archived;
        let Some(share) = self.held.values_mut().find(|share| share.rank == rank) else {
            return no("COUPON_NOT_FOUND");
        };
        // Of an archived deal an undo succeeds and changes nothing.
        if !archived {
            self.barred.insert((rank, order));
            match share.order {
                Some(other) if other == order => share.order = None,
                Some(_) => return no("COUPON_OTHER_ORDER"),
                None => {}
            }
        }
        share.said()
    }

    pub fn raise(&mut self, stock: i64) -> Said {
        if self.closed {
            return no("DEAL_OVER");
        }
        if stock < self.stock {
            return no("STOCK_SHRINKS");
        }
        self.round += i64::from(stock > self.stock);
        self.stock = stock;
        Said::Stock(stock)
    }

    pub fn close(&mut self) -> Said {
        self.closed = true;
        Said::Stock(self.stock)
    }

    /// Whether an answer is right. A deal that is over may have left Redis meanwhile, which an undo shows.
    pub fn agrees(&mut self, said: &Said, should: &Said) -> bool {
        if said == should {
            return true;
        }
        let Said::Coupon { rank, state: pb::CouponState::Redeemed, order_id } = said else { return false };
        let undone = !self.archived && self.is_over();
        let Some(share) = self.held.values_mut().find(|share| share.rank == *rank) else { return false };
        if undone && (share.order.is_none() || *should == no("COUPON_OTHER_ORDER")) {
            share.order = order_id.trim_start_matches('o').parse().ok();
            self.archived = true;
            return share.order.is_some();
        }
        false
    }

    pub fn coupon(&self, rank: i64) -> Said {
        let share = self.held.values().find(|share| share.rank == rank);
        share.map_or_else(|| no("COUPON_NOT_FOUND"), Share::said)
    }

    /// Stock, how many can still be claimed, round, and whether it is over.
    pub fn deal(&self) -> (i64, i64, i64, bool) {
        (self.stock, self.stock - self.live(), self.round, self.closed)
    }

    fn live(&self) -> i64 {
        i64::try_from(self.held.values().filter(|share| !share.returned).count()).unwrap()
    }

    fn held_by(&mut self, user: u8, rank: i64) -> Result<&mut Share, Said> {
        let issued = self.issued();
        match self.held.get_mut(&user) {
            Some(share) if share.rank == rank => Ok(share),
            Some(_) | None if rank <= issued => Err(no("NOT_OWNER")),
            Some(_) | None => Err(no("COUPON_NOT_FOUND")),
        }
    }
}

impl Share {
    fn said(&self) -> Said {
        let state = match self {
            Self { returned: true, .. } => pb::CouponState::Returned,
            Self { order: Some(_), .. } => pb::CouponState::Redeemed,
            Self { expired: true, .. } => pb::CouponState::Expired,
            Self { .. } => pb::CouponState::Issued,
        };
        let order = self.order.filter(|_| !self.returned);
        Said::Coupon { rank: self.rank, state, order_id: order.map(|order| format!("o{order}")).unwrap_or_default() }
    }
}

fn no(reason: &str) -> Said {
    Said::No(reason.to_owned())
}
