//! Whatever a client sends that cannot be answered: refused by its own reason, with the field named, and nothing has changed.

mod deals;
mod pages;

use bus::journal::{Keys, Tag};
use fred::interfaces::StreamsInterface as _;
use proto::promotion::v1 as pb;
use proto::promotion::v1::list_coupons_request::Of;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use sqlx::Connection as _;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::road::connect;
use crate::service::{Service, deal, field, later, reason};

type Client = PromotionServiceClient<Channel>;
/// A method, the field that is wrong, and what was answered.
type Row = (&'static str, &'static str, Result<(), Status>);

/// What no id is, whatever it names.
const NO_IDS: [&str; 10] = [" ", "a b", "a:b", "{a}", "쿠폰", "é", "a\nb", "\0", "a/b", "a.b"];
/// What no coupon's id is.
const NO_COUPONS: [&str; 8] =
    ["lunch", "lunch-", "lunch-0", "lunch-+1", "lunch-1\n", "lunch-1 ", "lunch-１", "lunch-1000000000000000"];

/// A place with two deals and two holders: nothing of it may change.
struct Scene {
    service: Service,
    redis: fred::clients::Client,
}

/// All that could change.
#[derive(Debug, PartialEq)]
struct Seen {
    deals: Vec<pb::Deal>,
    coupons: Vec<pb::Coupon>,
    /// The last entry of each journal.
    journals: Vec<Option<String>>,
    /// Deals, requests that are remembered, and orders that were ever written down.
    rows: (i64, i64, i64),
}

impl Scene {
    /// `lunch` is open, ann holds its first coupon, and bob its second, which order o1 has used; `later` is to open.
    async fn new(name: &str) -> Self {
        let mut service = Service::start(name).await;
        service.deal("lunch", 5).await;
        for user in ["ann", "bob"] {
            service.claim("lunch", user).await.unwrap();
        }
        service.redeem("lunch-2", "bob", "o1").await.unwrap();
        let scheduled = pb::Deal { opens_at: Some(later(3_600)), closes_at: Some(later(7_200)), ..deal("later", 5) };
        let asked = pb::CreateDealRequest { deal: Some(scheduled), request_id: "r-later".to_owned() };
        service.client.create_deal(asked).await.unwrap();
        while service.arrived("lunch", 2).await[0].state() != pb::CouponState::Redeemed {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let redis = connect(&service.ground.servers()).await;
        Self { service, redis }
    }

    async fn seen(&mut self) -> Seen {
        let listed = self.service.client.list_deals(pb::ListDealsRequest::default()).await.unwrap();
        let coupons = self.service.arrived("lunch", 0).await;
        let keys = Keys::new(&self.service.ground.servers(), promotion::SERVICE);
        let mut journals = Vec::new();
        for tag in Tag::all() {
            let last: Vec<(String, std::collections::HashMap<String, String>)> =
                self.redis.xrevrange_values(keys.journal(tag), "+", "-", Some(1)).await.unwrap();
            journals.push(last.into_iter().next().map(|(id, _)| id));
        }
        let mut admin = sqlx::PgConnection::connect(self.service.ground.admin_url().expose()).await.unwrap();
        let rows = sqlx::query_as(
            "SELECT (SELECT count(*) FROM promotion.deal), (SELECT count(*) FROM promotion.request),
               (SELECT sum(version)::bigint FROM promotion.deal)",
        );
        let rows = rows.fetch_one(&mut admin).await.unwrap();
        Seen { deals: listed.into_inner().deals, coupons, journals, rows }
    }

    async fn end(self) {
        self.service.end().await;
    }
}

/// Each row: what is called, which field is wrong, and the call.
macro_rules! rows {
    ($client:ident: $($method:ident $field:literal $request:expr;)*) => {
        vec![$((stringify!($method), $field, $client.$method($request).await.map(drop))),*]
    };
}

/// Every method that takes the name of a deal that is there, with this one.
async fn every_deal(mut client: Client, name: &str) -> Vec<Row> {
    use pb::*;
    let (id, ann) = (name.to_owned(), "ann".to_owned());
    let of = Some(Of::DealId(id.clone()));
    let update_mask = Some(prost_types::FieldMask { paths: vec!["stock".to_owned()] });
    let wanted = Some(Deal { deal_id: id.clone(), ..deal("lunch", 9) });
    rows! { client:
        get_deal "deal_id" GetDealRequest { deal_id: id.clone() };
        update_deal "deal.deal_id" UpdateDealRequest { deal: wanted, update_mask };
        close_deal "deal_id" CloseDealRequest { deal_id: id.clone() };
        watch_deal "deal_id" WatchDealRequest { deal_id: id.clone() };
        claim_coupon "deal_id" ClaimCouponRequest { deal_id: id.clone(), user_id: ann.clone(), pass: String::new() };
        get_claim "deal_id" GetClaimRequest { deal_id: id.clone(), user_id: ann.clone() };
        list_coupons "deal_id" ListCouponsRequest { of, ..ListCouponsRequest::default() };
    }
}

/// Every field of every method that takes another name, with this one in it; all else is as it should be.
async fn every_name(mut client: Client, name: &str) -> Vec<Row> {
    use pb::*;
    let (id, lunch, ann, one) = (name.to_owned(), "lunch".to_owned(), "ann".to_owned(), "lunch-1".to_owned());
    let (order_id, of) = ("o2".to_owned(), Some(Of::UserId(id.clone())));
    let nowhere = Some(Deal { venue_id: id.clone(), ..deal("wrong", 5) });
    rows! { client:
        create_deal "deal.venue_id" CreateDealRequest { deal: nowhere, request_id: String::new() };
        claim_coupon "user_id" ClaimCouponRequest { deal_id: lunch.clone(), user_id: id.clone(), pass: String::new() };
        get_claim "user_id" GetClaimRequest { deal_id: lunch, user_id: id.clone() };
        redeem_coupon "user_id" RedeemCouponRequest { coupon_id: one.clone(), user_id: id.clone(), order_id };
        redeem_coupon "order_id" RedeemCouponRequest { coupon_id: one.clone(), user_id: ann, order_id: id.clone() };
        restore_coupon "order_id" RestoreCouponRequest { coupon_id: one.clone(), order_id: id.clone() };
        return_coupon "user_id" ReturnCouponRequest { coupon_id: one, user_id: id };
        list_coupons "user_id" ListCouponsRequest { of, ..ListCouponsRequest::default() };
    }
}

/// The same for the names that may be left empty.
async fn every_choice(mut client: Client, name: &str) -> Vec<Row> {
    use pb::*;
    let (id, right) = (name.to_owned(), deal("wrong", 5));
    let named = Some(Deal { deal_id: id.clone(), ..right.clone() });
    rows! { client:
        create_deal "deal.deal_id" CreateDealRequest { deal: named, request_id: String::new() };
        create_deal "request_id" CreateDealRequest { deal: Some(right), request_id: id.clone() };
        list_deals "venue_id" ListDealsRequest { venue_id: id, ..ListDealsRequest::default() };
    }
}

/// Every method that takes the id of a coupon, with this one.
async fn every_coupon(mut client: Client, coupon_id: &str) -> Vec<Row> {
    use pb::*;
    let (id, ann, order) = (coupon_id.to_owned(), "ann".to_owned(), "o2".to_owned());
    rows! { client:
        get_coupon "coupon_id" GetCouponRequest { coupon_id: id.clone() };
        redeem_coupon "coupon_id" RedeemCouponRequest { coupon_id: id.clone(), user_id: ann.clone(), order_id: order.clone() };
        restore_coupon "coupon_id" RestoreCouponRequest { coupon_id: id.clone(), order_id: order.clone() };
        return_coupon "coupon_id" ReturnCouponRequest { coupon_id: id.clone(), user_id: ann.clone() };
    }
}

fn assert_refused(rows: Vec<Row>, sent: &str) {
    for (method, expected, answer) in rows {
        let code = answer.as_ref().map_or_else(Status::code, |()| Code::Ok);
        assert_eq!(code, Code::InvalidArgument, "{method} with {expected} {sent:?}: {answer:?}");
        assert_eq!(field(answer), expected, "{method} with {sent:?}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_is_refused_wherever_it_stands() {
    let mut scene = Scene::new("bad-names").await;
    let before = scene.seen().await;
    let client = || scene.service.client.clone();
    let long = "x".repeat(65);
    for name in NO_IDS.into_iter().chain([long.as_str()]) {
        assert_refused(every_deal(client(), name).await, name);
        assert_refused(every_name(client(), name).await, name);
        assert_refused(every_choice(client(), name).await, name);
    }
    for name in ["", &"x".repeat(49)] {
        assert_refused(every_deal(client(), name).await, name);
    }
    assert_refused(every_name(client(), "").await, "");
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}

#[tokio::test]
async fn a_coupon_that_cannot_be_is_refused_by_every_method() {
    let mut scene = Scene::new("bad-coupons").await;
    let before = scene.seen().await;
    let long = format!("{}-1", "x".repeat(49));
    for coupon_id in NO_COUPONS.into_iter().chain(["", "-", "-1", "a:b-1", "{a}-1", "쿠폰-1", &long]) {
        assert_refused(every_coupon(scene.service.client.clone(), coupon_id).await, coupon_id);
    }
    for coupon_id in ["never-1", "lunch-3", "lunch-999999999999999"] {
        for (method, _, answer) in every_coupon(scene.service.client.clone(), coupon_id).await {
            assert_eq!(answer.as_ref().unwrap_err().code(), Code::NotFound, "{method} with {coupon_id}: {answer:?}");
            assert_eq!(reason(answer), "COUPON_NOT_FOUND", "{method} with {coupon_id}");
        }
    }
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}

#[tokio::test]
async fn a_deal_that_is_not_there_is_not_found_by_every_method() {
    let mut scene = Scene::new("bad-unknown").await;
    let before = scene.seen().await;
    for (method, _, answer) in every_deal(scene.service.client.clone(), "never").await {
        if method == "list_coupons" {
            answer.unwrap();
            continue;
        }
        assert_eq!(answer.as_ref().unwrap_err().code(), Code::NotFound, "{method}: {answer:?}");
        assert_eq!(reason(answer), "DEAL_NOT_FOUND", "{method}");
    }
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}

#[tokio::test]
async fn a_coupon_of_somebody_else_stays_his() {
    let mut scene = Scene::new("bad-owner").await;
    let before = scene.seen().await;
    let service = &mut scene.service;
    for (coupon_id, user) in [("lunch-1", "bob"), ("lunch-2", "ann"), ("lunch-1", "eve"), ("lunch-2", "eve")] {
        for answer in [service.redeem(coupon_id, user, "o9").await, service.give_back(coupon_id, user).await] {
            assert_eq!(answer.as_ref().unwrap_err().code(), Code::PermissionDenied, "{coupon_id} {user}");
            assert_eq!(reason(answer), "NOT_OWNER", "{coupon_id} {user}");
        }
    }
    // Not even the order that has used it, in somebody else's name.
    assert_eq!(reason(service.redeem("lunch-2", "ann", "o1").await), "NOT_OWNER");
    assert_eq!(reason(service.restore("lunch-2", "o9").await), "COUPON_OTHER_ORDER");
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}

/// Sends a message of another shape to a method.
async fn send<M>(channel: Channel, method: &str, message: M) -> Result<(), Status>
where
    M: prost::Message + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = format!("/booster.promotion.v1.PromotionService/{method}");
    let path = PathAndQuery::try_from(path).unwrap();
    let codec: ProstCodec<M, ()> = ProstCodec::default();
    grpc.unary(tonic::Request::new(message), path, codec).await.map(drop)
}

/// All of them but `ListDeals`, whose first field is a number.
const METHODS: [&str; 12] = [
    "CreateDeal",
    "GetDeal",
    "UpdateDeal",
    "CloseDeal",
    "WatchDeal",
    "ClaimCoupon",
    "GetClaim",
    "GetCoupon",
    "RedeemCoupon",
    "RestoreCoupon",
    "ReturnCoupon",
    "ListCoupons",
];

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_as_such() {
    let mut scene = Scene::new("bad-body").await;
    let before = scene.seen().await;
    let channel = Channel::from_shared(scene.service.url()).unwrap().connect().await.unwrap();
    for method in METHODS {
        // As a message of one bytes field, or of one number: longer than any request, and no text where a text should be.
        for (name, answer) in [
            ("longer", send(channel.clone(), method, vec![b'x'; 65 * 1024]).await),
            ("no UTF-8", send(channel.clone(), method, vec![0xff_u8, 0xfe]).await),
            ("a number", send(channel.clone(), method, 7_u64).await),
        ] {
            let code = answer.as_ref().map_or_else(Status::code, |()| Code::Ok);
            assert_eq!(code, Code::InvalidArgument, "{method}, {name}: {answer:?}");
            assert_eq!(field(answer), "request", "{method}, {name}");
        }
    }
    assert_eq!(field(send(channel, "ListDeals", vec![b'x'; 65 * 1024]).await), "request");
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}
