//! What is there before the first order: items, deals with a coupon for whoever wants one, and points.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::order::v1::{Item, PutItemRequest};
use proto::point::v1::EarnPointsRequest;
use proto::point::v1::point_service_client::PointServiceClient;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use proto::promotion::v1::{ClaimCouponRequest, CreateDealRequest, Deal};
use proto::r#type::v1::Money;
use tonic::Status;

use super::answer::reason;
use super::call::{ask, timed};
use super::doors::Doors;
use super::progress::{Progress, Voice};
use super::scene::{CURRENCY, Scene};
use crate::rush::backoff::Patience;

/// The coupon that each holder has of each deal: by the numbers of both, deal first.
pub(super) type Coupons = BTreeMap<(usize, usize), String>;

/// A deal has been open for so long, and will be.
const OPEN_SINCE: Duration = Duration::from_secs(3600);
const OPEN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Puts everything there.
pub(super) async fn put(scene: &Scene, doors: &Doors, patience: Patience, voice: &Voice) -> anyhow::Result<Coupons> {
    let claims = scene.claims();
    let earners: Vec<_> = scene.users.iter().filter(|user| user.earned > 0).collect();
    let whole = scene.items.len() + scene.deals.len() + claims.len() + earners.len();
    let progress = voice.begin("items, deals, coupons and accounts are there", whole);
    let stage = Stage { scene, doors, patience, progress };
    for number in 0..scene.items.len() {
        stage.item(number).await?;
    }
    for number in 0..scene.deals.len() {
        stage.deal(number).await?;
    }
    let claims = stream::iter(claims).map(|(deal, holder)| stage.coupon(deal, holder));
    let coupons = claims.buffer_unordered(doors.promotion.capacity()).try_collect().await?;
    let earning = stream::iter(0..scene.users.len()).filter(|user| {
        let earns = scene.users[*user].earned > 0;
        async move { earns }
    });
    earning.map(|user| stage.points(user)).buffer_unordered(doors.point.capacity()).try_collect::<Vec<()>>().await?;
    Ok(coupons)
}

struct Stage<'a> {
    scene: &'a Scene,
    doors: &'a Doors,
    patience: Patience,
    progress: Progress,
}

impl Stage<'_> {
    async fn item(&self, number: usize) -> anyhow::Result<()> {
        let item = &self.scene.items[number];
        let request = PutItemRequest {
            item: Some(Item {
                item_id: item.item_id.clone(),
                venue_id: self.scene.venue_id(),
                name: "Of a trial".to_owned(),
                price: Some(Money { currency: CURRENCY.to_owned(), minor_units: item.price }),
                stock: item.stock,
                sold: 0,
            }),
        };
        let put = ask(&self.doors.order, self.patience, number, async |channel| {
            OrderServiceClient::new(channel).put_item(timed(request.clone(), self.patience)).await
        });
        put.await.map_err(|status| cannot("the item", &item.item_id, &status))?;
        self.progress.step();
        Ok(())
    }

    async fn deal(&self, number: usize) -> anyhow::Result<()> {
        let deal = &self.scene.deals[number];
        let request = CreateDealRequest {
            deal: Some(Deal {
                deal_id: deal.deal_id.clone(),
                title: "Of a trial".to_owned(),
                venue_id: self.scene.venue_id(),
                stock: i64::try_from(deal.holders.len())?,
                opens_at: Some((SystemTime::now() - OPEN_SINCE).into()),
                closes_at: Some((SystemTime::now() + OPEN_FOR).into()),
                prize: Some(deal.prize.into()),
                ..Deal::default()
            }),
            request_id: deal.deal_id.clone(),
        };
        let made = ask(&self.doors.promotion, self.patience, number, async |channel| {
            PromotionServiceClient::new(channel).create_deal(timed(request.clone(), self.patience)).await
        });
        made.await.map_err(|status| cannot("the deal", &deal.deal_id, &status))?;
        self.progress.step();
        Ok(())
    }

    async fn coupon(&self, deal: usize, holder: usize) -> anyhow::Result<((usize, usize), String)> {
        let deal_id = &self.scene.deals[deal].deal_id;
        let user_id = &self.scene.users[holder].user_id;
        let request = ClaimCouponRequest { deal_id: deal_id.clone(), user_id: user_id.clone(), pass: String::new() };
        let claimed = ask(&self.doors.promotion, self.patience, holder, async |channel| {
            PromotionServiceClient::new(channel).claim_coupon(timed(request.clone(), self.patience)).await
        });
        let claimed = claimed.await.map_err(|status| cannot("a coupon of", deal_id, &status))?;
        let coupon = claimed.coupon.with_context(|| format!("a claim of {deal_id} was answered without a coupon"))?;
        self.progress.step();
        Ok(((deal, holder), coupon.coupon_id))
    }

    async fn points(&self, user: usize) -> anyhow::Result<()> {
        let user = &self.scene.users[user];
        let request = EarnPointsRequest {
            user_id: user.user_id.clone(),
            amount: user.earned,
            reason: "Of a trial".to_owned(),
            request_id: format!("{}-earn", user.user_id),
            expires_at: None,
        };
        let earned = ask(&self.doors.point, self.patience, 0, async |channel| {
            PointServiceClient::new(channel).earn_points(timed(request.clone(), self.patience)).await
        });
        earned.await.map_err(|status| cannot("the points of", &user.user_id, &status))?;
        self.progress.step();
        Ok(())
    }
}

fn cannot(what: &str, whose: &str, status: &Status) -> anyhow::Error {
    anyhow!("{what} {whose} cannot be had: {} {} ({})", status.code(), reason(status), status.message())
}
