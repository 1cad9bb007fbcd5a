//! Protobuf -> noun, checked.

use kit::error::Invalid;
use kit::money::Money;
use kit::page::foreign;
use prost::Message;
use proto::order::v1 as pb;
use proto::promotion::v1 as promotion;
use proto::r#type::v1 as types;
use sha2::{Digest as _, Sha256};

use crate::cursor::Cursor;
use crate::discount::{Off, Offer};
use crate::item::{self, ItemId, VenueId};
use crate::order::{CouponId, HoldId, OrderId, RequestId, State, UserId, Wish, WishedLine};

/// The idempotency key of a request, and SHA-256 of what was asked.
pub(super) type Key = (RequestId, Vec<u8>);

pub(super) fn item_id(text: &str) -> Result<ItemId, Invalid> {
    ItemId::parse(text)
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Invalid> {
    OrderId::parse(text)
}

pub(super) fn put_item(asked: pb::PutItemRequest) -> Result<item::Wish, Invalid> {
    let item = asked.item.ok_or_else(|| Invalid::new("item", "is missing"))?;
    let item_id = if item.item_id.is_empty() { Ok(ItemId::random()) } else { inside(ItemId::parse(&item.item_id)) };
    let wish = item::Wish {
        item_id: item_id?,
        venue_id: inside(VenueId::parse(&item.venue_id))?,
        name: item.name,
        price: money("item.price", item.price)?,
        stock: item.stock,
    };
    wish.check()?;
    Ok(wish)
}

pub(super) fn adjust_stock(asked: &pb::AdjustStockRequest) -> Result<(ItemId, i64, Key), Invalid> {
    item::check_delta(asked.delta)?;
    Ok((ItemId::parse(&asked.item_id)?, asked.delta, key("AdjustStock", &asked.request_id, asked)?))
}

pub(super) fn place_order(asked: &pb::PlaceOrderRequest) -> Result<(Wish, Key), Invalid> {
    let mut lines = Vec::with_capacity(asked.lines.len().min(crate::order::LINES_MOST));
    let mut currency: Option<String> = None;
    for line in asked.lines.iter().take(crate::order::LINES_MOST + 1) {
        let price = money("lines.expected_unit_price", line.expected_unit_price.clone())?;
        price.check("lines.expected_unit_price", 0)?;
        if currency.get_or_insert_with(|| price.currency.clone()) != &price.currency {
            return Err(Invalid::new("lines.expected_unit_price", "is in another currency than the line before"));
        }
        let item_id = ItemId::parse(&line.item_id);
        let item_id = item_id.map_err(|invalid| Invalid::new("lines.item_id", invalid.description))?;
        lines.push(WishedLine { item_id, quantity: line.quantity, expected_unit_price: price.minor_units });
    }
    lines.sort_by(|one, other| one.item_id.cmp(&other.item_id));
    let wish = Wish {
        user_id: UserId::parse(&asked.user_id)?,
        lines,
        currency: currency.unwrap_or_default(),
        coupon_id: given(&asked.coupon_id).map(CouponId::parse).transpose()?,
        hold_id: given(&asked.hold_id).map(HoldId::parse).transpose()?,
        points: asked.points_to_use,
        payment_method: asked.payment_method.clone(),
    };
    wish.check()?;
    Ok((wish, key("PlaceOrder", &asked.request_id, asked)?))
}

pub(super) fn advance_order(asked: &pb::AdvanceOrderRequest) -> Result<(OrderId, State), Invalid> {
    let order_id = OrderId::parse(&asked.order_id)?;
    match pb::OrderState::try_from(asked.state) {
        Ok(pb::OrderState::Preparing) => Ok((order_id, State::Preparing)),
        Ok(pb::OrderState::Shipping) => Ok((order_id, State::Shipping)),
        Ok(pb::OrderState::Delivered) => Ok((order_id, State::Delivered)),
        // There are such states, and no order is moved to them by hand.
        Ok(pb::OrderState::Pending) => Ok((order_id, State::Pending)),
        Ok(pb::OrderState::Paid) => Ok((order_id, State::Paid)),
        Ok(pb::OrderState::Cancelling) => Ok((order_id, State::Cancelling)),
        Ok(pb::OrderState::Cancelled) => Ok((order_id, State::Cancelled)),
        Ok(pb::OrderState::Failed) => Ok((order_id, State::Failed)),
        Ok(pb::OrderState::Unspecified) => Err(Invalid::new("state", "is missing")),
        Err(_) => Err(Invalid::new("state", format!("is {}, which is no state of an order", asked.state))),
    }
}

/// The page of items asked for.
pub(super) struct Items {
    pub(super) venue_id: Option<VenueId>,
    pub(super) after: Option<Cursor>,
    pub(super) size: usize,
}

impl Items {
    pub(super) fn read(asked: &pb::ListItemsRequest) -> Result<Self, Invalid> {
        let venue_id = given(&asked.venue_id).map(VenueId::parse).transpose()?;
        let mut page = Self { venue_id, after: None, size: size(asked.page_size)? };
        page.after = after(&page.list(), &asked.page_token)?;
        Ok(page)
    }

    pub(super) fn list(&self) -> String {
        format!("items/{}", self.venue_id.as_ref().map_or("", VenueId::as_str))
    }
}

/// The page of one user's orders asked for.
pub(super) struct OfUser {
    pub(super) user_id: UserId,
    pub(super) after: Option<Cursor>,
    pub(super) size: usize,
}

impl OfUser {
    pub(super) fn read(asked: &pb::ListOrdersRequest) -> Result<Self, Invalid> {
        let user_id = UserId::parse(&asked.user_id)?;
        let mut page = Self { user_id, after: None, size: size(asked.page_size)? };
        page.after = after(&page.list(), &asked.page_token)?;
        Ok(page)
    }

    pub(super) fn list(&self) -> String {
        format!("orders/{}", self.user_id)
    }
}

/// What a coupon is worth to an order; nothing where it is worth something else, or is damaged.
#[must_use]
pub fn offer(prize: Option<promotion::Prize>) -> Option<Offer> {
    let discount = match prize?.kind? {
        promotion::prize::Kind::Discount(discount) => discount,
        promotion::prize::Kind::Points(_) => return None,
    };
    let money = |money: types::Money| Money { currency: money.currency, minor_units: money.minor_units };
    let off = match discount.off? {
        promotion::discount::Off::Percent(percent) => Off::Percent(percent),
        promotion::discount::Off::Amount(amount) => Off::Amount(money(amount)),
    };
    Some(Offer { off, max_amount: discount.max_amount.map(money), min_order: discount.min_order.map(money) })
}

/// The method belongs to what was asked: no key serves two of them.
fn key(method: &str, request_id: &str, asked: &impl Message) -> Result<Key, Invalid> {
    let mut hash = Sha256::new();
    hash.update(method);
    hash.update(asked.encode_to_vec());
    Ok((RequestId::parse(request_id)?, hash.finalize().to_vec()))
}

fn money(field: &'static str, money: Option<types::Money>) -> Result<Money, Invalid> {
    let money = money.ok_or_else(|| Invalid::new(field, "is missing"))?;
    Ok(Money { currency: money.currency, minor_units: money.minor_units })
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn size(asked: i32) -> Result<usize, Invalid> {
    Ok(usize::try_from(kit::page::size(asked)?).unwrap_or_default())
}

/// Where a token leads on. It comes back from a client, and has to be a place that a list can have.
fn after(list: &str, token: &str) -> Result<Option<Cursor>, Invalid> {
    let cursor: Option<Cursor> = kit::page::after(list, token)?;
    if cursor.as_ref().is_some_and(|cursor| cursor.at().is_none()) { Err(foreign()) } else { Ok(cursor) }
}

/// The same complaint about a field of the item inside the request.
fn inside<T>(checked: Result<T, Invalid>) -> Result<T, Invalid> {
    checked.map_err(|invalid| Invalid::new(format!("item.{}", invalid.field), invalid.description))
}
