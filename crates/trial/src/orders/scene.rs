//! What there is to order, who orders, and what each order is meant to be. All of it follows from the seed, and nothing of it is known to
//! the services but by what they are asked.

mod plan;
mod prize;

use std::collections::BTreeSet;

pub(super) use plan::imagine;
pub(super) use prize::Prize;

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scene {
    /// Begins every name that this run makes, so that no two runs meet.
    pub(super) run: String,
    pub(super) items: Vec<Item>,
    pub(super) deals: Vec<Deal>,
    pub(super) users: Vec<User>,
    pub(super) wishes: Vec<Wish>,
}

/// Something that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) item_id: String,
    /// Of one, in minor units.
    pub(super) price: i64,
    /// How many are put in.
    pub(super) stock: i64,
    /// Whether there are fewer than are wanted.
    pub(super) is_scarce: bool,
}

/// A deal, of which each of some users claims one coupon before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deal {
    pub(super) deal_id: String,
    pub(super) prize: Prize,
    /// Numbers of the users who claim.
    pub(super) holders: BTreeSet<usize>,
}

/// Somebody who orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) user_id: String,
    /// The points that he is given before.
    pub(super) earned: i64,
    pub(super) purse: Purse,
}

/// Whether a user's points are enough for his orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purse {
    /// For all of them.
    Full,
    /// For some: which, is decided by who comes first.
    Tight,
    /// For none: he has nothing.
    Empty,
}

/// What one order is meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Number of the user.
    pub(super) user: usize,
    pub(super) lines: Vec<Line>,
    pub(super) coupon: Option<Coupon>,
    /// The points that it asks for; 0 is none.
    pub(super) points: i64,
    pub(super) method: Method,
    /// Whether it expects a price that is not the item's.
    pub(super) is_stale: bool,
    /// Whether it is placed a second time with the same request id.
    pub(super) is_double: bool,
    /// Whether its request id is used once more, for something else.
    pub(super) is_forged: bool,
    pub(super) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Number of the item.
    pub(super) item: usize,
    pub(super) quantity: i64,
}

/// A coupon that an order is to redeem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coupon {
    /// Number of the deal.
    pub(super) deal: usize,
    /// Number of the user whose it is.
    pub(super) holder: usize,
    /// Whether several orders of his want this one.
    pub(super) is_contended: bool,
}

/// What the provider is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Charge,
    Decline,
    /// Charge, and lose the answer.
    Drop,
    /// Charge after its own time-out.
    Late,
}

/// What the user does with an order that was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Cancel(When),
    /// To PREPARING, SHIPPING, DELIVERED: so many steps, 1 to 3.
    Advance(usize),
}

/// When a user cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    AtOnce,
    Paid,
    Preparing,
}

/// Of every amount.
pub(super) const CURRENCY: &str = "KRW";
/// How much a wrong price is beside the right one, in minor units.
pub(super) const STALE_BY: i64 = 100;

impl Scene {
    /// The idempotency key of an order.
    pub(super) fn request_id(&self, number: usize) -> String {
        format!("{}-{number}", self.run)
    }

    pub(super) fn venue_id(&self) -> String {
        format!("{}-venue", self.run)
    }

    pub(super) fn user_of(&self, wish: &Wish) -> &User {
        &self.users[wish.user]
    }

    /// What a wish costs before anything is taken off, in minor units.
    pub(super) fn subtotal(&self, wish: &Wish) -> i64 {
        subtotal(&self.items, &wish.lines)
    }

    pub(super) fn user_ids(&self) -> Vec<String> {
        self.users.iter().map(|user| user.user_id.clone()).collect()
    }

    /// Every claim that is made before: a deal, and who claims.
    pub(super) fn claims(&self) -> Vec<(usize, usize)> {
        let deals = self.deals.iter().enumerate();
        deals.flat_map(|(deal, of)| of.holders.iter().map(move |holder| (deal, *holder))).collect()
    }
}

impl Wish {
    /// Whether its coupon is somebody else's.
    pub(super) fn is_thief(&self) -> bool {
        self.coupon.is_some_and(|coupon| coupon.holder != self.user)
    }
}

impl Method {
    /// As `PlaceOrder` knows it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "sandbox",
            Self::Decline => "sandbox:decline",
            Self::Drop => "sandbox:drop",
            Self::Late => "sandbox:late",
        }
    }
}

fn subtotal(items: &[Item], lines: &[Line]) -> i64 {
    lines.iter().map(|line| items[line.item].price * line.quantity).sum()
}
