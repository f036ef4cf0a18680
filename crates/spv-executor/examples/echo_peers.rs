//! Sixty requests over four unequal peers that live in this process: one after the other, and in parallel.
//!
//! `cargo run -p spv-executor --example echo_peers`

use std::io::{self, Write};
use std::time::Duration;

use futures::StreamExt;
use spv_executor::{Config, Depth, ExecuteError, Executor, Transport};
use tokio::time::{Instant, sleep};

/// Peers that answer with what they were asked, each at its own pace.
struct Echo;

const PEERS: [(&str, Duration); 4] = [
    ("fast", Duration::from_millis(5)),
    ("fair", Duration::from_millis(10)),
    ("slow", Duration::from_millis(20)),
    ("stuck", Duration::from_millis(250)),
];

#[derive(Debug, thiserror::Error)]
#[error("nobody of that name")]
struct Unknown;

impl Transport for Echo {
    type Peer = &'static str;
    type Request = u32;
    type Response = u32;
    type Error = Unknown;

    async fn send(&self, peer: &Self::Peer, request: u32) -> Result<u32, Unknown> {
        let (_, delay) = PEERS.iter().find(|(name, _)| name == peer).ok_or(Unknown)?;
        sleep(*delay).await;
        Ok(request)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout();
    let config = Config {
        soft_timeout: Duration::from_millis(100),
        hard_timeout: Duration::from_secs(1),
        ..Config::default()
    };
    let executor = Executor::new(Echo, config)?;

    executor.add_peer("fair", Depth::ONE);
    let begin = Instant::now();
    executor.run((0..60).collect()).await;
    writeln!(out, "one at a time, one peer: {:>4} ms", begin.elapsed().as_millis())?;

    for (peer, _) in PEERS {
        executor.add_peer(peer, Depth::TWO);
    }
    let begin = Instant::now();
    let mut late = Vec::new();
    let mut failed = Vec::new();
    {
        let mut results = std::pin::pin!(executor.stream((0..60).collect()));
        while let Some((index, result)) = results.next().await {
            match result {
                // An echo is right if it is what was called.
                Ok(echo) if echo.response as usize == index => echo.permit.accept(),
                Ok(echo) => echo.permit.reject(),
                Err(ExecuteError::SoftTimeout { peer, late: answer, .. }) => late.push((index, peer, answer)),
                Err(error) => failed.push((index, error)),
            }
        }
    }
    writeln!(out, "two at a time, four peers: {:>2} ms", begin.elapsed().as_millis())?;
    for (index, error) in &failed {
        writeln!(out, "request {index} failed: {error}")?;
    }
    // What the stuck peer had was given up at the soft timeout. It comes all the same.
    for (index, peer, answer) in late {
        let answer = answer.await.map(|late| {
            late.permit.accept();
            late.response
        });
        writeln!(out, "late answer to request {index} from {peer}: {answer:?}")?;
    }
    for load in executor.peers() {
        writeln!(
            out,
            "{:>5}: {:>2} requests, at most {} at a time",
            load.peer, load.requests, load.max_in_flight
        )?;
    }
    executor.close().await;
    writeln!(out, "{:?}", *executor.progress().borrow())?;
    Ok(())
}
