//! The smallest process: no service, and one task that takes its time to end. Run it, ask its `/readyz`, send it a
//! SIGTERM, and another while it drains.

use clap::Parser;
use kit::boot::{self, Process, Stage};
use kit::config::ProcessArgs;
use std::process::ExitCode;
use std::time::Duration;

/// A process that only waits
#[derive(Parser)]
struct Flags {
    /// How long its one task takes to end
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration, value_name = "TIME")]
    takes: Duration,

    #[command(flatten)]
    process: ProcessArgs,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    boot::run(async move {
        let process = Process::start(&flags.process, &[]).await?;
        process.spawn(Stage::Work, "batch", |told| async move {
            told.cancelled().await;
            tokio::time::sleep(flags.takes).await;
            Ok(())
        });
        Ok(process.run_to_end().await)
    })
}
