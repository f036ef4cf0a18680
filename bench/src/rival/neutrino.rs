use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, pin_mut};
use spv_integration::plan::Work;

use super::{GaveUp, MAX_ATTEMPTS, Policy, Surroundings};
use crate::client::AskError;

/// Neutrino's work manager: a queue in order, each request to the best-ranked peer that is free; ranks go from 0 to 8
/// and change by one with each success or timeout; a request's timeout doubles with each of its timeouts, up to 32 s.
#[derive(Debug)]
pub(crate) struct Neutrino {
    surroundings: Surroundings,
    per_peer: usize,
    timeout: Duration,
    ranks: Vec<u8>,
}

const FIRST_RANK: u8 = 4;
const WORST_RANK: u8 = 8;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(32);

struct Job {
    timeout: Duration,
    tries: u32,
}

enum Event {
    Asked { index: usize, peer: usize, answer: Result<Bytes, AskError> },
    Proven { index: usize, peer: usize, proven: bool },
}

impl Neutrino {
    pub(super) fn new(surroundings: Surroundings, per_peer: usize, timeout: Duration) -> Self {
        let ranks = vec![FIRST_RANK; surroundings.client.peers()];
        Self { surroundings, per_peer, timeout, ranks }
    }

    async fn dispatch(&mut self, works: &[Arc<Work>]) -> Result<(), GaveUp> {
        let surroundings = self.surroundings.clone();
        let client = &surroundings.client;
        let mut queue: BTreeMap<usize, Job> =
            (0..works.len()).map(|index| (index, Job { timeout: self.timeout, tries: 0 })).collect();
        let mut under_way = BTreeMap::new();
        let mut busy = vec![0; client.peers()];
        let mut events: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut proven = 0;
        while proven < works.len() {
            while let Some(peer) = self.free_peer(&busy)
                && let Some((index, mut job)) = queue.pop_first()
            {
                job.tries += 1;
                if job.tries > MAX_ATTEMPTS {
                    return Err(GaveUp);
                }
                busy[peer] += 1;
                let (timeout, work) = (job.timeout, &works[index]);
                under_way.insert(index, job);
                let ask = async move {
                    Event::Asked { index, peer, answer: client.ask_within(peer, work, timeout).await }
                };
                events.push(ask.boxed());
            }
            let connected = async {
                let from_none = (0..client.peers()).filter(|&peer| !client.is_connected(peer));
                let waits: Vec<_> =
                    from_none.map(|peer| client.until_connected(peer, true).boxed()).collect();
                match waits.is_empty() {
                    true => std::future::pending().await,
                    false => futures::future::select_all(waits).await.0,
                }
            };
            pin_mut!(connected);
            let event = tokio::select! {
                biased;
                Some(event) = events.next() => event,
                () = connected => continue,
            };
            match event {
                Event::Asked { index, peer, answer } => {
                    busy[peer] -= 1;
                    let Some(mut job) = under_way.remove(&index) else { continue };
                    match answer {
                        Ok(payload) => {
                            self.ranks[peer] = self.ranks[peer].saturating_sub(1);
                            under_way.insert(index, job);
                            let (surroundings, work) = (&surroundings, &works[index]);
                            let prove = async move {
                                let proven = surroundings.proves(work, payload).await;
                                Event::Proven { index, peer, proven }
                            };
                            events.push(prove.boxed());
                        }
                        Err(error) => {
                            if error == AskError::TimedOut {
                                self.demote(peer);
                                job.timeout = (job.timeout * 2).min(LONGEST_TIMEOUT);
                            }
                            queue.insert(index, job);
                        }
                    }
                }
                Event::Proven { proven: true, .. } => proven += 1,
                Event::Proven { index, peer, proven: false } => {
                    self.demote(peer);
                    queue.extend(under_way.remove(&index).map(|job| (index, job)));
                }
            }
        }
        Ok(())
    }

    fn demote(&mut self, peer: usize) {
        self.ranks[peer] = (self.ranks[peer] + 1).min(WORST_RANK);
    }

    fn free_peer(&self, busy: &[usize]) -> Option<usize> {
        let free = (0..busy.len())
            .filter(|&peer| busy[peer] < self.per_peer && self.surroundings.client.is_connected(peer));
        free.min_by_key(|&peer| (self.ranks[peer], busy[peer]))
    }
}

impl Policy for Neutrino {
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>> {
        self.dispatch(works).boxed()
    }
}
