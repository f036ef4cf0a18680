use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use spv_integration::Config;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::connections::{Connections, Origin, Place};
use super::conversation::{Via, converse};
use super::events::Events;
use super::metrics::{self, refused};
use super::router::router;
use super::state::App;
use crate::answers::Data;
use crate::ask::SOCKET;
use crate::live::Live;
use crate::telemetry;

/// Wait after a connection could not be accepted, which mostly means that the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time between two tidyings of what metrics keep in memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// The answer to a client for which there is no place.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 102\r\n\r\n\
    {\"error\":\"overloaded\",\"message\":\"too many connections are being answered; try again\",\"transient\":true}";

/// Where the service answers: at an address, if one is configured, and at a socket in the data directory.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: Option<TcpListener>,
    metrics: Option<PrometheusHandle>,
}

impl Endpoint {
    /// Listens where `config` says, and collects metrics from here on. Must run before anything is measured.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let Some(address) = config.listen_address() else {
            return Ok(Self { listener: None, metrics: None });
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen at {address}; choose another with --metrics-listen"))?;
        let address = listener.local_addr()?;
        tracing::info!(url = %format!("http://{address}/"), "serving the page, the API, metrics and health");
        Ok(Self { listener: Some(listener), metrics: Some(telemetry::collect_metrics()?) })
    }

    /// Answers until it is dropped, which also ends the connections.
    pub(crate) async fn serve(self, data: Data, live: Arc<Live>, events: Arc<Events>) -> Infallible {
        let settings = data.client.config().api.clone();
        let connections = Connections::new(settings.max_connections, settings.max_connections_per_client);
        let socket = Socket::beside(data.client.store().path());
        let collected = self.metrics.clone();
        let router = router(App::new(data, live, self.metrics, events, settings));
        let mut conversations = JoinSet::new();
        metrics::describe();
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            metrics::connections(conversations.len());
            let accepted = tokio::select! {
                accepted = accept(self.listener.as_ref()) => accepted,
                accepted = accept_local(socket.as_ref()) => accepted,
                Some(_) = conversations.join_next() => continue,
                _ = upkeep.tick() => {
                    if let Some(collected) = &collected {
                        collected.run_upkeep();
                    }
                    continue;
                }
            };
            match accepted {
                Ok(accepted) => {
                    if let Some(place) = connections.enter(accepted.origin()) {
                        conversations.spawn(accepted.converse(router.clone(), place));
                    } else {
                        refused();
                        accepted.refuse();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The socket in the data directory; removed when dropped.
#[derive(Debug)]
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// `None` where there can be none, which costs nothing but that the command line cannot ask.
    fn beside(database: &Path) -> Option<Self> {
        if !database.is_file() {
            return None;
        }
        let path = database.with_file_name(SOCKET);
        // Only one process can have the database open, so a socket that exists was left by one that was killed.
        std::fs::remove_file(&path).ok();
        match UnixListener::bind(&path) {
            Ok(listener) => Some(Self { listener, path }),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "the command line cannot ask this process");
                None
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Socket(UnixStream),
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<Accepted> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, remote)| Accepted::Tcp(stream, remote)),
        None => std::future::pending().await,
    }
}

async fn accept_local(socket: Option<&Socket>) -> io::Result<Accepted> {
    match socket {
        Some(socket) => socket.listener.accept().await.map(|(stream, _)| Accepted::Socket(stream)),
        None => std::future::pending().await,
    }
}

impl Accepted {
    fn origin(&self) -> Origin {
        match self {
            Self::Tcp(_, remote) => Origin::Address(remote.ip().to_canonical()),
            Self::Socket(_) => Origin::Socket,
        }
    }

    /// Says so, if that can be done at once.
    fn refuse(self) {
        match self {
            Self::Tcp(stream, _) => stream.try_write(NO_PLACE).ok(),
            Self::Socket(stream) => stream.try_write(NO_PLACE).ok(),
        };
    }

    async fn converse(self, router: Router, place: Place) {
        match self {
            Self::Tcp(stream, _) => {
                let Ok(local) = stream.local_addr() else { return };
                stream.set_nodelay(true).ok();
                converse(stream, Via::Tcp { local }, router, place).await;
            }
            Self::Socket(stream) => converse(stream, Via::Socket, router, place).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_is_told_in_a_whole_answer() {
        let text = std::str::from_utf8(NO_PLACE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{} {text}", body.len());
        let problem: crate::answers::Problem = serde_json::from_str(body).unwrap();
        assert_eq!((problem.status(), problem.transient), (503, true));
    }
}
