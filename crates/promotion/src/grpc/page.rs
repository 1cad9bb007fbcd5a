//! Pages of deals and of coupons, and the cursor that leads from one to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kit::error::Invalid;
use proto::promotion::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{reply, request};
use crate::coupon::{self, Coupon};
use crate::deal::{self, Deal, DealId, UserId, VenueId};
use crate::find::{Listed, Of};
use crate::place::Place;

/// On a page where the client does not say.
const DEFAULT: i32 = 50;
/// On a page, at most.
const MOST: i32 = 1_000;

/// The page of coupons asked for.
pub(super) struct Coupons {
    pub(super) of: Of,
    pub(super) state: Option<coupon::State>,
    pub(super) after: Option<Place>,
    pub(super) size: usize,
}

/// The page of deals asked for.
pub(super) struct Deals {
    pub(super) venue_id: Option<VenueId>,
    pub(super) state: Option<deal::State>,
    pub(super) after: Option<Place>,
    pub(super) size: usize,
}

/// What a token says: which list it belongs to, and the last one on the page before.
#[derive(Serialize, Deserialize)]
struct Cursor {
    list: String,
    last: Place,
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
        page.after = after(&page.list(), &asked.page_token)?;
        Ok(page)
    }

    pub(super) fn reply(&self, listed: Listed<Coupon>) -> pb::ListCouponsResponse {
        let now = kit::clock::now();
        let coupons = listed.found.into_iter().map(|coupon| super::coupon(&coupon.at(now))).collect();
        pb::ListCouponsResponse { coupons, next_page_token: token(self.list(), listed.next) }
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
        let (size, state) = (size(asked.page_size)?, request::deal_state(asked.state)?);
        let mut page = Self { venue_id, state, after: None, size };
        page.after = after(&page.list(), &asked.page_token)?;
        Ok(page)
    }

    pub(super) fn reply(&self, listed: Listed<Deal>) -> pb::ListDealsResponse {
        let deals = listed.found.iter().map(reply::deal).collect();
        pb::ListDealsResponse { deals, next_page_token: token(self.list(), listed.next) }
    }

    fn list(&self) -> String {
        let venue_id = self.venue_id.as_ref().map_or("", VenueId::as_str);
        let state = self.state.map_or("", |state| reply::deal_state(state).as_str_name());
        format!("deals/{venue_id}/{state}")
    }
}

fn size(asked: i32) -> Result<usize, Invalid> {
    let size = if asked == 0 { DEFAULT } else { asked };
    let why = || Invalid::new("page_size", format!("is {size}; it is 1 to {MOST}, or 0 for {DEFAULT}"));
    usize::try_from(size).ok().filter(|_| (1..=MOST).contains(&size)).ok_or_else(why)
}

/// The token that leads on from the last one of a page; empty where nothing follows.
fn token(list: String, last: Option<Place>) -> String {
    let cursor = last.map(|last| Cursor { list, last });
    cursor.map(|cursor| BASE64.encode(serde_json::to_vec(&cursor).unwrap_or_default())).unwrap_or_default()
}

/// Where a token leads on. In the list that it was made for, and in no other.
fn after(list: &str, token: &str) -> Result<Option<Place>, Invalid> {
    if token.is_empty() {
        return Ok(None);
    }
    let foreign = || Invalid::new("page_token", "is not the next_page_token of this same list");
    let bytes = BASE64.decode(token).map_err(|_| foreign())?;
    let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
    if cursor.list == list && cursor.last.at().is_some() { Ok(Some(cursor.last)) } else { Err(foreign()) }
}
