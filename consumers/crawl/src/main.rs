//! A crawl of nine hosts, each of which allows 50 pages a second, with 200 a second in total: `spv-scheduler` beside a task for
//! each page with governor's limits. In real time, because governor reads the clock itself.

mod by_governor;
mod by_scheduler;
mod page;

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::page::{FOUND_AFTER, Page};

/// When the last page of a kind was there; an urgent one, how long after it was found.
#[derive(Default)]
struct Ends {
    urgent: Cell<Duration>,
    other_hosts: Cell<Duration>,
    all: Cell<Duration>,
}

impl Ends {
    fn note(&self, began: Instant, page: &Page) {
        let now = began.elapsed();
        self.all.set(now);
        if page.is_urgent {
            self.urgent.set(now.saturating_sub(FOUND_AFTER));
        } else if page.host > 0 {
            self.other_hosts.set(now);
        }
    }

    fn report(&self, name: &str) {
        let [urgent, other, all] =
            [&self.urgent, &self.other_hosts, &self.all].map(|end| end.get().as_secs_f64());
        println!("{name:<26} urgent ones after {urgent:.2} s, the eight hosts {other:.2} s, all {all:.2} s");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("100 pages of one host, 80 of eight others, and 10 urgent ones that come up after 0.3 s");
    let (began, ends) = (Instant::now(), Ends::default());
    by_scheduler::crawl(page::all(), |page| ends.note(began, page)).await?;
    ends.report("spv-scheduler");
    let (began, ends) = (Instant::now(), Ends::default());
    by_governor::crawl(page::all(), |page| ends.note(began, page)).await;
    ends.report("governor, a task for each");
    Ok(())
}
