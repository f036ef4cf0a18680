//! A running Prometheus, asked over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::child::Child;

pub(super) struct Prometheus {
    _process: Child,
    address: SocketAddr,
}

impl Prometheus {
    pub(super) const fn new(process: Child, address: SocketAddr) -> Self {
        Self { _process: process, address }
    }

    /// Waits until `expression` has a result.
    #[expect(clippy::disallowed_methods, reason = "a real Prometheus lives in real time")]
    pub(super) fn wait_for(&self, expression: &str) -> Result<()> {
        eprintln!("waiting for {expression}");
        for _ in 0..MAX_TRIES {
            // It takes a moment until it listens.
            if self.query(expression).is_ok_and(|series| !series.is_empty()) {
                return Ok(());
            }
            thread::sleep(BETWEEN_TRIES);
        }
        bail!("{expression} did not happen; firing: {:?}", self.query("ALERTS").unwrap_or_default())
    }

    /// The labels of each series that `expression` selects.
    pub(super) fn query(&self, expression: &str) -> Result<Vec<String>> {
        let path = format!("/api/v1/query?query={}", percent_encoded(expression));
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let body: Value = serde_json::from_str(body)?;
        let series = body["data"]["result"].as_array().with_context(|| format!("refused: {body}"))?;
        Ok(series.iter().map(|series| series["metric"].to_string()).collect())
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Two minutes: the longest alert takes 40 seconds in time lapse, and machines can be busy.
const MAX_TRIES: u32 = 240;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
