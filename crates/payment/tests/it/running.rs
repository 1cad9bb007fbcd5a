//! Processes. Each lives in a runtime of its own, so that it can die without a word: its sockets are closed, and nothing is released,
//! flushed or committed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser as _;
use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};
use payment::Config;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// How long something may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A process, running.
pub struct Running {
    /// Nothing once it has ended.
    runtime: Option<Runtime>,
    process: Process,
    ended: Option<JoinHandle<ExitCode>>,
}

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(clap::Parser)]
struct Told {
    #[command(flatten)]
    config: Config,
}

impl Running {
    /// A process that does what `make` makes it do.
    pub async fn start<F>(make: impl FnOnce(Process) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let any = "127.0.0.1:0";
        let flags = ["test", "--grpc-addr", any, "--admin-addr", any, "--log-filter", "error"];
        let flags = Flags::parse_from(flags).process;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let process = runtime.spawn(async move { Process::start(&flags, proto::DESCRIPTORS).await.unwrap() });
        let process = process.await.unwrap();
        runtime.spawn(make(process.clone())).await.unwrap();
        let ended = Some(runtime.spawn(process.clone().run_to_end()));
        Self { runtime: Some(runtime), process, ended }
    }

    /// The service.
    pub async fn service(servers: &Servers, config: &Config) -> Self {
        let (servers, config) = (servers.clone(), config.clone());
        // Where tests of many crates run at once, PostgreSQL may take its time.
        insist(async || kit::postgres::connect(&servers, payment::SERVICE).await).await.close().await;
        Self::start(|process| async move {
            payment::run(&config, &servers, &process).await.unwrap();
        })
        .await
    }

    /// Where it answers gRPC.
    pub fn url(&self) -> String {
        format!("http://{}", self.process.grpc_addr())
    }

    /// Drains it, as SIGTERM does.
    pub async fn stop(mut self) {
        self.process.stop();
        let code = self.ended.take().unwrap().await.unwrap();
        assert_eq!(code, ExitCode::SUCCESS);
    }

    /// It dies where it stands.
    pub fn die(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How the service is told of a provider; it does not wait long before it asks again, so that tests do not take long.
pub fn config(url: &str, flags: &[&str]) -> Config {
    let told = ["test", "--payment-provider-url", url, "--payment-pause-most", "500ms"];
    Told::parse_from(told.iter().chain(flags)).config
}

/// Waits until something holds; panics where it does not in time.
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    within(PATIENCE, what, holds).await;
}

/// The same, in so long.
pub async fn within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Tries until it is done; panics where it is not in time. For what a busy machine may refuse for a moment.
pub async fn insist<T>(mut work: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {error:#}"),
        }
    }
}
