//! What the operator's commands have in common that speak gRPC: how they reach a Booster, and what they say of a no.

use std::time::Duration;

use anyhow::anyhow;
use kit::error::Invalid;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Where a Booster of this host answers.
pub(crate) const ADDR: &str = "http://127.0.0.1:50051";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that says nothing for so long is asked whether it lives, and gone if that is not answered within `PATIENCE`.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A connection to the Booster at `addr`.
pub(crate) async fn connect(addr: &str) -> anyhow::Result<Channel> {
    // What has no scheme is taken for a path, and only fails when it is called.
    let endpoint = Endpoint::from_shared(addr.to_owned()).ok().filter(|_| addr.starts_with("http://"));
    let endpoint = endpoint.ok_or_else(|| Invalid::new("--addr", format!("is {addr:?}, which is not like {ADDR}")))?;
    let endpoint = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE);
    let channel = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(PATIENCE).connect().await;
    channel.map_err(|_| anyhow!("nothing answers at {addr}: start `booster all` there, or correct --addr"))
}

/// What the service said, in one line: reason, words, and when to come back.
pub(crate) fn refusal(status: Status) -> anyhow::Error {
    let details = status.get_error_details();
    let Some(reason) = details.error_info().map(|info| &info.reason) else { return no_answer(&status) };
    let after = details.retry_info().and_then(|retry| retry.retry_delay);
    let after = after.map(|delay| format!(" (again in {})", humantime::format_duration(delay))).unwrap_or_default();
    let fields: Vec<_> = details
        .bad_request()
        .map(|bad| bad.field_violations.iter().map(|one| format!("{} {}", one.field, one.description)).collect())
        .unwrap_or_default();
    if fields.is_empty() {
        anyhow!("{reason}: {}{after}", status.message())
    } else {
        anyhow!("{reason}: {}{after}", fields.join("; "))
    }
}

/// Whatever Booster says has a reason: this was said by somebody else, or by the connection.
fn no_answer(status: &Status) -> anyhow::Error {
    let (code, words) = (status.code(), status.message());
    // The client library calls its own patience a cancellation, as it does a connection that is cut.
    if code == Code::DeadlineExceeded || words == "Timeout expired" {
        anyhow!("no answer within {} s ({code:?}: {words})", PATIENCE.as_secs())
    } else {
        anyhow!("what answers at --addr does not answer as a Booster does: correct --addr ({code:?}: {words})")
    }
}
