use futures::future::join_all;
use parking_lot::Mutex;
use spv_scheduler::{Config, ConfigError, Priority, Queue, TokenBuckets, TokenBucketsConfig};
use tokio::time::sleep;

use crate::page::{BURST, FETCHING, PER_HOST, PER_SECOND, Page};

/// Calls `done` with each page.
pub async fn crawl(pages: Vec<Page>, done: impl Fn(&Page)) -> Result<(), ConfigError> {
    let config = Config { burst: BURST, per_second: PER_SECOND.into(), ..Config::default() };
    let of_host =
        TokenBucketsConfig { burst: BURST, per_second: PER_HOST.into(), ..TokenBucketsConfig::default() };
    let buckets = Mutex::new(TokenBuckets::new(&of_host)?);
    let queue = Queue::new(&config)?;
    for page in pages {
        let priority = if page.is_urgent { Priority::High } else { Priority::Normal };
        let after = page.found_after;
        queue.push(page, priority, after).expect("the queue has room for all pages");
    }
    queue.close();
    let workers = (0..16).map(async |_| {
        let may_run = |page: &Page, now| buckets.lock().try_take(&page.host, now);
        while let Some(job) = queue.claim_where(may_run).await {
            sleep(FETCHING).await;
            done(&job.item);
            job.finish();
        }
    });
    join_all(workers).await;
    Ok(())
}
