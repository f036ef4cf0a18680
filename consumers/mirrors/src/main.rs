//! 500 chunks from six unequal mirrors, two of which lose requests: `spv-executor` beside tower and beside tasks written by
//! hand. In virtual time, so that no machine's load matters; tower chooses by chance, so each is the median of eleven.

mod by_executor;
mod by_hand;
mod by_tower;
mod mirror;

use std::time::Duration;

use tokio::time::Instant;

use crate::mirror::{CHUNKS, bound};

const ROUNDS: usize = 11;

/// The median time until the last of all chunks is there, each once.
async fn time<D: Future<Output = Vec<usize>>>(download: impl Fn() -> D) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut chunks = download().await;
        times.push(began.elapsed());
        chunks.sort_unstable();
        assert!(chunks.iter().copied().eq(0..CHUNKS), "a chunk is missing");
    }
    times.sort_unstable();
    times[ROUNDS / 2]
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let bound = bound();
    println!("{CHUNKS} chunks from six mirrors; together they can send them in {:.2} s", bound.as_secs_f64());
    for (name, took) in [
        ("spv-executor", time(by_executor::download).await),
        ("tower: p2c by peak EWMA, limit, timeout, retry", time(by_tower::download).await),
        ("tower: the same with its hedge", time(by_tower::download_with_hedge).await),
        ("by hand: three tasks per mirror, timeout, retry", time(by_hand::download).await),
    ] {
        let (seconds, bound) = (took.as_secs_f64(), bound.as_secs_f64());
        println!("{name:<48} {seconds:6.2} s  {:.2} of the bound", seconds / bound);
    }
}
