//! The sandbox provider: an outside payment provider to try things with, as a process of its own. Nothing of the service knows it but its
//! words.
//!
//! It charges, answers, voids and refunds by a key, and misbehaves as it is told. What it has done stands in a log on its disk before it is
//! answered: the log is the judge of whether anybody was charged twice.

pub mod words;
mod switches;
mod door;
mod wire;
mod book;
mod log;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use kit::boot::{CannotListen, SIGNALLED};
use kit::config::Telemetry;
use kit::error::Invalid;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use book::Book;
use door::Sandbox;
use log::Log;
pub use switches::Switches;
use wire::Gate;

/// How long requests in hand may take once it is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// What the provider is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where it answers HTTP; port 0 takes a free one, and prints the address
    #[arg(long, env = "BOOSTER_PROVIDER_ADDR", default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    pub addr: SocketAddr,

    /// The log of what it has done: read at its start, then only ever appended to
    #[arg(long, env = "BOOSTER_PROVIDER_LOG", default_value = "provider.jsonl", value_name = "PATH")]
    pub log: PathBuf,

    /// Listen beyond this host although nothing is encrypted and nobody is asked who he is
    #[arg(long, env = "BOOSTER_INSECURE")]
    pub insecure: bool,

    /// How it misbehaves, until told otherwise.
    #[command(flatten)]
    pub switches: Switches,

    /// What it tells of itself.
    #[command(flatten)]
    pub telemetry: Telemetry,
}

/// A provider that knows all that it has done, and listens.
pub struct Provider {
    listener: TcpListener,
    addr: SocketAddr,
    log: Log,
    sandbox: Sandbox,
    later: door::Later,
}

impl Provider {
    /// Reads the log and listens; nobody is answered yet.
    ///
    /// # Errors
    /// A flag is wrong, the address is taken, or the log cannot be read, is damaged, or is another process's.
    pub async fn open(args: &Args) -> anyhow::Result<Self> {
        args.switches.check()?;
        if !args.insecure && !args.addr.ip().is_loopback() {
            let why =
                format!("is {}, which other hosts can reach without a certificate; --insecure allows that", args.addr);
            return Err(Invalid::new("--addr", why).into());
        }
        let taken = CannotListen { flag: "--addr", addr: args.addr };
        let listener = TcpListener::bind(args.addr).await.context(taken)?;
        let addr = listener.local_addr()?;
        let (log, lines) = Log::open(args.log.clone()).await?;
        let book = Book::new(lines, log.pen())?;
        let (sandbox, later) = Sandbox::new(book, args.switches.clone());
        Ok(Self { listener, addr, log, sandbox, later })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `told`, and then what is in hand.
    ///
    /// # Errors
    /// The log cannot be written: nothing more could be answered.
    pub async fn serve(self, told: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let routes = door::routes(self.sandbox.clone()).into_make_service_with_connect_info::<wire::Cutter>();
        let served = async { axum::serve(Gate::new(self.listener), routes).with_graceful_shutdown(told).await };
        tokio::select! {
            ended = served => ended.context("the provider's port"),
            failed = self.log.write() => failed,
            () = self.later.run(&self.sandbox) => Ok(()),
        }
    }
}

/// Runs the provider until SIGTERM or SIGINT; a second one ends it hard.
///
/// # Errors
/// One sentence: a flag is wrong, the address is taken, or the log cannot be used.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.telemetry.check()?;
    let telemetry = kit::telemetry::init(&args.telemetry)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let provider = Provider::open(&args).await?;
    if args.addr.port() == 0 {
        // Whoever has started it has to learn where it is; there is nobody to tell that stdout is closed.
        let _ = writeln!(std::io::stdout(), "http://{}", provider.addr());
    }
    tracing::info!(addr = %provider.addr(), log = %args.log.display(), "started");
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let serving = provider.serve(async { drop(told.await) });
    tokio::pin!(serving);
    tokio::select! {
        failed = &mut serving => return failed.map(|()| ExitCode::SUCCESS),
        number = next(&mut terminate, &mut interrupt) => tracing::info!(signal = number, "told to end"),
    }
    drop(tell);
    let code = tokio::select! {
        ended = &mut serving => ended.map(|()| ExitCode::SUCCESS)?,
        // Whoever holds his connection open for longer is not waited for: everything that was answered is in the log.
        () = tokio::time::sleep(DRAIN) => ExitCode::SUCCESS,
        number = next(&mut terminate, &mut interrupt) => ExitCode::from(SIGNALLED + number),
    };
    telemetry.shutdown().await;
    Ok(code)
}

/// The number of the next signal.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> u8 {
    let kind = tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
    };
    u8::try_from(kind.as_raw_value()).unwrap_or_default()
}
