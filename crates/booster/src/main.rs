#![doc = include_str!("../README.md")]

mod say;
mod table;
mod instant;
mod client;
mod services;
mod serve;
mod migrate;
mod healthcheck;
mod deal;
mod dlq;
mod replay;
mod audit;
mod fence;

use std::process::ExitCode;

use clap::Parser;

/// Booster: for the moment when everyone arrives at once.
///
/// Each service is a subcommand and runs as a process of its own; `all` runs them all in one process, on one port. The
/// servers they share (a Redis Cluster, Kafka, PostgreSQL) are told by flags or by environment variables, and must have
/// been prepared once by `booster migrate`.
///
/// Exit codes: 0 done, or drained; 1 failed; 2 a flag is wrong; 3 an address is taken; 128 + n ended hard by signal n.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
struct Booster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run every service in one process
    ///
    /// Every gRPC service, reflection and grpc.health.v1 answer on one port. On SIGTERM: not ready, no more connections,
    /// what was begun is finished, exit code 0; a second signal ends it hard.
    All(serve::Serve<services::Configs>),
    /// Run promotion: time deals and first-come coupons
    ///
    /// On SIGTERM: not ready, no more connections, what was begun is finished, exit code 0; a second signal ends it hard.
    Promotion(serve::Serve<()>),
    /// Run order: orders, their stock, and the saga that pays for them
    ///
    /// On SIGTERM: not ready, no more connections, what was begun is finished, exit code 0; a second signal ends it hard.
    Order(serve::Serve<order::Config>),
    /// Run point: the ledger of points
    ///
    /// On SIGTERM: not ready, no more connections, what was begun is finished, exit code 0; a second signal ends it hard.
    Point(serve::Serve<()>),
    /// Run payment: charges and refunds at an outside provider
    ///
    /// On SIGTERM: not ready, no more connections, what was begun is finished, exit code 0; a second signal ends it hard.
    Payment(serve::Serve<payment::Config>),
    /// Run ranking: what is popular
    ///
    /// On SIGTERM: not ready, no more connections, what was begun is finished, exit code 0; a second signal ends it hard.
    Ranking(serve::Serve<ranking::Config>),
    /// Run a payment provider for tests and demonstrations, by HTTP
    ///
    /// It charges nobody, and writes down what it would have: into a log that is only ever appended to, and that `booster audit
    /// --provider-log` holds against the payments. It can be told to be slow, to decline, to fail, and to forget to answer.
    Provider(payment::provider::Args),
    /// Prepare the servers: schemas, roles, topics, Redis functions
    Migrate(migrate::Migrate),
    /// Ask a process whether it is well; exit code 0 when it is
    Healthcheck(healthcheck::Healthcheck),
    /// Work with deals: create, look, watch, change, close, export, claim
    Deal(deal::Deal),
    /// Work with events that are stuck: look, edit, replay, discard
    Dlq(dlq::Dlq),
    Replay(replay::Replay),
    /// Check what must always be true, on the live system
    Audit(audit::Audit),
    /// See and change which Redis node may serve which tag
    Fence(fence::Fence),
}

fn main() -> ExitCode {
    let booster = Booster::parse();
    kit::boot::run(async move {
        match booster.command {
            Command::All(all) => all.all().await,
            Command::Promotion(promotion) => promotion.promotion().await,
            Command::Order(order) => order.order().await,
            Command::Point(point) => point.point().await,
            Command::Payment(payment) => payment.payment().await,
            Command::Ranking(ranking) => ranking.ranking().await,
            Command::Provider(provider) => payment::provider::run(provider).await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Healthcheck(healthcheck) => healthcheck.run().await,
            Command::Deal(deal) => deal.run().await,
            Command::Dlq(dlq) => dlq.run().await,
            Command::Replay(replay) => replay.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Fence(fence) => fence.run().await,
        }
    })
}
