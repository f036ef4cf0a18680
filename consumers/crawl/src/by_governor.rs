use std::num::NonZeroU32;

use futures::future::join_all;
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::page::{BURST, FETCHING, PER_HOST, PER_SECOND, Page};

/// Calls `done` with each page. A page takes its turn at its host first, so that it holds up no other host's meanwhile.
pub async fn crawl(pages: Vec<Page>, done: impl Fn(&Page)) {
    let burst = NonZeroU32::new(BURST).expect("a burst");
    let quota =
        |per_second| Quota::per_second(NonZeroU32::new(per_second).expect("a rate")).allow_burst(burst);
    let of_hosts = RateLimiter::keyed(quota(PER_HOST));
    let of_all = RateLimiter::direct(quota(PER_SECOND));
    let workers = Semaphore::new(16);
    let pages = pages.into_iter().map(async |page| {
        sleep(page.found_after).await;
        of_hosts.until_key_ready(&page.host).await;
        of_all.until_ready().await;
        let _worker = workers.acquire().await;
        sleep(FETCHING).await;
        done(&page);
    });
    join_all(pages).await;
}
