//! Pages of deals and of coupons, and the cursor that leads from one to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kit::error::Invalid;
use proto::promotion::v1 as pb;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{reply, request};
use crate::coupon::{self, Coupon};
use crate::deal::{self, DealId, UserId, VenueId};
use crate::find::{Listed, Of};
use crate::postgres::{coupon as coupons, deal as deals};

/// On a page where the client does not say.
const DEFAULT: i64 = 50;
/// On a page, at most.
const MOST: i64 = 1_000;

/// The page of coupons asked for.
pub(super) struct Coupons {
    pub(super) of: Of,
    pub(super) state: Option<coupon::State>,
    pub(super) after: Option<coupons::After>,
    pub(super) size: i64,
}

/// The page of deals asked for.
pub(super) struct Deals {
    pub(super) venue_id: Option<VenueId>,
    pub(super) state: Option<deal::State>,
    pub(super) after: Option<deals::After>,
    pub(super) size: usize,
}

/// What a token says: which list it belongs to, and the last one on the page before.
#[derive(Serialize, Deserialize)]
struct Cursor<T> {
    list: String,
    last: T,
}

/// A coupon's place in a list.
#[derive(Serialize, Deserialize)]
struct Place {
    claimed_at_us: i64,
    deal_id: String,
    rank: i64,
}

impl Coupons {
    pub(super) fn read(asked: pb::ListCouponsRequest) -> Result<Self, Invalid> {
        let of = match asked.of {
            Some(pb::list_coupons_request::Of::UserId(user_id)) => Of::User(UserId::parse(&user_id)?),
            Some(pb::list_coupons_request::Of::DealId(deal_id)) => Of::Deal(DealId::parse(&deal_id)?),
            None => return Err(Invalid::new("user_id", "is missing, and so is deal_id: one of them is needed")),
        };
        let (size, state) = (size(asked.page_size)?, request::coupon_state(asked.state)?);
        let mut page = Self { of, state, after: None, size };
        if let Some(place) = after::<Place>(&page.list(), &asked.page_token)? {
            let claimed_at = stands(&place.deal_id, place.claimed_at_us)?;
            if place.rank < 1 {
                return Err(foreign());
            }
            page.after = Some(coupons::After { claimed_at, deal_id: place.deal_id, rank: place.rank });
        }
        Ok(page)
    }

    /// The page, cut from one coupon more than it holds.
    pub(super) fn reply(&self, mut found: Vec<Coupon>) -> pb::ListCouponsResponse {
        let size = usize::try_from(self.size).unwrap_or_default();
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| more).map(|last| Place {
            claimed_at_us: i64::try_from(last.claimed_at.unix_timestamp_nanos() / 1_000).unwrap_or_default(),
            deal_id: last.deal_id.to_string(),
            rank: last.rank,
        });
        let now = kit::clock::now();
        let coupons = found.into_iter().map(|coupon| super::coupon(&coupon.at(now))).collect();
        pb::ListCouponsResponse { coupons, next_page_token: token(self.list(), last) }
    }

    fn list(&self) -> String {
        let state = self.state.map_or("", coupon::State::as_str);
        match &self.of {
            Of::User(user_id) => format!("user/{user_id}/{state}"),
            Of::Deal(deal_id) => format!("deal/{deal_id}/{state}"),
        }
    }
}

impl Deals {
    pub(super) fn read(asked: &pb::ListDealsRequest) -> Result<Self, Invalid> {
        let venue_id = Some(asked.venue_id.as_str()).filter(|venue_id| !venue_id.is_empty());
        let venue_id = venue_id.map(VenueId::parse).transpose()?;
        let size = usize::try_from(size(asked.page_size)?).unwrap_or_default();
        let mut page = Self { venue_id, state: request::deal_state(asked.state)?, after: None, size };
        page.after = after(&page.list(), &asked.page_token)?;
        if let Some(place) = &page.after {
            stands(&place.deal_id, place.created_us)?;
        }
        Ok(page)
    }

    pub(super) fn reply(&self, listed: Listed) -> pb::ListDealsResponse {
        let deals = listed.deals.iter().map(reply::deal).collect();
        pb::ListDealsResponse { deals, next_page_token: token(self.list(), listed.next) }
    }

    fn list(&self) -> String {
        let venue_id = self.venue_id.as_ref().map_or("", VenueId::as_str);
        format!("deals/{venue_id}/{:?}", self.state)
    }
}

fn size(asked: i32) -> Result<i64, Invalid> {
    match i64::from(asked) {
        0 => Ok(DEFAULT),
        size if (1..=MOST).contains(&size) => Ok(size),
        size => Err(Invalid::new("page_size", format!("is {size}; it is 1 to {MOST}, or 0 for {DEFAULT}"))),
    }
}

/// The token that leads on from the last one of a page; empty where nothing follows.
fn token<T: Serialize>(list: String, last: Option<T>) -> String {
    let cursor = last.map(|last| Cursor { list, last });
    cursor.map(|cursor| BASE64.encode(serde_json::to_vec(&cursor).unwrap_or_default())).unwrap_or_default()
}

/// Where a token leads on. In the list that it was made for, and in no other.
fn after<T: DeserializeOwned>(list: &str, token: &str) -> Result<Option<T>, Invalid> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64.decode(token).map_err(|_| foreign())?;
    let cursor: Cursor<T> = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
    if cursor.list == list { Ok(Some(cursor.last)) } else { Err(foreign()) }
}

/// Whether a list can have such a place, and when that was. A token is only as true as whoever sends it, and PostgreSQL has no
/// answer to an instant that it does not know.
fn stands(deal_id: &str, micros: i64) -> Result<OffsetDateTime, Invalid> {
    DealId::parse(deal_id).map_err(|_| foreign())?;
    let micros = u64::try_from(micros).map_err(|_| foreign())?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| foreign())
}

fn foreign() -> Invalid {
    Invalid::new("page_token", "is not the next_page_token of this same list")
}
