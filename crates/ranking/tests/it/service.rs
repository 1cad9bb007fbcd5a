//! The service under test, in this process, and how a client sees it.

use std::time::Duration;

use clap::Parser as _;
use jiff::civil::Date;
use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};
use proto::ranking::v1 as pb;
use proto::ranking::v1::ranking_service_client::RankingServiceClient;
use ranking::Config;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

/// How long whatever must happen in the end may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks whether it has happened.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    config: Config,
}

/// What a process is told, besides its servers.
fn flags(more: &[&str]) -> Flags {
    let any = ["test", "--grpc-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--log-filter", "warn"];
    Flags::parse_from(any.iter().chain(more))
}

/// The settings of ranking, by these flags.
pub fn config(more: &[&str]) -> Config {
    flags(more).config
}

/// A process that does nothing yet, and what ends with it.
pub async fn process() -> (Process, JoinHandle<std::process::ExitCode>) {
    let process = Process::start(&flags(&[]).process, proto::DESCRIPTORS).await.unwrap();
    let running = run(process.clone());
    (process, running)
}

/// The service, running.
pub struct Service {
    pub client: RankingServiceClient<Channel>,
    process: Process,
    running: JoinHandle<std::process::ExitCode>,
}

impl Service {
    /// Starts it with further flags.
    pub async fn start(servers: &Servers, more: &[&str]) -> Self {
        let flags = flags(more);
        let process = Process::start(&flags.process, proto::DESCRIPTORS).await.unwrap();
        drop(ranking::run(&flags.config, servers, &process).await.unwrap());
        let url = format!("http://{}", process.grpc_addr());
        let running = run(process.clone());
        Self { client: RankingServiceClient::connect(url).await.unwrap(), process, running }
    }

    /// Drains it.
    pub async fn stop(self) {
        drop(self.client);
        self.process.stop();
        self.running.await.unwrap();
    }

    pub async fn top(&mut self, period: pb::Period, day: &str, limit: i32) -> Result<pb::ListTopResponse, Status> {
        let request = pb::ListTopRequest { board: String::new(), period: period.into(), date: day.to_owned(), limit };
        Ok(self.client.list_top(request).await?.into_inner())
    }

    /// What is listed of a board, as items and scores.
    pub async fn listed(&mut self, period: pb::Period, day: &str) -> Result<Vec<(String, i64)>, Status> {
        let listed = self.top(period, day, 0).await?;
        assert!(listed.entries.iter().zip(1..).all(|(entry, rank)| entry.rank == rank), "{listed:?}");
        Ok(listed.entries.into_iter().map(|entry| (entry.item_id, entry.score)).collect())
    }

    /// Waits until a board is listed like this. On a machine with too much to do a store may not answer in time at first.
    pub async fn until_listed(&mut self, period: pb::Period, day: &str, expected: &[(&str, i64)]) {
        let expected: Vec<_> = expected.iter().map(|(item, score)| ((*item).to_owned(), *score)).collect();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let listed = self.listed(period, day).await;
            if listed.as_ref().is_ok_and(|listed| *listed == expected) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{period:?} {day}: {listed:?} and not {expected:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The same of a day and of a week.
    pub async fn until_day(&mut self, day: Date, expected: &[(&str, i64)]) {
        self.until_listed(pb::Period::Daily, &day.to_string(), expected).await;
    }

    pub async fn until_week(&mut self, day: Date, expected: &[(&str, i64)]) {
        self.until_listed(pb::Period::Weekly, &day.to_string(), expected).await;
    }

    pub async fn until_all_time(&mut self, expected: &[(&str, i64)]) {
        self.until_listed(pb::Period::AllTime, "", expected).await;
    }

    pub async fn rank(&mut self, period: pb::Period, day: Date, item: &str) -> Result<pb::Rank, Status> {
        let (date, item_id) = (day.to_string(), item.to_owned());
        let request = pb::GetRankRequest { board: "items".to_owned(), period: period.into(), date, item_id };
        Ok(self.client.get_rank(request).await?.into_inner())
    }

    pub async fn rebuild(&mut self, period: pb::Period, day: Date) -> i64 {
        let request = pb::RebuildBoardRequest { board: String::new(), period: period.into(), date: day.to_string() };
        self.client.rebuild_board(request).await.unwrap().into_inner().items
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The reason of a refusal.
pub fn reason<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    reply.expect_err("it was refused").get_error_details().error_info().expect("it has a reason").reason.clone()
}

/// The field that a refusal names.
pub fn field<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    let details = reply.expect_err("it was refused").get_error_details();
    assert_eq!(details.error_info().expect("it has a reason").reason, "INVALID_FIELD");
    details.bad_request().expect("it names a field").field_violations[0].field.clone()
}

#[expect(clippy::disallowed_methods, reason = "the test outlives the process that it drains")]
fn run(process: Process) -> JoinHandle<std::process::ExitCode> {
    tokio::spawn(process.run_to_end())
}
