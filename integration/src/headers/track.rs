use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::consensus::deserialize;
use dashcore::network::message_blockdata::{HeadersMessage, MAX_HEADERS};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::chain::HeaderChain;
use super::download::{Batch, BatchError, HeaderDownload};
use crate::peer::{Announcement, News};

impl HeaderDownload {
    /// Keeps `best` the chain with the most work that peers announce. When nobody has announced anything for as long as
    /// `poll`, everybody is asked. Never ends.
    ///
    /// # Cancel safety
    /// What `best` holds is complete; headers under way are lost.
    pub(crate) async fn track(
        &self,
        mut announcements: mpsc::Receiver<Announcement>,
        best: &watch::Sender<Arc<HeaderChain>>,
        poll: Duration,
        on_progress: impl Fn(u32),
    ) {
        // At most one question per peer, so that one that announces and is silent then holds up nobody else.
        let mut asked = FuturesUnordered::new();
        let mut being_asked = BTreeSet::new();
        let mut next_poll = Instant::now() + poll;
        loop {
            let chain = best.borrow().clone();
            let found = tokio::select! {
                biased;
                Some((peer, batch)) = asked.next() => {
                    being_asked.remove(&peer);
                    let more = matches!(&batch, Some(Batch { headers, .. }) if headers.len() == MAX_HEADERS);
                    let found = match batch {
                        Some(batch) => self.judge(&chain, batch).await,
                        None => None,
                    };
                    if more && found.is_some() && being_asked.insert(peer) {
                        asked.push(self.ask_peer(peer, found.as_ref().map_or_else(Vec::new, HeaderChain::locator)));
                    }
                    found
                }
                Some(Announcement { peer, news }) = announcements.recv() => match self.consider(&chain, peer, news).await {
                    Considered::Extended(extended) => Some(extended),
                    Considered::Unconnected => {
                        if being_asked.insert(peer) {
                            asked.push(self.ask_peer(peer, chain.locator()));
                        }
                        None
                    }
                    Considered::Nothing => None,
                },
                () = tokio::time::sleep_until(next_poll) => self.run(HeaderChain::clone(&chain), |_| {}).await.ok(),
            };
            if let Some(found) = found.filter(|found| found.work() > chain.work()) {
                on_progress(found.tip_height());
                best.send_replace(Arc::new(found));
            }
            next_poll = Instant::now() + poll;
        }
    }

    /// Looks at an announcement as far as that takes no question.
    async fn consider(&self, chain: &HeaderChain, peer: SocketAddr, news: News) -> Considered {
        let payload = match news {
            News::Block(hash) if chain.height_of(&hash).is_some() => return Considered::Nothing,
            News::Block(_) => return Considered::Unconnected,
            News::Headers(payload) => payload,
        };
        let headers = match deserialize::<HeadersMessage>(&payload) {
            Ok(HeadersMessage(headers)) => headers,
            Err(error) => {
                self.reject(peer, &BatchError::from(error));
                return Considered::Nothing;
            }
        };
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return Considered::Nothing };
        // Most peers announce the same.
        if chain.header(chain.tip_height()) == Some(last) {
            return Considered::Nothing;
        }
        if chain.height_of(&first.prev_blockhash).is_none() {
            return Considered::Unconnected;
        }
        self.judge(chain, Batch { peer, headers }).await.map_or(Considered::Nothing, Considered::Extended)
    }
}

/// What an announcement amounts to.
enum Considered {
    /// The chain with what was announced.
    Extended(HeaderChain),
    /// Something that only further headers can tell.
    Unconnected,
    /// Nothing new, or nothing valid.
    Nothing,
}
