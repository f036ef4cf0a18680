//! Three workers share one queue: urgent work first, at most 20 jobs a second, each failure retried once, demoted.
//!
//! `cargo run -p spv-scheduler --example polite_crawl`

use std::{error::Error, io::Write, time::Duration};

use spv_scheduler::{Config, Priority, Queue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let queue = Queue::new(&Config { burst: 4, per_second: 20.0, ..Config::default() })?;
    for page in 0..12_u64 {
        let priority = if page % 4 == 0 { Priority::High } else { Priority::Normal };
        queue.push(page, priority.in_order(page), Duration::ZERO)?;
    }
    queue.close();

    let started = tokio::time::Instant::now();
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let queue = queue.clone();
            tokio::spawn(async move {
                while let Some(job) = queue.claim().await {
                    let failed = job.item % 5 == 0 && job.attempt == 1;
                    writeln!(
                        std::io::stdout(),
                        "{:>4} ms  worker {worker}  page {:>2}  attempt {}  {:?}{}",
                        started.elapsed().as_millis(),
                        job.item,
                        job.attempt,
                        job.priority,
                        if failed { "  failed" } else { "" },
                    )?;
                    if failed {
                        let rank = job.priority.lowered().in_order(job.item);
                        let again = job.retry(rank, Duration::from_millis(200));
                        again.map_err(|error| std::io::Error::other(error.to_string()))?;
                    } else {
                        job.finish();
                    }
                }
                Ok::<_, std::io::Error>(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(())
}
