use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use spv_integration::plan::Work;
use tokio::sync::Semaphore;

use super::{GaveUp, MAX_ATTEMPTS, PER_PEER, Policy, Surroundings};

/// What `buffer_unordered` does: so many requests at a time, each to the next peer in turn, with a timeout and retries
/// in place. An answer that waits for the list below it takes none of the places.
#[derive(Debug)]
pub(crate) struct Unordered {
    surroundings: Surroundings,
    timeout: Duration,
    places: Semaphore,
    turn: AtomicUsize,
}

impl Unordered {
    pub(super) fn new(surroundings: Surroundings, timeout: Duration) -> Self {
        let places = Semaphore::new(surroundings.client.peers() * PER_PEER);
        Self { surroundings, timeout, places, turn: AtomicUsize::new(0) }
    }

    async fn fetch_one(&self, work: &Arc<Work>) -> Result<(), GaveUp> {
        let mut attempts = 0;
        loop {
            let payload = self.download(work, &mut attempts).await?;
            if self.surroundings.proves(work, payload).await {
                return Ok(());
            }
        }
    }

    async fn download(&self, work: &Arc<Work>, attempts: &mut u32) -> Result<Bytes, GaveUp> {
        let client = &self.surroundings.client;
        let _place = self.places.acquire().await.map_err(|_| GaveUp)?;
        loop {
            if *attempts >= MAX_ATTEMPTS {
                return Err(GaveUp);
            }
            *attempts += 1;
            let peer = client.next_connected(self.turn.fetch_add(1, Ordering::Relaxed)).await;
            if let Ok(payload) = client.ask_within(peer, work, self.timeout).await {
                return Ok(payload);
            }
        }
    }
}

impl Policy for Unordered {
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>> {
        async { try_join_all(works.iter().map(|work| self.fetch_one(work))).await.map(drop) }.boxed()
    }
}
