//! Many trivial requests through the executor: what each costs, and that memory does not grow with their number.

use std::alloc::System;
use std::convert::Infallible;
use std::num::NonZeroUsize;

use futures::StreamExt;
use spv_executor::{Config, Depth, Executor, Transport};
use stats_alloc::{Region, StatsAlloc};

/// Answers at once.
struct Echo;

impl Transport for Echo {
    type Peer = u32;
    type Request = u64;
    type Response = u64;
    type Error = Infallible;

    async fn send(&self, _: &u32, request: u64) -> Result<u64, Infallible> {
        tokio::task::yield_now().await;
        Ok(request)
    }
}

const PEERS: u32 = 64;

pub(crate) fn run(allocator: &'static StatsAlloc<System>) -> anyhow::Result<()> {
    println!("{} peers, three requests each; {}\n", PEERS, crate::machine::machine());
    println!(
        "| requests | µs per request | allocations per request | bytes allocated per request | most bytes held |"
    );
    println!("|---|---|---|---|---|");
    for count in [100_u64, 1_000, 10_000, 100_000] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(measure(allocator, count))?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn measure(allocator: &'static StatsAlloc<System>, count: u64) -> anyhow::Result<()> {
    let in_flight = NonZeroUsize::MIN.saturating_add(PEERS as usize * Depth::THREE.get() - 1);
    let executor = Executor::new(Echo, Config { max_in_flight: in_flight, ..Config::default() })?;
    for peer in 0..PEERS {
        executor.add_peer(peer, Depth::THREE);
    }
    // What is there once, whatever comes: the executor's tables.
    drain(&executor, 1_000).await;
    let requests: Vec<u64> = (0..count).collect();
    let region = Region::new(allocator);
    let held_before = held(allocator);
    let started = now();
    let mut stream = std::pin::pin!(executor.stream(requests));
    let (mut done, mut most) = (0_u64, 0);
    while let Some((_, result)) = stream.next().await {
        done += u64::from(result.is_ok());
        result.into_iter().for_each(|answer| answer.permit.accept());
        most = most.max(held(allocator).saturating_sub(held_before));
    }
    let elapsed = started.elapsed();
    let used = region.change();
    anyhow::ensure!(done == count, "{done} of {count} requests were answered");
    println!(
        "| {count} | {:.2} | {:.1} | {:.0} | {most} |",
        elapsed.as_secs_f64() * 1e6 / count as f64,
        used.allocations as f64 / count as f64,
        used.bytes_allocated as f64 / count as f64,
    );
    Ok(())
}

async fn drain(executor: &Executor<Echo>, count: u64) {
    let mut stream = std::pin::pin!(executor.stream((0..count).collect()));
    while stream.next().await.is_some() {}
}

fn held(allocator: &StatsAlloc<System>) -> usize {
    let stats = allocator.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[expect(clippy::disallowed_methods, reason = "what a request costs is a matter of real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
