//! What every call gets, whichever service it is for.

use crate::ask::{channel, get, health, start, until};
use crate::odd::{self, Odd};
use futures::future::join_all;
use std::time::{Duration, Instant};
use tonic::Code;
use tonic::server::NamedService;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

const SERVING: i32 = ServingStatus::Serving as i32;
const NOT_SERVING: i32 = ServingStatus::NotServing as i32;

#[tokio::test]
async fn health_has_a_name_for_each_service_and_for_all() {
    let process = start(&[]).await;
    process.readiness().waiting("redis", "connecting");
    tokio::join!(process.clone().run_to_end(), async {
        let channel = channel(&process).await;
        assert_eq!(health(&channel, Odd::NAME).await.unwrap(), NOT_SERVING);
        process.readiness().ready("redis");
        assert_eq!(health(&channel, Odd::NAME).await.unwrap(), SERVING);
        assert_eq!(health(&channel, "").await.unwrap(), SERVING);
        assert_eq!(health(&channel, "nobody").await.unwrap_err().code(), Code::NotFound);
        process.stop();
    });
}

#[tokio::test]
async fn reflection_tells_of_what_is_served() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel(&process).await);
        let mut answers = client.server_reflection_info(futures::stream::iter([list])).await.unwrap().into_inner();
        let Some(MessageResponse::ListServicesResponse(list)) =
            answers.message().await.unwrap().unwrap().message_response
        else {
            panic!("not a list")
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.sort();
        assert_eq!(names, [Odd::NAME, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]);
        drop(answers);
        process.stop();
    });
}

#[tokio::test]
async fn a_call_without_an_answer_ends_before_its_client_gives_up() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let began = Instant::now();
        let late = odd::call(&channel(&process).await, "Hang", Some(Duration::from_millis(400))).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_millis(400));
        let details = late.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((late.code(), info.reason.as_str()), (Code::Unavailable, "BACKEND_UNAVAILABLE"));
        assert_eq!(info.domain, "odd.booster");
        process.stop();
    });
}

#[tokio::test]
async fn a_panic_is_an_internal_error_of_one_call() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let channel = channel(&process).await;
        let (panicked, waited) = tokio::join!(odd::call(&channel, "Panic", None), odd::call(&channel, "Wait", None));
        let panicked = panicked.unwrap_err();
        assert_eq!(panicked.code(), Code::Internal);
        assert!(!panicked.message().contains("as asked"));
        waited.unwrap();
        process.stop();
    });
}

#[tokio::test]
async fn more_than_a_connections_share_is_turned_away_at_once() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let (crowded, other) = (channel(&process).await, channel(&process).await);
        let calls = join_all((0..150).map(|_| odd::call(&crowded, "Wait", None)));
        let (answers, other) = tokio::join!(calls, odd::call(&other, "Answer", None));
        let shed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert!((1..=150 - 128).contains(&shed.len()), "{} of 150 were turned away", shed.len());
        for status in shed {
            let details = status.get_error_details();
            assert_eq!(
                (status.code(), details.error_info().unwrap().reason.as_str()),
                (Code::Unavailable, "OVERLOADED")
            );
            assert!(details.retry_info().unwrap().retry_delay.is_some());
        }
        other.unwrap();
        odd::call(&crowded, "Answer", None).await.unwrap();
        process.stop();
    });
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let channel = channel(&process).await;
        odd::call(&channel, "Answer", None).await.unwrap();
        assert_eq!(odd::call(&channel, "Nonsense", None).await.unwrap_err().code(), Code::Unimplemented);
        let (status, text) = get(process.admin_addr(), "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            r#"booster_rpc_requests_total{method="booster.odd.v1.OddService/Answer",code="OK"}"#,
            r#"booster_rpc_requests_total{method="unknown",code="UNIMPLEMENTED"}"#,
            r#"booster_rpc_duration_seconds_bucket{method="booster.odd.v1.OddService/Answer",le="0.001"}"#,
            r#"booster_condition_met{condition="process"} 1"#,
            "booster_connections ",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("Nonsense"), "what clients ask for must not become a series");
        process.stop();
    });
}

#[tokio::test]
async fn streams_end_with_a_status_when_the_process_drains() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let channel = channel(&process).await;
        let mut stream = odd::stream(&channel).await;
        assert_eq!(stream.message().await.unwrap(), Some(()));
        let request = HealthCheckRequest { service: Odd::NAME.into() };
        let mut watch = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status, SERVING);
        until(process.admin_addr(), 200).await;
        process.stop();
        assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(watch.message().await.unwrap().unwrap().status, NOT_SERVING);
        assert_eq!(watch.message().await.unwrap(), None);
    });
}
