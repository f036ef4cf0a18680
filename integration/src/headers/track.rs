use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::consensus::deserialize;
use dashcore::network::message_blockdata::{HeadersMessage, MAX_HEADERS};
use futures::StreamExt;
use futures::future::OptionFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::download::HeaderDownload;
use super::exchange::{Batch, BatchError};
use super::tips::Tips;
use crate::chain::HeaderChain;
use crate::net::{Announcement, News};

impl HeaderDownload {
    /// Publishes the chains that peers announce, from `chain` on. When nobody has announced a better one for as long as
    /// `poll`, everybody is asked. Never ends.
    ///
    /// # Cancel safety
    /// What was published is complete; headers under way are lost.
    pub(crate) async fn track(
        &self,
        mut announcements: mpsc::Receiver<Announcement>,
        mut chain: Arc<HeaderChain>,
        tips: &Tips,
        poll: Duration,
        on_progress: impl Fn(u32),
    ) {
        // At most one question per peer, so that one that announces and is silent then holds up nobody else.
        let mut asked = FuturesUnordered::new();
        let mut being_asked = BTreeSet::new();
        let mut next_poll = Instant::now() + poll;
        loop {
            // Whom to ask for what follows, if there is more.
            let mut ask = None;
            let found = tokio::select! {
                biased;
                Some(answered) = asked.next() => {
                    let (peer, batch): (SocketAddr, Option<Batch>) = answered;
                    being_asked.remove(&peer);
                    ask = batch.as_ref().filter(|batch| batch.headers.len() == MAX_HEADERS).map(|_| peer);
                    OptionFuture::from(batch.map(|batch| self.exchange.judge(&chain, batch))).await.flatten()
                }
                Some(Announcement { peer, news }) = announcements.recv() => {
                    match self.consider(&chain, peer, news).await {
                        Ok(extended) => extended,
                        Err(Unconnected) => {
                            if being_asked.insert(peer) {
                                asked.push(self.exchange.ask_peer(peer, chain.locator()));
                            }
                            None
                        }
                    }
                }
                () = tokio::time::sleep_until(next_poll) => {
                    next_poll = Instant::now() + poll;
                    let asked = self.run(HeaderChain::clone(&chain), |_| {}, |_| {}).await;
                    asked.ok().map(|(chain, _)| chain)
                }
            };
            if let Some(found) = found.filter(|found| found.work() > chain.work()) {
                on_progress(found.tip_height());
                if let Some(peer) = ask.filter(|&peer| being_asked.insert(peer)) {
                    asked.push(self.exchange.ask_peer(peer, found.locator()));
                }
                chain = Arc::new(found);
                self.exchange.peers.verified_height(chain.tip_height());
                tips.publish(&chain);
                next_poll = Instant::now() + poll;
            }
        }
    }

    /// The chain with what was announced, if that is new and valid.
    async fn consider(
        &self,
        chain: &HeaderChain,
        peer: SocketAddr,
        news: News,
    ) -> Result<Option<HeaderChain>, Unconnected> {
        let payload = match news {
            News::Block(hash) if chain.height_of(&hash).is_some() => return Ok(None),
            News::Block(_) => return Err(Unconnected),
            News::Headers(payload) => payload,
        };
        let headers = match deserialize::<HeadersMessage>(&payload) {
            Ok(HeadersMessage(headers)) => headers,
            Err(error) => {
                self.exchange.reject(peer, &BatchError::from(error));
                return Ok(None);
            }
        };
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return Ok(None) };
        // Most peers announce the same.
        if chain.header(chain.tip_height()) == Some(last) {
            return Ok(None);
        }
        if chain.height_of(&first.prev_blockhash).is_none() {
            return Err(Unconnected);
        }
        Ok(self.exchange.judge(chain, Batch { peer, headers, permit: None }).await)
    }
}

/// What is announced follows no block of our chain: only further headers can tell what it is.
struct Unconnected;
