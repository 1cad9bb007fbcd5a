//! The provider is away: it is left alone within seconds, and what has waited comes back to it slowly.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kit::money::Money;
use payment::http::{OPEN_FOR, PROBES, Standing, Till};
use payment::payment::{Call, Command, Heard, OrderId};
use payment::provider::words::State;
use proto::r#type::v1::StepKind::{Do, Undo};
use trial::chaos::Proxy;

use crate::running::{config, until, within};
use crate::sandbox::Sandbox;
use crate::scene::{Scene, charge, done, switches, undo};

/// How soon an outage has to be noticed.
const NOTICED: Duration = Duration::from_secs(5);

/// How long the provider is away: `BOOSTER_TEST_FULL=1` makes it five minutes.
fn outage() -> Duration {
    Duration::from_secs(if std::env::var("BOOSTER_TEST_FULL").is_ok() { 300 } else { 5 })
}

fn call(order_id: &str) -> Call {
    let amount = Money { currency: "KRW".to_owned(), minor_units: 5 };
    let (order_id, method) = (OrderId::parse(order_id).unwrap(), "sandbox".to_owned());
    Call { order_id, command: Command::Charge, amount, method }
}

/// Calls side by side until the breaker is open; how long that took.
async fn open(till: &Till) -> Duration {
    let begun = Instant::now();
    while till.breaker().standing() != Standing::Open {
        assert!(begun.elapsed() < NOTICED, "the breaker is not open");
        let heard = join_all((0..12).map(|nth| async move { till.call(&call(&format!("o{nth}"))).await })).await;
        assert!(heard.iter().all(|heard| matches!(heard, Heard::Nothing(_) | Heard::NotNow)), "{heard:?}");
    }
    begun.elapsed()
}

#[tokio::test]
async fn nobody_calls_a_provider_that_is_gone_and_a_few_try_whether_it_is_back() {
    let mut sandbox = Sandbox::start().await;
    let till = Till::new(&config(&sandbox.url(), &[])).unwrap();
    assert!(matches!(till.call(&call("well")).await, Heard::Said(_)));
    sandbox.die();
    open(&till).await;
    assert_eq!(till.call(&call("a")).await, Heard::NotNow);
    sandbox.start_again().await;
    within(OPEN_FOR * 2, "somebody may try", async || till.breaker().standing() == Standing::Trying).await;
    let heard = join_all((0..8).map(|nth| {
        let till = &till;
        async move { till.call(&call(&format!("p{nth}"))).await }
    }));
    let tried = heard.await.into_iter().filter(|heard| *heard != Heard::NotNow).count();
    assert_eq!((tried, till.breaker().standing()), (PROBES, Standing::Closed));
    assert!(matches!(till.call(&call("a")).await, Heard::Said(_)));
}

#[tokio::test]
async fn a_provider_that_is_silent_is_noticed_in_time() {
    let sandbox = Sandbox::start().await;
    let proxy = Proxy::start(sandbox.addr).await;
    let till = Till::new(&config(&format!("http://{}", proxy.addr()), &[])).unwrap();
    assert!(matches!(till.call(&call("well")).await, Heard::Said(_)));
    proxy.half_open();
    let took = open(&till).await;
    assert!(took < NOTICED, "{took:?}");
    // That it does not say anything does not mean that it has done nothing: whoever asks again gets the same.
    proxy.heal();
    until("it answers again", async || matches!(till.call(&call("o1")).await, Heard::Said(_))).await;
    assert_eq!(sandbox.deeds_of("o1"), [State::Charged]);
}

/// F27, the first half: away for a while. Hardly anybody asks meanwhile, and what has waited drains at a limited rate.
#[tokio::test]
async fn what_has_waited_for_a_provider_comes_back_to_it_at_a_limited_rate() {
    const ORDERS: usize = 400;
    let scene = Scene::begin("payment-away", &[]).await;
    scene.sandbox.behave(&switches(|switches| switches.down = true)).await;
    let requests: Vec<_> = (0..ORDERS).map(|nth| charge(&format!("o{nth}"))).collect();
    scene.ask(&requests).await;
    let asked = async || scene.number("SELECT sum(attempts)::bigint FROM payment.payment").await;
    let written = async || scene.number("SELECT count(*) FROM payment.payment").await;
    until("all are written down", async || written().await == i64::try_from(ORDERS).unwrap()).await;
    tokio::time::sleep(NOTICED).await;
    let (before, away) = (asked().await, outage());
    tokio::time::sleep(away).await;
    let in_vain = asked().await - before;
    // Each second a few try, and no more; without the breaker all of them would, again and again.
    let most = i64::try_from(away.as_secs()).unwrap() * i64::try_from(PROBES).unwrap() + 10;
    assert!(before > 0 && in_vain > 0 && in_vain <= most, "{before}, then {in_vain} in {away:?}");
    scene.sandbox.behave(&switches(|_| {})).await;
    scene.until_all_answered(ORDERS).await;
    assert_eq!(scene.verdict().await, i64::try_from(ORDERS).unwrap());
    let at: Vec<i64> = scene.sandbox.lines().iter().map(|line| line.at_ms).collect();
    let in_second = |nth: i64| at.iter().filter(|one| (**one - at[0]) / 1_000 == nth).count();
    // It begins with fifty a second, which double each second.
    assert!(in_second(0) <= 130 && in_second(1) <= 250, "{} and {}", in_second(0), in_second(1));
    scene.end().await;
}

/// F27, the second half: up and down, up and down.
#[tokio::test]
async fn a_provider_that_flaps_charges_everybody_once() {
    const ORDERS: usize = 300;
    let scene = Scene::begin("payment-flapping", &[]).await;
    scene.sandbox.behave(&switches(|switches| (switches.flapping_ms, switches.drop_ratio) = (700, 0.05))).await;
    for some in 0..ORDERS / 50 {
        let requests: Vec<_> = (0..50).map(|nth| charge(&format!("o{}", some * 50 + nth))).collect();
        scene.ask(&requests).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    scene.until_all_answered(ORDERS).await;
    assert_eq!(scene.verdict().await, i64::try_from(ORDERS).unwrap());
    assert!(scene.sandbox.deeds().values().all(|deeds| *deeds == [State::Charged]));
    scene.end().await;
}

/// F29: ten times in vain. It is asked on, somebody is told, and it ends undone.
#[tokio::test]
async fn an_undo_that_fails_ten_times_ends_undone() {
    let scene = Scene::begin("payment-undo-fails", &[]).await;
    scene.ask(&[charge("o"), charge("p")]).await;
    scene.until_all_answered(2).await;
    scene.sandbox.behave(&switches(|switches| switches.error_ratio = 1.0)).await;
    let before = alarms();
    scene.ask(&[undo("o")]).await;
    let attempts = "SELECT coalesce(max(attempts), 0)::bigint FROM payment.payment WHERE wanted = 'UNDO'";
    until("it has failed ten times", async || scene.number(attempts).await >= 10).await;
    within(Duration::from_secs(2), "somebody is told", async || alarms() > before).await;
    assert_eq!((scene.answers("o"), scene.state("o").await.as_str()), (vec![done(Do)], "CHARGED"));
    scene.sandbox.behave(&switches(|_| {})).await;
    assert_eq!(scene.until_answered("o", 2).await, [done(Do), done(Undo)]);
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Charged, State::Refunded]);
    assert_eq!(scene.verdict().await, 2);
    scene.end().await;
}

/// How many alarms this program has given.
fn alarms() -> u64 {
    let metrics = kit::telemetry::metrics_text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("booster_payment_alarms_total "));
    line.map_or(0, |number| number.trim().parse().unwrap())
}
