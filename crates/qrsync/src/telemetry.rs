mod one_prefix;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use indicatif::MultiProgress;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use spv_integration::{LogFormat, LogSettings, TRACE_TARGET};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use self::one_prefix::OnePrefix;
use crate::exit::Usage;
use crate::service_metrics;
use crate::trace_file::{TraceFile, Waterfall};

/// Upper bounds of histogram buckets, in seconds.
const SECONDS_BUCKETS: [f64; 14] =
    [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0];

/// Logs and traces of this process, and the lines that it draws on a terminal.
pub(crate) struct Telemetry {
    drawn: MultiProgress,
    filter: reload::Handle<EnvFilter, Registry>,
    trace: Option<Arc<TraceFile>>,
}

impl Telemetry {
    /// Starts logging to stderr, and writing a trace where one is wanted.
    ///
    /// # Errors
    /// When the level is none, or the file of the trace cannot be created.
    pub(crate) fn start(log: &LogSettings, trace: Option<&Path>) -> anyhow::Result<Self> {
        let (filter, handle) = reload::Layer::new(level(log)?);
        let colours = console::colors_enabled_stderr();
        let drawn = MultiProgress::new();
        let above = drawn.clone();
        let writer = move || Above(above.clone());
        let lines = match log.format {
            LogFormat::Human => fmt::layer().with_writer(writer).with_ansi(colours).boxed(),
            LogFormat::Json => fmt::layer().json().with_writer(writer).boxed(),
        };
        let trace = trace.map(TraceFile::create).transpose()?.map(Arc::new);
        let waterfall = trace.clone().map(|file| {
            Waterfall::new(file).with_filter(filter_fn(|metadata| metadata.target() == TRACE_TARGET))
        });
        tracing_subscriber::registry().with(lines.with_filter(filter)).with(waterfall).init();
        Ok(Self { drawn, filter: handle, trace })
    }

    /// Where progress is drawn, so that log lines do not go through it.
    pub(crate) fn drawn(&self) -> MultiProgress {
        self.drawn.clone()
    }

    /// Takes up another level; the form of lines stays.
    pub(crate) fn reload(&self, log: &LogSettings) -> anyhow::Result<()> {
        Ok(self.filter.reload(level(log)?)?)
    }

    /// Ends the trace.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        self.trace.as_ref().map_or(Ok(()), |trace| trace.finish())
    }
}

/// Writes to stderr, above what is drawn there.
struct Above(MultiProgress);

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn level(log: &LogSettings) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder().parse(&log.level).map_err(|error| {
        let level = &log.level;
        Usage(format!(
            "log level {level:?}: {error}; give error, warn, info, debug or trace, or levels by target as in info,spv_integration=debug"
        ))
        .into()
    })
}

/// Collects metrics from here on. Must run before anything is measured.
pub(crate) fn collect_metrics() -> anyhow::Result<PrometheusHandle> {
    let buckets = PrometheusBuilder::new().set_buckets(&SECONDS_BUCKETS);
    let recorder = buckets.context("cannot collect metrics")?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(OnePrefix(recorder)).context("cannot collect metrics")?;
    spv_integration::describe_metrics();
    service_metrics::describe();
    Ok(handle)
}
