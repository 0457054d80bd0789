//! Metrics and logs of this process.
//!
//! Only our own events are logged, by chosen fields; they never print a request. There is one
//! recorder and one subscriber to a process, however many servers tests start in it.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0];

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts recording, once.
pub(crate) fn start_metrics() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS);
        // The list is a constant and not empty.
        let recorder = builder.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        // Another recorder in this process would be a test's own; then ours stays empty.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    });
}

/// The metrics as text, and the exporter's housekeeping.
pub(crate) fn render() -> String {
    METRICS.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// The exporter's housekeeping, without which its histograms grow; a few times a minute.
pub(crate) fn keep_house() {
    if let Some(handle) = METRICS.get() {
        handle.run_upkeep();
    }
}

/// Starts logging to standard error, once. Dependencies' events are dropped.
pub(crate) fn start_logs(level: tracing::Level) {
    let ours = Targets::new().with_target("nitro_signer_parent", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second server in one process keeps the first one's.
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
}

fn describe() {
    describe_counter!("nitro_signer_requests_total", "Requests by route or method and code");
    describe_histogram!(
        "nitro_signer_request_seconds",
        Unit::Seconds,
        "Latency by route or method"
    );
    describe_gauge!("nitro_signer_requests_in_flight", "Requests being worked on");
    describe_gauge!("nitro_signer_link_up", "1 while the enclave is connected");
    describe_gauge!("nitro_signer_ready", "1 while the enclave is ready and records are loaded");
    describe_gauge!("nitro_signer_keys", "Keys that the enclave holds");
    describe_gauge!("nitro_signer_refused_records", "Stored records that the enclave refused");
    describe_gauge!("nitro_signer_connections", "Clients' connections");
    describe_gauge!("nitro_signer_relay_connections", "Relay connections by state");
    describe_counter!("nitro_signer_relay_total", "Relay requests by outcome");
    describe_gauge!(
        "nitro_signer_credentials_expiry_seconds",
        Unit::Seconds,
        "Unix time at which the AWS credentials expire"
    );
    describe_gauge!(
        "nitro_signer_certificate_expiry_seconds",
        Unit::Seconds,
        "Unix time at which the first certificate of the HTTPS face ends"
    );
    describe_counter!(
        "nitro_signer_credentials_failures_total",
        "Credentials that the enclave did not take"
    );
}
