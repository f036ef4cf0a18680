//! Five peers over a minute of virtual time: the network slows down, wavers and recovers.
//!
//! Run with `cargo run -p spv-netmon --example pool`.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]
#![allow(clippy::disallowed_methods, reason = "the start of virtual time is read once")]

use std::time::{Duration, Instant};

use spv_netmon::{Config, Monitor};

fn main() -> Result<(), spv_netmon::ConfigError> {
    let monitor: Monitor<u8, &str> = Monitor::new(Config::default())?;
    let start = Instant::now();
    for second in 0..60 {
        let now = start + Duration::from_secs(second);
        let base = match second {
            0..10 => 60,
            10..30 => 600,
            // Between the two thresholds: better, yet not clearly over.
            30..40 => 320,
            _ => 100,
        };
        for peer in 0..5 {
            let round_trip = Duration::from_millis(base + 10 * u64::from(peer));
            monitor.on_rtt(&peer, round_trip, now);
            if peer == 4 && second % 2 == 0 {
                monitor.on_failure(&peer, &"list", now);
            } else {
                let transfer = Duration::from_millis(50 + 30 * u64::from(peer));
                monitor.on_answer(&peer, "list", 50_000, round_trip + transfer, now);
                monitor.on_accepted(&peer, &"list", now);
            }
        }
        let conditions = monitor.conditions(now);
        if second % 5 == 4 {
            let (high, slow) = (conditions.high_latency, conditions.slow_link);
            println!("{second:>2} s  peers answer in {base} ms  high latency: {high:<5}  slow link: {slow}");
        }
    }
    println!("\npeer  srtt     timeout  throughput  service  reliability");
    for peer in monitor.peers() {
        let Some(health) = monitor.health(&peer) else { continue };
        println!(
            "{peer:<4}  {:>4} ms  {:>4} ms  {:>5.0} kB/s  {:>4} ms  {:.2} of {}",
            health.srtt.unwrap_or_default().as_millis(),
            health.rto.as_millis(),
            health.throughput.unwrap_or_default() / 1000.0,
            health.kinds["list"].service_time.unwrap_or_default().as_millis(),
            health.reliability.ratio,
            health.reliability.samples,
        );
    }
    Ok(())
}
