//! Pages of deals and of coupons, and the cursor that leads from one to the next.

use kit::error::Invalid;
use kit::page::{foreign, token};
use proto::promotion::v1 as pb;

use super::{reply, request};
use crate::coupon::{self, Coupon};
use crate::deal::{self, Deal, DealId, UserId, VenueId};
use crate::find::{Listed, Of};
use crate::place::Place;

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
    Ok(usize::try_from(kit::page::size(asked)?).unwrap_or_default())
}

/// Where a token leads on. It comes back from a client, and has to be a place that a list can have.
fn after(list: &str, token: &str) -> Result<Option<Place>, Invalid> {
    let place: Option<Place> = kit::page::after(list, token)?;
    if place.as_ref().is_some_and(|place| place.at().is_none()) { Err(foreign()) } else { Ok(place) }
}
