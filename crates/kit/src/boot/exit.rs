//! How a process ends, as its parent sees it.

use crate::error::Invalid;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Drained: all that was in hand has ended.
pub const DRAINED: u8 = 0;
/// A task failed, a dependency was not there, or the grace period was over before all had ended.
pub const FAILED: u8 = 1;
/// A flag or variable cannot be worked with; nothing was opened. The same as clap's.
pub const MISCONFIGURED: u8 = 2;
/// An address cannot be listened on.
pub const ADDRESS_TAKEN: u8 = 3;
/// A second signal, or a first before there was anything to drain, ends a process with this and the signal's number.
pub const SIGNALLED: u8 = 128;

/// How long threads that block may go on once all else has ended.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {addr} cannot be listened on")]
pub struct CannotListen {
    /// The flag that it came by.
    pub flag: &'static str,
    /// The address.
    pub addr: SocketAddr,
}

/// The body of a `main`: runs `main` on a runtime of its own. What it fails with is one line on stderr and an exit code.
pub fn run(main: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let code = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(main);
            runtime.shutdown_timeout(LEFTOVERS);
            ended
        }
        Err(error) => Err(error.into()),
    };
    code.unwrap_or_else(|error| {
        // To be told even where no log is up yet; there is nobody to tell that stderr is closed.
        let _ = writeln!(std::io::stderr(), "booster: {error:#}");
        ExitCode::from(code_of(&error))
    })
}

/// The exit code that says what `error` is about.
fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Invalid>() {
        MISCONFIGURED
    } else if error.is::<CannotListen>() {
        ADDRESS_TAKEN
    } else {
        FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_exit_code_says_what_it_is_about() {
        let invalid = anyhow::Error::from(Invalid::new("--namespace", "is empty"));
        let taken = CannotListen { flag: "--grpc-addr", addr: ([127, 0, 0, 1], 1).into() };
        let taken = Err::<(), _>(std::io::Error::other("in use")).context(taken).unwrap_err();
        assert_eq!(format!("{taken:#}"), "--grpc-addr 127.0.0.1:1 cannot be listened on: in use");
        assert_eq!(code_of(&invalid), MISCONFIGURED);
        assert_eq!(code_of(&invalid.context("starting")), MISCONFIGURED);
        assert_eq!(code_of(&taken), ADDRESS_TAKEN);
        assert_eq!(code_of(&anyhow::anyhow!("anything")), FAILED);
    }
}
