//! From start to end: telemetry, listeners, tasks, readiness, and the drain that takes them down in order.

use crate::config::{Drain, ProcessArgs};
use crate::grpc::Door;
use crate::health::{Readiness, serve_admin};
use crate::telemetry;
use anyhow::Context;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

mod exit;
mod signal;
mod task;

pub use exit::{ADDRESS_TAKEN, CannotListen, DRAINED, FAILED, MISCONFIGURED, SIGNALLED, run};
pub use task::Stage;

/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long the admin port may take to close, with a scrape in hand.
const LAST_SCRAPE: Duration = Duration::from_secs(1);

/// A process that has started. A cheap handle.
#[derive(Clone)]
pub struct Process(Arc<Inner>);

struct Inner {
    drain: Drain,
    grpc_addr: SocketAddr,
    admin_addr: SocketAddr,
    tasks: task::Tasks,
    /// The admin port, which answers until everything else has ended.
    admin: task::Tasks,
    readiness: Readiness,
    door: Mutex<Option<Door>>,
    telemetry: telemetry::Guard,
}

/// The condition that is met once the process accepts.
const ACCEPTING: &str = "process";

impl Process {
    /// Begins: telemetry is up, both ports are bound, the admin port answers that the process is not ready.
    /// `descriptors` are the encoded `FileDescriptorSet` of all services that may be served, for reflection.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::Invalid) where the configuration cannot be worked with, [`CannotListen`] where a port
    /// is taken.
    pub async fn start(config: &ProcessArgs, descriptors: &'static [u8]) -> anyhow::Result<Self> {
        config.check()?;
        let telemetry = telemetry::init(&config.telemetry)?;
        let grpc = listen("--grpc-addr", config.listen.grpc_addr).await?;
        let admin = listen("--admin-addr", config.listen.admin_addr).await?;
        let readiness = Readiness::new();
        readiness.waiting(ACCEPTING, "starting");
        let process = Self(Arc::new(Inner {
            drain: config.drain,
            grpc_addr: grpc.local_addr()?,
            admin_addr: admin.local_addr()?,
            tasks: task::Tasks::default(),
            admin: task::Tasks::default(),
            readiness,
            door: Mutex::new(Some(Door::new(grpc, descriptors))),
            telemetry,
        }));
        process.answer_admin(admin);
        tracing::info!(grpc = %process.grpc_addr(), admin = %process.admin_addr(), "started");
        Ok(process)
    }

    /// Runs what `make` makes of the token by which it is told to stop, at the latest when `stage` is drained. A task
    /// that panics or returns an error ends the process: it drains, and exits with [`FAILED`]. A task may end by
    /// itself before that.
    pub fn spawn<F>(&self, stage: Stage, name: &'static str, make: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.0.tasks.spawn(stage, name, make);
    }

    /// The conditions that this process waits for before it is ready.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Adds a gRPC service to the port that all share, and its name to the health service. Once the process accepts it
    /// is too late, and without effect.
    pub fn serve<S>(&self, service: S)
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        match self.0.door.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(door) => door.add(service),
            None => tracing::error!(service = S::NAME, "a service came too late to be served"),
        }
    }

    /// Where gRPC is answered.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.0.grpc_addr
    }

    /// Where `/metrics`, `/livez` and `/readyz` are answered.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.0.admin_addr
    }

    /// Begins the drain, as SIGTERM does.
    pub fn stop(&self) {
        self.0.tasks.stop();
    }

    /// Accepts, is ready as soon as all conditions are met, and drains on SIGTERM, SIGINT, [`Process::stop`] or the
    /// failure of a task. Returns the exit code; see the README for which.
    pub async fn run_to_end(self) -> ExitCode {
        let mut signals = match signal::Signals::take() {
            Ok(signals) => signals,
            Err(error) => {
                tracing::error!(cause = %format!("{error:#}"), "not run");
                return FAILED.into();
            }
        };
        self.open_door();
        tokio::select! {
            number = signals.next() => tracing::info!(signal = number, "told to end"),
            () = self.0.tasks.stopped() => tracing::info!("stopped"),
        }
        let code = tokio::select! {
            code = self.drain() => code,
            number = signals.next() => {
                tracing::warn!(signal = number, running = ?self.0.tasks.running(), "told again; ending hard");
                SIGNALLED + number
            }
        };
        self.0.telemetry.shutdown().await;
        code.into()
    }

    fn answer_admin(&self, listener: TcpListener) {
        let readiness = self.0.readiness.clone();
        self.0.admin.spawn(Stage::Store, "admin", |told| serve_admin(listener, readiness, told.cancelled_owned()));
        self.0.admin.spawn(Stage::Store, "upkeep", |told| async move {
            while told.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
                telemetry::upkeep();
            }
            Ok(())
        });
    }

    fn open_door(&self) {
        let door = self.0.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(door) = door {
            let readiness = self.0.readiness.clone();
            self.spawn(Stage::Door, "grpc", |told| door.open(readiness, told));
        }
        self.0.readiness.ready(ACCEPTING);
    }

    async fn drain(&self) -> u8 {
        let Drain { grace, linger } = self.0.drain;
        self.0.readiness.drain();
        let drained = async {
            tokio::time::sleep(linger).await;
            self.0.tasks.drain().await;
        };
        let in_time = tokio::time::timeout(grace, drained).await.is_ok();
        if in_time {
            tracing::info!("drained");
        } else {
            tracing::error!(running = ?self.0.tasks.running(), "the grace period is over; ending hard");
        }
        // Whoever still scrapes now is not worth a failure.
        let _ = tokio::time::timeout(LAST_SCRAPE, self.0.admin.drain()).await;
        if in_time && !self.0.tasks.failed() { DRAINED } else { FAILED }
    }
}

async fn listen(flag: &'static str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.context(CannotListen { flag, addr })
}
