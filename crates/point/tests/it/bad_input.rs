//! Whatever a client sends that cannot be answered: refused by its own reason, with the field named, and nothing has changed.

use proto::point::v1 as pb;
use proto::point::v1::point_service_client::PointServiceClient;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::service::{Service, deduct, earn, field, later, number};

type Client = PointServiceClient<Channel>;
/// A method, the field that is wrong, and what was answered.
type Row = (&'static str, &'static str, Result<(), Status>);

/// What no id is, whatever it names.
const NO_IDS: [&str; 11] = ["", " ", "a b", "a:b", "{a}", "쿠폰", "é", "a\nb", "\0", "a/b", "a.b"];

/// Everything that could change.
const SEEN: &str = "SELECT ((SELECT count(*) FROM point.account) * 1000000 + (SELECT count(*) FROM point.entry) * 10000
    + (SELECT count(*) FROM point.request) * 100 + (SELECT count(*) FROM point.order_use) + (SELECT count(*) FROM point.outbox))";

/// Each row: what is called, which field is wrong, and the call.
macro_rules! rows {
    ($client:ident: $($method:ident $field:literal $request:expr;)*) => {
        vec![$((stringify!($method), $field, $client.$method($request).await.map(drop))),*]
    };
}

/// Every field of every method that takes a name, with this one in it; all else is as it should be.
async fn every_name(mut client: Client, name: &str) -> Vec<Row> {
    use pb::*;
    let (id, order_id) = (name.to_owned(), "o9".to_owned());
    rows! { client:
        earn_points "user_id" earn(name, 5);
        earn_points "request_id" EarnPointsRequest { request_id: id.clone(), ..earn("ann", 5) };
        deduct_points "user_id" deduct(name, 5, "o9");
        deduct_points "order_id" deduct("ann", 5, name);
        deduct_points "request_id" DeductPointsRequest { request_id: id.clone(), ..deduct("ann", 5, "o9") };
        refund_points "order_id" RefundPointsRequest { order_id: id.clone(), request_id: "r9".to_owned() };
        refund_points "request_id" RefundPointsRequest { order_id, request_id: id.clone() };
        get_balance "user_id" GetBalanceRequest { user_id: id.clone(), at: None };
        list_entries "user_id" ListEntriesRequest { user_id: id.clone(), ..ListEntriesRequest::default() };
    }
}

/// Whatever else may be wrong.
async fn every_number(mut client: Client) -> Vec<Row> {
    use pb::*;
    let mut rows = Vec::new();
    for amount in [0, -1, i64::MIN, 1_000_000_000_001, i64::MAX] {
        rows.extend(rows! { client:
            earn_points "amount" earn("ann", amount);
            deduct_points "amount" deduct("ann", amount, "o9");
        });
    }
    for (seconds, nanos) in
        [(-1, 0), (i64::MAX, 0), (253_402_300_800, 0), (1_900_000_000, -1), (1_900_000_000, 1_000_000_000)]
    {
        let instant = Some(prost_types::Timestamp { seconds, nanos });
        rows.extend(rows! { client:
            earn_points "expires_at" EarnPointsRequest { expires_at: instant, ..earn("ann", 5) };
            get_balance "at" GetBalanceRequest { user_id: "ann".to_owned(), at: instant };
        });
    }
    for reason in ["x".repeat(201), "a\nb".to_owned(), "\0".to_owned(), "é".repeat(201)] {
        rows.extend(rows! { client: earn_points "reason" EarnPointsRequest { reason, ..earn("ann", 5) }; });
    }
    for page_size in [-1, 1_001, i32::MIN] {
        let asked = ListEntriesRequest { user_id: "ann".to_owned(), page_size, page_token: String::new() };
        rows.extend(rows! { client: list_entries "page_size" asked; });
    }
    let zero = kit::page::token("entries/ann".to_owned(), Some(0));
    for page_token in ["x", "%%%", "bm90IGEgY3Vyc29y", "\0", &zero] {
        let asked = ListEntriesRequest { user_id: "ann".to_owned(), page_size: 5, page_token: page_token.to_owned() };
        rows.extend(rows! { client: list_entries "page_token" asked; });
    }
    rows.extend(rows! { client:
        earn_points "expires_at" EarnPointsRequest { expires_at: Some(prost_types::Timestamp::default()), ..earn("ann", 5) };
        get_balance "at" GetBalanceRequest { user_id: "ann".to_owned(), at: Some(later(60_000)) };
    });
    rows
}

fn assert_refused(rows: Vec<Row>, sent: &str) {
    for (method, expected, answer) in rows {
        let code = answer.as_ref().map_or_else(Status::code, |()| Code::Ok);
        assert_eq!(code, Code::InvalidArgument, "{method} with {expected} {sent:?}: {answer:?}");
        assert_eq!(field(answer), expected, "{method} with {sent:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_field_and_nothing_has_changed() {
    let mut service = Service::start("bad-input").await;
    service.earn("ann", 100).await;
    service.deduct("ann", 10, "o1").await.unwrap();
    let before = number(&service.ground, SEEN).await;
    let long = "x".repeat(65);
    for name in NO_IDS.into_iter().chain([long.as_str()]) {
        assert_refused(every_name(service.client.clone(), name).await, name);
    }
    assert_refused(every_number(service.client.clone()).await, "a number");
    assert_eq!(number(&service.ground, SEEN).await, before);
    // The longest of everything is not too long.
    let longest = pb::EarnPointsRequest { reason: "é".repeat(200), ..earn(&"x".repeat(64), 1_000_000_000_000) };
    service.try_earn(longest).await.unwrap();
    service.end_clean().await;
}

/// Sends a message of another shape to a method.
async fn send<M>(channel: Channel, method: &str, message: M) -> Result<(), Status>
where
    M: prost::Message + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/booster.point.v1.PointService/{method}")).unwrap();
    let codec: ProstCodec<M, ()> = ProstCodec::default();
    grpc.unary(tonic::Request::new(message), path, codec).await.map(drop)
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_as_such() {
    let mut service = Service::start("bad-body").await;
    let channel = Channel::from_shared(service.url()).unwrap().connect().await.unwrap();
    for method in ["EarnPoints", "DeductPoints", "RefundPoints", "GetBalance", "ListEntries"] {
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
    assert_eq!(service.available("x").await, 0);
    service.end_clean().await;
}
