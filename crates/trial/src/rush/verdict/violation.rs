//! What can be wrong, and the sentence that says so.

use std::fmt;
use std::ops::RangeInclusive;

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// I1: too many coupons, or too few.
    Count {
        /// How many are kept.
        kept: usize,
        /// How many there must be.
        expected: RangeInclusive<usize>,
    },
    /// I2: ranks are missing below one that was given.
    Gap {
        /// Which.
        ranks: RangeInclusive<i64>,
    },
    /// I2: ranks begin with 1.
    Below {
        /// The rank.
        rank: i64,
        /// Whose it is.
        user: String,
    },
    /// I2: one rank, several coupons.
    RankTwice {
        /// The rank.
        rank: i64,
        /// Whose they are.
        users: Vec<String>,
    },
    /// I2: one user, several coupons.
    UserTwice {
        /// The user.
        user: String,
        /// Which.
        ranks: Vec<i64>,
    },
    /// I1: one share of the stock, several coupons.
    SeatTwice {
        /// The seat.
        seat: i64,
        /// Which.
        ranks: Vec<i64>,
    },
    /// I1: a share that the stock does not have.
    SeatBeyond {
        /// The seat.
        seat: i64,
        /// Whose it is.
        rank: i64,
    },
    /// Nobody did anything but claim, and a coupon is not `ISSUED`.
    Spent {
        /// The coupon.
        rank: i64,
        /// What it is.
        state: String,
    },
    /// I3: told yes, and nothing is kept.
    Lost {
        /// Who was told.
        user: String,
        /// Which rank.
        rank: i64,
    },
    /// I3: told one rank, and another is kept.
    Moved {
        /// Who was told.
        user: String,
        /// Which rank.
        told: i64,
        /// Which he has.
        kept: i64,
    },
    /// A repeat was answered with another rank.
    Changed {
        /// Who was told.
        user: String,
        /// Which ranks, in the order of telling.
        ranks: Vec<i64>,
    },
    /// A holder asked again, and was told that nothing is left.
    Forgotten {
        /// Who asked.
        user: String,
        /// What he holds.
        rank: i64,
    },
    /// I4: told that nothing is left, and never yes, but a coupon is kept.
    Unwelcome {
        /// Who was told.
        user: String,
        /// What he has.
        rank: i64,
    },
    /// I4: a coupon of somebody who never claimed.
    Unmade {
        /// Whose it is.
        user: String,
        /// Which.
        rank: i64,
    },
    /// A definite refusal that nothing in a rush can be the reason of.
    Odd {
        /// Who was refused.
        user: String,
        /// Why.
        reason: String,
    },
    /// A coupon has a name that is not made of its deal and its rank.
    Misnamed {
        /// The name.
        coupon_id: String,
        /// The rank that it came with.
        rank: i64,
    },
    /// PostgreSQL holds a coupon that `ListCoupons` does not show, or not like this.
    Hidden {
        /// Which.
        rank: i64,
        /// Whose it is.
        user: String,
    },
    /// `ListCoupons` shows a coupon that PostgreSQL does not hold, or not like this, or shows it twice.
    Invented {
        /// Which.
        rank: i64,
        /// Whose it is said to be.
        user: String,
    },
    /// `booster audit` found something, or could not look.
    Audited {
        /// Its own words.
        said: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { .. } | Self::SeatTwice { .. } | Self::SeatBeyond { .. } => self.oversold(f),
            Self::Gap { ranks } if ranks.start() == ranks.end() => write!(f, "rank {} is missing", ranks.start()),
            Self::Gap { ranks } => write!(f, "ranks {} to {} are missing", ranks.start(), ranks.end()),
            Self::Below { rank, user } => write!(f, "{user} has rank {rank}, below the first"),
            Self::RankTwice { rank, users } => write!(f, "rank {rank} was given to {}", users.join(" and ")),
            Self::UserTwice { user, ranks } => write!(f, "{user} has several coupons: ranks {}", join(ranks)),
            Self::Spent { rank, state } => write!(f, "the coupon of rank {rank} is {state}, but nobody used it"),
            Self::Lost { user, rank } => write!(f, "{user} was told rank {rank}, but no coupon of his is kept"),
            Self::Moved { user, told, kept } => write!(f, "{user} was told rank {told}, but rank {kept} is kept"),
            Self::Changed { user, ranks } => write!(f, "{user} was told several ranks: {}", join(ranks)),
            Self::Forgotten { user, rank } => {
                write!(f, "{user} was told rank {rank}, and SOLD_OUT when he asked again")
            }
            Self::Unwelcome { user, rank } => {
                write!(f, "{user} was told SOLD_OUT and never yes, but his coupon of rank {rank} is kept")
            }
            Self::Unmade { user, rank } => write!(f, "{user} has rank {rank}, but never claimed"),
            Self::Odd { user, reason } => write!(f, "{user} was refused {reason}, for which there was no reason"),
            Self::Misnamed { coupon_id, rank } => write!(f, "the coupon of rank {rank} is called {coupon_id:?}"),
            Self::Hidden { rank, user } => {
                write!(f, "PostgreSQL holds rank {rank} of {user}, and ListCoupons does not show it so")
            }
            Self::Invented { rank, user } => {
                write!(f, "ListCoupons shows rank {rank} of {user}, and PostgreSQL does not hold it so")
            }
            Self::Audited { said } => write!(f, "booster audit: {said}"),
        }
    }
}

impl Violation {
    fn oversold(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Count { kept, expected } = self {
            let (least, most) = (expected.start(), expected.end());
            if least == most {
                write!(f, "{kept} coupons are kept, and there must be {most}")?;
            } else {
                write!(f, "{kept} coupons are kept, and there must be {least} to {most}")?;
            }
        }
        if let Self::SeatTwice { seat, ranks } = self {
            write!(f, "seat {seat} was given to several: ranks {}", join(ranks))?;
        }
        if let Self::SeatBeyond { seat, rank } = self {
            write!(f, "rank {rank} sits on seat {seat}, which the stock does not have")?;
        }
        Ok(())
    }
}

fn join(ranks: &[i64]) -> String {
    ranks.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
