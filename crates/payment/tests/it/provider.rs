//! The sandbox provider by itself: what it answers, how it misbehaves, and that its log knows everything that was ever answered.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::join_all;
use payment::provider::words::{Answer, Charge, State};
use reqwest::{Client, StatusCode};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::running::until;
use crate::sandbox::Sandbox;
use crate::scene::switches;

fn command(key: &str, method: &str) -> Charge {
    let (key, currency, method) = (key.to_owned(), "KRW".to_owned(), method.to_owned());
    Charge { key, amount: 5, currency, method }
}

impl Sandbox {
    /// What it answers to a charge; nothing where the connection breaks.
    async fn charge(&self, charge: &Charge) -> Option<Result<State, StatusCode>> {
        let sent = Client::new().post(format!("{}/v1/charges", self.url())).json(charge).send().await.ok()?;
        let status = sent.status();
        Some(if status == StatusCode::OK { Ok(sent.json::<Answer>().await.ok()?.state) } else { Err(status) })
    }

    async fn post(&self, key: &str, what: &str) -> State {
        let url = format!("{}/v1/charges/{key}/{what}", self.url());
        Client::new().post(url).send().await.unwrap().json::<Answer>().await.unwrap().state
    }

    async fn get(&self, key: &str) -> State {
        let url = format!("{}/v1/charges/{key}", self.url());
        Client::new().get(url).send().await.unwrap().json::<Answer>().await.unwrap().state
    }
}

#[tokio::test]
async fn each_key_is_decided_once() {
    let sandbox = Sandbox::start().await;
    let plain = |key: &str| command(key, "sandbox");
    assert_eq!(sandbox.get("a").await, State::Unknown);
    assert_eq!(sandbox.post("a", "refund").await, State::Unknown);
    let a = plain("a");
    let charges = (0..50).map(|_| sandbox.charge(&a));
    assert!(join_all(charges).await.into_iter().all(|said| said == Some(Ok(State::Charged))));
    assert_eq!(sandbox.post("a", "void").await, State::Charged);
    assert_eq!(sandbox.post("a", "refund").await, State::Refunded);
    assert_eq!(sandbox.post("a", "refund").await, State::Refunded);
    assert_eq!(sandbox.charge(&plain("a")).await, Some(Ok(State::Refunded)));
    assert_eq!(sandbox.deeds_of("a"), [State::Charged, State::Refunded]);

    assert_eq!(sandbox.post("b", "void").await, State::Voided);
    assert_eq!(sandbox.charge(&plain("b")).await, Some(Ok(State::Voided)));
    assert_eq!(sandbox.post("b", "refund").await, State::Voided);
    assert_eq!(sandbox.deeds_of("b"), [State::Voided]);

    for (key, method) in [("c", "sandbox:decline"), ("d", "gold")] {
        assert_eq!(sandbox.charge(&command(key, method)).await, Some(Ok(State::Declined)));
        assert_eq!(sandbox.post(key, "void").await, State::Declined);
        assert_eq!(sandbox.charge(&plain(key)).await, Some(Ok(State::Declined)));
        assert_eq!(sandbox.deeds_of(key), [State::Declined]);
    }
    let other = Charge { amount: 6, ..plain("a") };
    assert_eq!(sandbox.charge(&other).await, Some(Err(StatusCode::CONFLICT)));
    for wrong in [Charge { amount: 0, ..plain("e") }, plain("e:"), Charge { currency: "won".to_owned(), ..plain("e") }]
    {
        assert_eq!(sandbox.charge(&wrong).await, Some(Err(StatusCode::BAD_REQUEST)), "{wrong:?}");
    }
}

#[tokio::test]
async fn it_misbehaves_as_the_method_says_and_once() {
    let sandbox = Sandbox::start().await;
    let drop = command("drop", "sandbox:drop");
    assert_eq!(sandbox.charge(&drop).await, None);
    assert_eq!(sandbox.deeds_of("drop"), [State::Charged], "it was charged before");
    assert_eq!(sandbox.charge(&drop).await, Some(Ok(State::Charged)));

    let late = command("late", "sandbox:late");
    assert_eq!(sandbox.charge(&late).await, Some(Err(StatusCode::GATEWAY_TIMEOUT)));
    assert_eq!(sandbox.get("late").await, State::Unknown);
    until("it is charged all the same", async || sandbox.get("late").await == State::Charged).await;

    let voided = command("late-voided", "sandbox:late");
    assert_eq!(sandbox.charge(&voided).await, Some(Err(StatusCode::GATEWAY_TIMEOUT)));
    assert_eq!(sandbox.post("late-voided", "void").await, State::Voided);
    let begun = Instant::now();
    until("its time is over", async || begun.elapsed() > Duration::from_millis(1_500)).await;
    assert_eq!(sandbox.deeds_of("late-voided"), [State::Voided]);

    // A charge that is still on its way is refused once it is voided.
    let (delay, begun) = (command("delay", "sandbox:delay"), Instant::now());
    let running = sandbox.charge(&delay);
    let voiding = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sandbox.post("delay", "void").await
    };
    assert_eq!(tokio::join!(running, voiding), (Some(Ok(State::Voided)), State::Voided));
    assert!(begun.elapsed() > Duration::from_millis(1_900));
    assert_eq!(sandbox.deeds_of("delay"), [State::Voided]);
}

#[tokio::test]
async fn switches_treat_everybody_alike_until_they_are_turned() {
    let sandbox = Sandbox::start().await;
    let plain = |key: &str| command(key, "sandbox");
    sandbox.behave(&switches(|switches| switches.down = true)).await;
    assert_eq!(sandbox.charge(&plain("a")).await, Some(Err(StatusCode::SERVICE_UNAVAILABLE)));
    sandbox.behave(&switches(|switches| switches.error_ratio = 1.0)).await;
    assert_eq!(sandbox.charge(&plain("a")).await, Some(Err(StatusCode::SERVICE_UNAVAILABLE)));
    assert!(sandbox.lines().is_empty());
    sandbox.behave(&switches(|switches| switches.drop_ratio = 1.0)).await;
    assert_eq!(sandbox.charge(&plain("a")).await, None);
    assert_eq!(sandbox.deeds_of("a"), [State::Charged]);
    sandbox.behave(&switches(|switches| switches.decline_ratio = 1.0)).await;
    assert_eq!(sandbox.charge(&plain("b")).await, Some(Ok(State::Declined)));
    sandbox.behave(&switches(|switches| switches.delay_ms = 300)).await;
    let begun = Instant::now();
    assert_eq!(sandbox.charge(&plain("c")).await, Some(Ok(State::Charged)));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    sandbox.behave(&switches(|switches| switches.flapping_ms = 200)).await;
    for expected in [Ok(State::Charged), Err(StatusCode::SERVICE_UNAVAILABLE), Ok(State::Charged)] {
        until("it flaps", async || sandbox.charge(&plain("c")).await == Some(expected)).await;
    }
    let url = format!("{}/v1/switches", sandbox.url());
    for wrong in ["{\"drop_ratio\": 2}", "{\"no_such\": 1}", "x"] {
        let sent = Client::new().put(&url).header("content-type", "application/json").body(wrong).send().await;
        assert!(sent.unwrap().status().is_client_error(), "{wrong}");
    }
    let shown: payment::provider::Switches = Client::new().get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown, switches(|switches| switches.flapping_ms = 200));
}

/// What was answered is known to whoever comes after it, and the log is only one process's.
#[tokio::test]
async fn it_dies_and_knows_everything_that_it_has_answered() {
    let mut sandbox = Sandbox::start().await;
    let answered = std::cell::RefCell::new(Vec::new());
    for round in 0..5 {
        let charge = |nth: usize| {
            let (sandbox, answered) = (&sandbox, &answered);
            async move {
                let key = format!("k{round}-{nth}");
                let said = sandbox.charge(&command(&key, "sandbox")).await;
                answered.borrow_mut().push((key, said));
            }
        };
        let charges = join_all((0..200).map(charge));
        // It dies in the middle of them.
        let most = answered.borrow().len() + 10 + 40 * round;
        tokio::select! {
            _ = charges => {}
            () = until("some are answered", async || answered.borrow().len() > most) => {}
        }
        sandbox.die();
        sandbox.start_again().await;
    }
    let answered = answered.into_inner();
    assert!(!answered.is_empty());
    let lines = sandbox.lines();
    for (key, said) in &answered {
        if let Some(Ok(state)) = said {
            assert_eq!(sandbox.get(key).await, *state, "{key}");
        }
    }
    let charged = lines.iter().filter(|line| line.deed == State::Charged).count();
    assert_eq!((charged, sandbox.deeds().len()), (lines.len(), lines.len()), "each key stands there once");
    let references: std::collections::HashSet<_> = lines.iter().map(|line| line.reference.clone().unwrap()).collect();
    assert_eq!(references.len(), lines.len());
    // Nobody else writes into its log meanwhile.
    let addr = "127.0.0.1:0".to_owned();
    let other = Sandbox::args(&addr, &sandbox.log.to_string_lossy());
    let refused = payment::provider::Provider::open(&other).await.err().unwrap();
    assert!(format!("{refused:#}").contains("is held by another process"), "{refused:#}");
}

/// Says where the log of the process is: a variable of its environment.
const LOG: &str = "BOOSTER_TEST_PROVIDER_LOG";

/// The process, as `booster provider` is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "another test starts it, as a process of its own"]
async fn serve() {
    let Ok(log) = std::env::var(LOG) else { return };
    let code = payment::provider::run(Sandbox::args("127.0.0.1:0", &log)).await.unwrap();
    assert_eq!(code, std::process::ExitCode::SUCCESS);
}

/// What it says; whoever drops it breaks its pipe.
type Said = tokio::io::Lines<BufReader<ChildStdout>>;

/// Starts it, and reads where it is.
async fn process(log: &Path) -> (Child, Said, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["provider::serve", "--exact", "--ignored", "--nocapture"]).env(LOG, log).kill_on_drop(true);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("it says where it is");
        if let Some(at) = line.find("http://") {
            return (child, lines, line[at..].to_owned());
        }
    }
}

#[tokio::test]
async fn as_a_process_it_is_killed_started_again_and_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("of/its/own/provider.jsonl");
    let charge = async |url: &str, key: &str| {
        let sent = Client::new().post(format!("{url}/v1/charges")).json(&command(key, "sandbox")).send().await;
        sent.unwrap().json::<Answer>().await.unwrap()
    };
    let (mut child, _said, url) = process(&log).await;
    let first = charge(&url, "a").await;
    child.kill().await.unwrap();
    let (mut child, _said, url) = process(&log).await;
    assert_eq!(charge(&url, "a").await, first);
    let pid = child.id().unwrap().to_string();
    // What is in hand is answered.
    let slow = async {
        let sent = Client::new().post(format!("{url}/v1/charges")).json(&command("b", "sandbox:delay")).send().await;
        sent.unwrap().json::<Answer>().await.unwrap().state
    };
    let told = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", "TERM", &pid]).status().await.unwrap().success());
    };
    assert_eq!(tokio::join!(slow, told).0, State::Charged);
    assert!(child.wait().await.unwrap().success());
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
}
