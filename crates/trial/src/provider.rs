//! The sandbox provider, started for a run or a test: on a free port, with a log of its own, killed by its pid and never by name.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// The sandbox provider. Killed when dropped.
#[derive(Debug)]
pub struct Provider {
    process: tokio::process::Child,
    log: PathBuf,
    url: String,
}

/// How long the provider may take until it listens, and how often it is looked at meanwhile.
const LISTENING: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Provider {
    /// Starts it by the executable `booster`; `name` is for people who look at its files.
    ///
    /// # Errors
    /// It cannot be started, or does not listen in time.
    pub async fn try_start(name: &str, booster: &Path) -> anyhow::Result<Self> {
        let directory = crate::ground::root().join("target/trial");
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let name = format!("{name}-provider-{:08x}", rand::random::<u32>());
        let (log, output) = (directory.join(format!("{name}.jsonl")), directory.join(format!("{name}.log")));
        let file = std::fs::File::create(&output).with_context(|| output.display().to_string())?;
        let mut command = tokio::process::Command::new(booster);
        // With port 0 it takes a free one, and says on a line of its own where it is.
        command.args(["provider", "--addr", "127.0.0.1:0", "--log"]).arg(&log);
        for (told, _) in std::env::vars_os().filter(|(told, _)| told.to_string_lossy().starts_with("BOOSTER_")) {
            command.env_remove(told);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let process = command.spawn().with_context(|| format!("cannot start {}", booster.display()))?;
        let mut provider = Self { process, log, url: String::new() };
        let begun = Instant::now();
        loop {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            if let Some(url) = said.lines().find(|line| line.starts_with("http://")) {
                url.clone_into(&mut provider.url);
                return Ok(provider);
            }
            provider.check().with_context(|| format!("see {}", output.display()))?;
            ensure!(begun.elapsed() < LISTENING, "the sandbox provider does not listen; see {}", output.display());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with all that it has done.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It has ended, by itself or by somebody else.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let ended = self.process.try_wait()?;
        ensure!(ended.is_none(), "the sandbox provider has ended: {ended:?}");
        Ok(())
    }
}
