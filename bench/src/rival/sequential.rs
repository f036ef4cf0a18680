use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use spv_integration::plan::Work;

use super::{GaveUp, Policy, Surroundings};

/// One request at a time. Timeouts climb dash-spv's ladder; where that client would give up for good, this one begins
/// the ladder anew, as its user would.
#[derive(Debug)]
pub(crate) struct Sequential {
    surroundings: Surroundings,
    rotating: bool,
    peer: usize,
}

const LADDER: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];

impl Sequential {
    pub(super) fn new(surroundings: Surroundings, rotating: bool) -> Self {
        let peer = fastrand::Rng::with_seed(surroundings.seed).usize(..surroundings.client.peers());
        Self { surroundings, rotating, peer }
    }

    async fn fetch_one(&mut self, work: &Arc<Work>) {
        let client = self.surroundings.client.clone();
        for timeout in LADDER.into_iter().cycle() {
            if self.rotating {
                self.peer = client.next_connected(self.peer + 1).await;
            } else {
                client.until_connected(self.peer, true).await;
            }
            if let Ok(payload) = client.ask_within(self.peer, work, timeout).await
                && self.surroundings.proves(work, payload).await
            {
                return;
            }
        }
    }
}

impl Policy for Sequential {
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>> {
        async move {
            for work in works {
                self.fetch_one(work).await;
            }
            Ok(())
        }
        .boxed()
    }
}
