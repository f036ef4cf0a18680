use std::io::{self, IsTerminal};
use std::net::SocketAddr;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::EnvFilter;

/// Upper bounds of histogram buckets, in seconds.
const SECONDS_BUCKETS: [f64; 14] =
    [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0];

/// Logs go to stderr; `RUST_LOG` says which.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
}

/// Serves `GET /metrics` on `address` for as long as the process lives. Must run before anything is measured.
pub(crate) fn serve_metrics(address: SocketAddr) -> anyhow::Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets(&SECONDS_BUCKETS)
        .context("setting histogram buckets")?
        .install()
        .with_context(|| {
            format!("cannot serve metrics on {address}; choose another with --metrics-listen")
        })?;
    spv_integration::describe_metrics();
    Ok(())
}
