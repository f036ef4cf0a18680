use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::answers::{Problem, Question};
use crate::exit::Usage;

/// Name of the socket beside the database, at which the process that uses it answers.
pub(crate) const SOCKET: &str = "qrsync.sock";

/// Largest answer that is read, in bytes. A list of mainnet has 2 MB.
const MAX_ANSWER: usize = 256 << 20;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that answers over HTTP.
#[derive(Debug)]
pub(crate) enum Service {
    Socket(PathBuf),
    Address { authority: String, prefix: String },
}

impl Service {
    /// The service at this URL.
    ///
    /// # Errors
    /// When it is no URL of plain HTTP.
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        let refused =
            || Usage(format!("{url:?} is no address of a service; give one such as http://127.0.0.1:9184"));
        let uri: Uri = url.parse().map_err(|_| refused())?;
        if uri.scheme_str().is_some_and(|scheme| scheme != "http") || uri.query().is_some() {
            return Err(refused().into());
        }
        let authority =
            uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(refused)?;
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self::Address { authority: authority.to_string(), prefix })
    }

    /// The service that uses this database, if it answers.
    pub(super) async fn beside(database: &Path) -> Option<Self> {
        let path = database.with_file_name(SOCKET);
        // A socket that a killed process left is refused by the system.
        UnixStream::connect(&path).await.ok()?;
        Some(Self::Socket(path))
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// A [`Problem`], or that there was no answer.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> anyhow::Result<Q::Answer> {
        let query = serde_urlencoded::to_string(question.query())?;
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("{}{mark}{query}", question.path());
        let body = async {
            let response = self.request(&path, question.body()).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer of {self} broke off: {error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(PATIENCE, body)
            .await
            .with_context(|| format!("{self} does not answer within {} s", PATIENCE.as_secs()))??;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .with_context(|| format!("the answer of {self} is not understood; is it another version?"));
        }
        Err(self.refusal(status, &body))
    }

    /// Events as they come: the lines of the stream's body.
    ///
    /// # Errors
    /// When the service cannot be reached, or refuses.
    pub(crate) async fn events(&self) -> anyhow::Result<Incoming> {
        let response = self.request("/v1/events", None).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(self.refusal(status, &body))
    }

    /// The error for an answer with a status that is no success.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => problem.into(),
            Err(_) => anyhow::anyhow!("{self} answered {status}; is it qrsync?"),
        }
    }

    async fn request(&self, path: &str, body: Option<String>) -> anyhow::Result<Response<Incoming>> {
        let unreachable = || format!("cannot reach {self}");
        match self {
            Self::Socket(socket) => {
                let stream = UnixStream::connect(socket).await.with_context(unreachable)?;
                send(stream, "localhost", path, body).await.with_context(unreachable)
            }
            Self::Address { authority, prefix } => {
                let address: hyper::http::uri::Authority = authority.parse()?;
                let host = address.host().trim_start_matches('[').trim_end_matches(']');
                let stream = TcpStream::connect((host, address.port_u16().unwrap_or(80)))
                    .await
                    .with_context(unreachable)?;
                send(stream, authority, &format!("{prefix}{path}"), body).await.with_context(unreachable)
            }
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "the service at {}", path.display()),
            Self::Address { authority, prefix } => write!(f, "the service at http://{authority}{prefix}"),
        }
    }
}

/// Sends one request on a connection of its own.
async fn send<S>(
    stream: S,
    host: &str,
    path: &str,
    body: Option<String>,
) -> anyhow::Result<Response<Incoming>>
where
    TokioIo<S>: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Whatever ends it, the answer says so.
    tokio::spawn(connection);
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    Ok(sender.send_request(request).await?)
}

/// One event of a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Finds events in the lines of a stream (the WHATWG's server-sent events).
#[derive(Debug, Default)]
pub(crate) struct EventLines {
    rest: Vec<u8>,
    name: String,
    data: String,
}

impl EventLines {
    /// The events that are complete with these bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
                if let Ok(data) = serde_json::from_str(&data) {
                    events.push(Event { name, data });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = value.to_owned(),
                "data" => self.data.push_str(value),
                _ => {}
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_by_a_plain_url() {
        for (url, expected) in [
            ("http://127.0.0.1:9184", "http://127.0.0.1:9184"),
            ("http://[::1]:1/", "http://[::1]:1"),
            ("localhost:1", "http://localhost:1"),
            ("http://host/below/", "http://host/below"),
        ] {
            assert_eq!(Service::at(url).unwrap().to_string(), format!("the service at {expected}"));
        }
        for wrong in ["", "https://host", "http://", "/v1", "http://a b", "http://host/?a=b", "ftp://host"] {
            assert!(Service::at(wrong).unwrap_err().is::<Usage>(), "{wrong}");
        }
    }

    #[test]
    fn events_are_found_however_the_stream_is_cut() {
        let stream =
            ": hello\n\nid: 1\nevent: tip\ndata: {\"height\":7}\n\nevent:phase\r\ndata:1\r\n\r\nevent: cut";
        let expected = [("tip", serde_json::json!({ "height": 7 })), ("phase", 1.into())];
        let expected = expected.map(|(name, data)| Event { name: name.to_owned(), data });
        for size in [1, 2, 7, 1000] {
            let mut lines = EventLines::default();
            let found: Vec<Event> =
                stream.as_bytes().chunks(size).flat_map(|chunk| lines.feed(chunk)).collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
