//! What the executor itself costs per request: peers that answer at once, so that all of the time is its own.
//!
//! Run with `cargo run --release -p spv-executor --example planning_cost`.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use futures::future::join_all;
use spv_executor::{Config, Depth, Executor, ExpectedCompletion, Transport};

/// Each peer is at another distance, so that peers have to be weighed against each other.
struct Echo;

impl Transport for Echo {
    type Peer = u32;
    type Request = u32;
    type Response = u32;
    type Error = Infallible;

    async fn send(&self, _peer: &u32, request: u32) -> Result<u32, Infallible> {
        tokio::task::yield_now().await;
        Ok(request)
    }

    fn rtt(&self, peer: &u32) -> Option<Duration> {
        Some(Duration::from_millis(10) + Duration::from_micros(300) * *peer)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("| peers | callers | slow peers spared | µs per request |\n|---|---|---|---|");
    for peers in [1, 8, 40, 64] {
        for callers in [1, 128] {
            for spares_slow_peers in [false, true] {
                let cost = measure(peers, callers, spares_slow_peers).await?;
                println!("| {peers} | {callers} | {spares_slow_peers} | {:.1} |", cost.as_secs_f64() * 1e6);
            }
        }
    }
    Ok(())
}

async fn measure(
    peers: u32,
    callers: u32,
    spares_slow_peers: bool,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let max_in_flight = NonZeroUsize::new(128).ok_or("not zero")?;
    let config = Config { max_in_flight, spares_slow_peers, ..Config::default() };
    let executor = Executor::with_selector(Echo, ExpectedCompletion::new(1), config)?;
    for peer in 0..peers {
        executor.add_peer(peer, Depth::THREE);
        // Everybody is measured once.
        executor.execute_on(&peer, 0).await?.permit.accept();
    }
    let ask = |requests: u32| {
        let executor = &executor;
        async move {
            for request in 0..requests {
                if let Ok(answer) = executor.execute(request).await {
                    answer.permit.accept();
                }
            }
        }
    };
    let mut best = Duration::MAX;
    // The quickest round is the one that other programs disturbed least.
    for _ in 0..ROUNDS {
        let begun = now();
        join_all((0..callers).map(|_| ask(REQUESTS / callers))).await;
        best = best.min(begun.elapsed() / REQUESTS);
    }
    Ok(best)
}

const REQUESTS: u32 = 1_280;
const ROUNDS: u32 = 20;

#[expect(clippy::disallowed_methods, reason = "what a request costs is a matter of real time")]
fn now() -> Instant {
    Instant::now()
}
