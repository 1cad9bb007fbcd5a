//! Pages of coupons, and the cursor that leads from one to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kit::error::Invalid;
use proto::promotion::v1 as pb;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::request;
use crate::coupon::{Coupon, State};
use crate::deal::{DealId, UserId};
use crate::find::Of;
use crate::postgres::coupon::After;

/// Coupons on a page where the client does not say.
const DEFAULT: i64 = 50;
/// Coupons on a page, at most.
const MOST: i64 = 1_000;

/// The page asked for.
pub(super) struct Page {
    pub(super) of: Of,
    pub(super) state: Option<State>,
    pub(super) after: Option<After>,
    pub(super) size: i64,
}

/// What a token says: whose list it belongs to, and the last coupon on the page before.
#[derive(Serialize, Deserialize)]
struct Cursor {
    list: String,
    claimed_at_us: i64,
    deal_id: String,
    rank: i64,
}

pub(super) fn read(asked: pb::ListCouponsRequest) -> Result<Page, Invalid> {
    let of = match asked.of {
        Some(pb::list_coupons_request::Of::UserId(user_id)) => Of::User(UserId::parse(&user_id)?),
        Some(pb::list_coupons_request::Of::DealId(deal_id)) => Of::Deal(DealId::parse(&deal_id)?),
        None => return Err(Invalid::new("user_id", "is missing, and so is deal_id: one of them is needed")),
    };
    let size = match i64::from(asked.page_size) {
        0 => DEFAULT,
        size if (1..=MOST).contains(&size) => size,
        size => return Err(Invalid::new("page_size", format!("is {size}; it is 1 to {MOST}, or 0 for {DEFAULT}"))),
    };
    let state = request::coupon_state(asked.state)?;
    let mut page = Page { of, state, after: None, size };
    if !asked.page_token.is_empty() {
        page.after = Some(page.after(&asked.page_token)?);
    }
    Ok(page)
}

impl Page {
    /// The page, cut from one coupon more than it holds.
    pub(super) fn reply(&self, mut found: Vec<Coupon>) -> pb::ListCouponsResponse {
        let size = usize::try_from(self.size).unwrap_or_default();
        let more = found.len() > size;
        found.truncate(size);
        let next_page_token = found.last().filter(|_| more).map(|last| self.token(last)).unwrap_or_default();
        let now = kit::clock::now();
        let coupons = found
            .into_iter()
            .map(|mut coupon| {
                coupon.state = coupon.state_at(now);
                super::coupon(&coupon)
            })
            .collect();
        pb::ListCouponsResponse { coupons, next_page_token }
    }

    fn token(&self, last: &Coupon) -> String {
        let cursor = Cursor {
            list: self.list(),
            claimed_at_us: i64::try_from(last.claimed_at.unix_timestamp_nanos() / 1_000).unwrap_or_default(),
            deal_id: last.deal_id.to_string(),
            rank: last.rank,
        };
        BASE64.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }

    fn after(&self, token: &str) -> Result<After, Invalid> {
        let foreign = || Invalid::new("page_token", "is not the next_page_token of this same list");
        let bytes = BASE64.decode(token).map_err(|_| foreign())?;
        let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
        DealId::parse(&cursor.deal_id).map_err(|_| foreign())?;
        let nanos = i128::from(cursor.claimed_at_us.max(0)) * 1_000;
        let claimed_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| foreign())?;
        if cursor.list != self.list() {
            return Err(foreign());
        }
        Ok(After { claimed_at, deal_id: cursor.deal_id, rank: cursor.rank })
    }

    /// A token leads on in the list that it was made for, and in no other.
    fn list(&self) -> String {
        let state = self.state.map_or("", State::as_str);
        match &self.of {
            Of::User(user_id) => format!("user/{user_id}/{state}"),
            Of::Deal(deal_id) => format!("deal/{deal_id}/{state}"),
        }
    }
}
