//! 500 calls, 16 at a time, to eight endpoints of which three are down and two fail every other time: `spv-recovery` beside
//! backon with a failsafe breaker for each endpoint. Both wait 50 ms at first, at most a second, and for an open breaker a
//! second. In real time, because failsafe reads the clock itself.

mod by_backon;
mod by_recovery;
mod endpoint;

use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;

const CALLS: usize = 500;
const AT_A_TIME: usize = 16;
const BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
const BREAK: Duration = Duration::from_secs(1);

const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{CALLS} calls, {AT_A_TIME} at a time, to eight endpoints: three down, two that fail every other time"
    );
    let (mut recovery, mut backon) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (endpoints, began) = (Endpoint::eight(), Instant::now());
        by_recovery::call(&endpoints).await?;
        recovery.push((began.elapsed(), Endpoint::calls(&endpoints)));
        let (endpoints, began) = (Endpoint::eight(), Instant::now());
        by_backon::call(&endpoints).await?;
        backon.push((began.elapsed(), Endpoint::calls(&endpoints)));
    }
    report("spv-recovery", recovery);
    report("backon, a failsafe breaker for each", backon);
    Ok(())
}

/// The median of all rounds.
fn report(name: &str, mut rounds: Vec<(Duration, u32)>) {
    rounds.sort_unstable();
    let (took, calls) = rounds[ROUNDS / 2];
    println!("{name:<36} {:5.2} s, {} calls failed", took.as_secs_f64(), calls as usize - CALLS);
}
