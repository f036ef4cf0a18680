use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use spv_integration::plan::Work;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{GaveUp, MAX_ATTEMPTS, PER_PEER, Policy, Surroundings};

/// The executor of the project's first sketch: everything is spawned, a semaphore lets so many through at a time, and
/// all are waited for. What failed is tried again in a further round, after a wait that doubles.
#[derive(Debug)]
pub(crate) struct Brief {
    surroundings: Surroundings,
    timeout: Duration,
    turn: usize,
}

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Brief {
    pub(super) fn new(surroundings: Surroundings, timeout: Duration) -> Self {
        Self { surroundings, timeout, turn: 0 }
    }

    async fn rounds(&mut self, works: &[Arc<Work>]) -> Result<(), GaveUp> {
        let mut left: Vec<Arc<Work>> = works.to_vec();
        let mut proofs = JoinSet::new();
        let mut proven = 0;
        for round in 0..MAX_ATTEMPTS {
            for (work, answer) in self.round(std::mem::take(&mut left)).await {
                match answer {
                    Some(payload) => {
                        let surroundings = self.surroundings.clone();
                        proofs.spawn(async move {
                            let proves = surroundings.proves(&work, payload).await;
                            (work, proves)
                        });
                    }
                    None => left.push(work),
                }
            }
            // Whatever can be decided is decided at once; the rest waits for lists that are still missing.
            tokio::time::sleep(Duration::from_millis(1)).await;
            while let Some(proof) = proofs.try_join_next() {
                match proof {
                    Ok((_, true)) => proven += 1,
                    Ok((work, false)) => left.push(work),
                    Err(_) => return Err(GaveUp),
                }
            }
            if proven == works.len() {
                return Ok(());
            }
            let wait = FIRST_WAIT.saturating_mul(1 << round.min(10)).min(LONGEST_WAIT);
            tokio::time::sleep(wait).await;
        }
        Err(GaveUp)
    }

    /// Asks for everything once and waits for all of it.
    async fn round(&mut self, works: Vec<Arc<Work>>) -> Vec<(Arc<Work>, Option<bytes::Bytes>)> {
        let places = Arc::new(Semaphore::new(self.surroundings.client.peers() * PER_PEER));
        let mut requests = JoinSet::new();
        for work in works {
            let (client, places, timeout) = (self.surroundings.client.clone(), places.clone(), self.timeout);
            let turn = self.turn;
            self.turn += 1;
            requests.spawn(async move {
                let Ok(_place) = places.acquire().await else { return (work, None) };
                let peer = client.next_connected(turn).await;
                let answer = client.ask_within(peer, &work, timeout).await.ok();
                (work, answer)
            });
        }
        let mut answers = Vec::new();
        while let Some(result) = requests.join_next().await {
            answers.extend(result);
        }
        answers
    }
}

impl Policy for Brief {
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>> {
        self.rounds(works).boxed()
    }
}
