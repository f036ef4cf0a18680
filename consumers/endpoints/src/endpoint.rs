use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// One of eight servers with the same data, each as good or bad as its number says.
#[derive(Debug)]
pub struct Endpoint {
    pub number: usize,
    calls: AtomicU32,
}

/// A call that failed, because the endpoint is down or flaky.
#[derive(Debug)]
pub struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the endpoint does not answer")
    }
}

impl std::error::Error for Failed {}

impl Endpoint {
    pub fn eight() -> Vec<Self> {
        (0..8).map(|number| Self { number, calls: AtomicU32::new(0) }).collect()
    }

    pub fn calls(endpoints: &[Self]) -> u32 {
        endpoints.iter().map(|endpoint| endpoint.calls.load(Ordering::Relaxed)).sum()
    }

    /// Three are down, which takes 100 ms to notice; two fail every other time; three are well.
    pub async fn call(&self) -> Result<(), Failed> {
        let count = self.calls.fetch_add(1, Ordering::Relaxed);
        let (time, fails) = match self.number {
            0..3 => (100, true),
            3..5 => (10, count % 2 == 0),
            _ => (10, false),
        };
        sleep(Duration::from_millis(time)).await;
        if fails { Err(Failed) } else { Ok(()) }
    }
}
