use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use spv_integration::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::routes;
use crate::live::Live;
use crate::telemetry;

/// Connections at one time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 32;

/// The longest that a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a connection may take, which carries one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Most fields in the head of a request.
const MAX_FIELDS: usize = 64;

/// Wait after a connection could not be accepted, which mostly means that the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time between two tidyings of what metrics keep in memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Metrics, health and status at an address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: TcpListener,
    metrics: PrometheusHandle,
}

impl Endpoint {
    /// Listens where `config` says, and collects metrics from here on. Must run before anything is measured.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn bind(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.metrics_listen else { return Ok(None) };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen at {address}; choose another with --metrics-listen"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving /, /health, /metrics, /ready and /status");
        Ok(Some(Self { listener, metrics: telemetry::collect_metrics()? }))
    }

    /// Answers until it is dropped, which also ends the connections.
    pub(crate) async fn serve(self, live: Arc<Live>) -> Infallible {
        let mut connections = JoinSet::new();
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => _ = connections.spawn(converse(stream, self.metrics.clone(), live.clone())),
                    Err(error) => {
                        tracing::debug!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                _ = upkeep.tick() => self.metrics.run_upkeep(),
            }
        }
    }
}

async fn converse(stream: TcpStream, metrics: PrometheusHandle, live: Arc<Live>) {
    let answer = service_fn(|request| {
        let response = routes::respond(&request, &metrics, &live);
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection failed"),
        Err(_) => tracing::debug!("an HTTP connection took too long"),
    }
}
