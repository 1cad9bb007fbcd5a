//! Metrics, as Prometheus scrapes them.

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// Upper bounds of the histograms of durations, in seconds: fine where a claim lives, coarse where an order does.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper bounds of the histograms of sizes: how many of something went together.
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// All metrics in Prometheus' text format.
#[must_use]
pub fn metrics_text() -> String {
    let Some(Some(handle)) = HANDLE.get() else {
        return String::new();
    };
    look_at_self();
    handle.render()
}

/// Folds what histograms have gathered; to be called every few seconds, or they grow.
pub fn upkeep() {
    if let Some(Some(handle)) = HANDLE.get() {
        handle.run_upkeep();
    }
}

pub(super) fn install() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS);
        let builder =
            builder.and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".into()), &SIZES));
        // It fails where somebody else has installed a recorder, or for no bounds; then there is nothing to scrape.
        let handle = builder.ok()?.install_recorder().ok()?;
        describe();
        Some(handle)
    });
}

/// What each metric of this crate means, for those who read the scrape.
fn describe() {
    describe_counter!("booster_rpc_requests_total", "Calls that ended, by method and code; CANCELLED: the client left");
    describe_histogram!("booster_rpc_duration_seconds", "From a call's head to its answer's head");
    describe_gauge!("booster_rpc_in_hand", "Calls that have not ended, streams among them");
    describe_gauge!("booster_connections", "Open gRPC connections");
    describe_counter!("booster_connections_refused_total", "gRPC connections closed because there were too many");
    describe_counter!("booster_refusals_total", "Answers that were a no, or a fault, by service and reason");
    describe_gauge!("booster_condition_met", "1 where what the process waits for at its start is there, now");
    describe_gauge!("process_resident_memory_bytes", "Memory of this process");
    describe_gauge!("process_open_fds", "File descriptors of this process, connections among them");
    describe_gauge!("booster_runtime_tasks", "Tasks that have not ended");
    describe_gauge!("booster_runtime_queue_depth", "Tasks that wait for a thread, of those no thread owns yet");
}

/// Reads what only the moment of the scrape can tell. Where there is no `/proc`, that part is missing.
fn look_at_self() {
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count() as f64);
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        gauge!("booster_runtime_tasks").set(runtime.metrics().num_alive_tasks() as f64);
        gauge!("booster_runtime_queue_depth").set(runtime.metrics().global_queue_depth() as f64);
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024.0)
}
