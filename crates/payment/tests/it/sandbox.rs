//! The provider, as it is shipped, in a runtime of its own; and its log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser as _;
use payment::provider::words::{Line, State};
use payment::provider::{Args, Provider, Switches};
use tokio::runtime::{Builder, Runtime};

/// A provider, running.
pub struct Sandbox {
    pub addr: SocketAddr,
    pub log: PathBuf,
    folder: tempfile::TempDir,
    runtime: Option<Runtime>,
}

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    provider: Args,
}

impl Sandbox {
    /// One that behaves.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("provider.jsonl");
        let addr = "127.0.0.1:0".parse().unwrap();
        let mut sandbox = Self { addr, log, folder, runtime: None };
        sandbox.start_again().await;
        sandbox
    }

    /// Starts it on its log, at the address that it had.
    pub async fn start_again(&mut self) {
        let (addr, log) = (self.addr.to_string(), self.log.to_string_lossy().into_owned());
        let args = Self::args(&addr, &log);
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let open = async move {
            let mut tries = 0;
            // A runtime that has just been ended may hold its port for a moment more, which no process could.
            loop {
                match Provider::open(&args).await {
                    Ok(provider) => return provider,
                    Err(error) => assert!(tries < 100, "{error:#}"),
                }
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let provider = runtime.spawn(open).await.unwrap();
        self.addr = provider.addr();
        runtime.spawn(async move { provider.serve(std::future::pending()).await.unwrap() });
        self.runtime = Some(runtime);
    }

    /// What one is told that behaves.
    pub fn args(addr: &str, log: &str) -> Args {
        Flags::parse_from(["test", "--addr", addr, "--log", log]).provider
    }

    /// It dies where it stands.
    pub fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Tells it how to behave from now on.
    pub async fn behave(&self, switches: &Switches) {
        let sent = reqwest::Client::new().put(format!("{}/v1/switches", self.url())).json(switches).send().await;
        assert!(sent.unwrap().status().is_success());
    }

    /// Every line of the log, in its order.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What was done by each key, in its order.
    pub fn deeds(&self) -> BTreeMap<String, Vec<State>> {
        let mut deeds = BTreeMap::<String, Vec<State>>::new();
        for line in self.lines() {
            deeds.entry(line.key).or_default().push(line.deed);
        }
        deeds
    }

    /// What was done by one key.
    pub fn deeds_of(&self, key: &str) -> Vec<State> {
        self.deeds().remove(key).unwrap_or_default()
    }

    /// Another file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.die();
    }
}
