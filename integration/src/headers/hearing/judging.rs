use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::FutureExt;
use tokio::time::Instant;

use super::{FullAnswer, Hearing, Said};
use crate::chain::HeaderChain;
use crate::headers::exchange::{Batch, Hashed, Judged, RETRY_DELAY, place, up_to};

/// What is known of headers that wait to be judged, or are being judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) peer: SocketAddr,
    /// Whether they answer a question.
    pub(super) is_answer: bool,
    pub(super) is_full: bool,
}

/// What came of work that was done off the runtime.
pub(super) enum Done {
    Hashed(Sent, Result<Hashed, Judged>),
    Judged(Sent, Judged),
}

/// What peers send is judged one after the other, because each may continue what was before; meanwhile further questions
/// are under way.
impl Hearing<'_> {
    /// Notes an answer, or that none came, to be judged in its turn.
    pub(super) fn received(&mut self, peer: SocketAddr, batch: Option<Batch>) {
        let count = batch.as_ref().map_or(0, |batch| batch.answered.len());
        let is_full = batch.as_ref().is_some_and(|batch| batch.answered.is_full);
        if let Some(hearsay) = self.peers.get_mut(&peer) {
            hearsay.is_asked = false;
            hearsay.unjudged += 1;
            if is_full {
                let headers = u32::try_from(count).unwrap_or(u32::MAX);
                hearsay.full_answer = Some(FullAnswer { headers, took: hearsay.asked_at.elapsed() });
            }
        }
        self.inbox.push_back((Sent { peer, is_answer: true, is_full }, batch));
    }

    /// Begins to judge the next answer or announcement, unless one is being judged.
    pub(super) fn judge_next(&mut self) {
        let exchange = self.exchange;
        while self.work.is_none()
            && let Some((sent, batch)) = self.inbox.pop_front()
        {
            match batch.map(|batch| place(&self.chains(), batch)) {
                Some(Ok(placed)) => {
                    self.work = Some(async move { Done::Hashed(sent, exchange.hash(placed).await) }.boxed());
                }
                Some(Err(judged)) => self.judged(sent, Some(judged)),
                None => self.judged(sent, None),
            }
        }
    }

    /// Goes on with what is being judged.
    pub(super) fn worked(&mut self, done: Done) {
        self.work = None;
        match done {
            Done::Hashed(sent, Ok(hashed)) => {
                if sent.is_answer && sent.is_full {
                    self.ask_ahead(sent.peer, hashed.last_hash);
                }
                let (exchange, chains, start) = (self.exchange, self.chains(), self.anchored.clone());
                let judged =
                    async move { Done::Judged(sent, exchange.validate(&chains, start, hashed).await) };
                self.work = Some(judged.boxed());
            }
            Done::Hashed(sent, Err(judged)) | Done::Judged(sent, judged) => self.judged(sent, Some(judged)),
        }
    }

    fn judged(&mut self, sent: Sent, judged: Option<Judged>) {
        if sent.is_answer {
            self.answered(sent.peer, sent.is_full, judged);
        } else if let Some(judged) = judged {
            self.told_unasked(sent.peer, sent.is_full, judged);
        }
    }

    /// Notes what an answer tells of a peer, and goes on; `None` where none came.
    fn answered(&mut self, peer: SocketAddr, is_full: bool, judged: Option<Judged>) {
        let shown = match &judged {
            Some(Judged::Known(chain)) if is_full => Some(self.at_least(&peer, chain)),
            Some(Judged::Known(chain) | Judged::New(chain)) => Some(chain.clone()),
            Some(Judged::Empty) => self.shown_by_silence(&peer),
            Some(Judged::Unconnected | Judged::Invalid | Judged::Future | Judged::Unseen) | None => None,
        };
        let mut is_polled = false;
        if let Some(hearsay) = self.peers.get_mut(&peer) {
            hearsay.unjudged = hearsay.unjudged.saturating_sub(1);
            hearsay.retry_at = Instant::now() + RETRY_DELAY;
            is_polled = hearsay.is_polled;
            match &judged {
                Some(Judged::Known(_) | Judged::New(_)) if is_full => hearsay.said = Said::Part,
                Some(Judged::Known(_) | Judged::New(_) | Judged::Empty) => hearsay.said = Said::All,
                Some(Judged::Unconnected | Judged::Invalid | Judged::Future | Judged::Unseen) => {
                    hearsay.said = Said::Nothing
                }
                None if hearsay.said == Said::Unasked => hearsay.said = Said::Nothing,
                None => {}
            }
        }
        match shown {
            Some(chain) => self.shown(peer, chain, !is_full, !is_polled),
            // What was lost on the way says nothing of the peer.
            None if judged.is_some() => self.exchange.peers.heard_nothing(peer),
            None => {}
        }
        self.after_answer(peer, is_full);
    }

    /// What a peer holds that has shown `chain` again and may have more: what it had shown before, if that is longer.
    fn at_least(&self, peer: &SocketAddr, chain: &Arc<HeaderChain>) -> Arc<HeaderChain> {
        let before = self.exchange.peers.heard_of(peer).map(|heard| heard.chain);
        let continues = |before: &Arc<HeaderChain>| before.hash(chain.tip_height()) == Some(chain.tip_hash());
        before.filter(continues).unwrap_or_else(|| chain.clone())
    }

    /// What a peer holds that sends no headers; `None` where it claims more than it sends, or less than the start.
    fn shown_by_silence(&self, peer: &SocketAddr) -> Option<Arc<HeaderChain>> {
        let about = up_to(&self.chains(), self.peers.get(peer)?.asked_about)?;
        let claimed = self.exchange.peers.claimed_by([peer]);
        let has_more = claimed > about.tip_height() && self.claims_more(peer);
        if has_more || self.claims_too_little(peer) {
            return None;
        }
        match self.exchange.peers.heard_of(peer).map(|heard| heard.chain) {
            // A node whose tip lies between two hashes of a locator would have sent what follows the lower one.
            Some(before) if about.locator().contains(&before.tip_hash()) => Some(before),
            Some(_) => Some(about),
            None => about.truncated(claimed.clamp(about.start_height(), about.tip_height())).map(Arc::new),
        }
    }
}
