//! Two printers, and what a page costs on each.

use std::time::{Duration, Instant};

use spv_netmon::{Config, Monitor};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Job {
    Page,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let monitor: Monitor<String, Job> = Monitor::new(Config::default())?;
    let now = Instant::now();
    for (printer, millis) in [("cellar", 900), ("office", 100)] {
        let printer = printer.to_owned();
        monitor.on_rtt(&printer, Duration::from_millis(10), now);
        monitor.on_answer(&printer, Job::Page, 20_000, Duration::from_millis(millis), now);
        monitor.on_accepted(&printer, &Job::Page, now);
    }
    let time = |printer: &str| {
        let health = monitor.health(&printer.to_owned())?;
        health.kinds[&Job::Page].service_time
    };
    assert!(time("cellar") > time("office"));
    println!("netmon: a page takes {:?} in the office, {:?} in the cellar", time("office"), time("cellar"));
    Ok(())
}
