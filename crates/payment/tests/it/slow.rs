//! F25: the provider takes two seconds. What is on its way is bounded, and nothing else waits for it.

use std::time::{Duration, Instant};

use payment::provider::words::State;
use proto::payment::v1 as pb;
use proto::payment::v1::payment_service_client::PaymentServiceClient;

use crate::running::until;
use crate::scene::{Scene, charge};

/// Calls on their way at once.
const IN_FLIGHT: usize = 20;
/// Orders whose charge takes two seconds: five times as many.
const SLOW: usize = 100;

#[tokio::test]
async fn a_provider_that_takes_two_seconds_exhausts_nothing() {
    let scene = Scene::begin("payment-slow", &["--payment-in-flight", "20"]).await;
    let requests: Vec<_> = (0..SLOW).map(|nth| charge(&format!("o{nth}")).by("sandbox:delay")).collect();
    let begun = Instant::now();
    scene.ask(&requests).await;
    let written = async || scene.number("SELECT count(*) FROM payment.payment").await;
    until("all are written down", async || written().await == i64::try_from(SLOW).unwrap()).await;
    let mut client = PaymentServiceClient::connect(scene.url()).await.unwrap();
    let (mut slowest, mut looks) = (Duration::ZERO, 0);
    while scene.answered() < SLOW {
        let look = Instant::now();
        let by = Some(pb::get_payment_request::By::OrderId("o0".to_owned()));
        client.get_payment(pb::GetPaymentRequest { by }).await.unwrap();
        (slowest, looks) = (slowest.max(look.elapsed()), looks + 1);
        assert!(begun.elapsed() < Duration::from_secs(60), "{} are answered", scene.answered());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(slowest < Duration::from_secs(1) && looks > 50, "{slowest:?}, {looks}");
    assert_eq!(scene.verdict().await, i64::try_from(SLOW).unwrap());
    assert!(scene.sandbox.deeds().values().all(|deeds| *deeds == [State::Charged]));
    // Who is decided together was on his way together.
    let mut at: Vec<i64> = scene.sandbox.lines().iter().map(|line| line.at_ms).collect();
    at.sort_unstable();
    let together = at.iter().map(|first| at.iter().filter(|at| (*first..first + 1_900).contains(at)).count());
    assert!(together.max().unwrap() <= IN_FLIGHT);
    // And as many as may be are: with half of them it would take twenty seconds.
    let (first, last) = (at[0], at[SLOW - 1]);
    assert!((7_600..16_000).contains(&(last - first)), "{}", last - first);
    scene.end().await;
}
