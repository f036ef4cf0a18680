use std::net::SocketAddr;
use std::sync::Arc;

use super::Hearing;
use super::judging::Sent;
use crate::chain::HeaderChain;
use crate::headers::exchange::{Batch, BatchError, Judged};
use crate::net::News;
use crate::wire::AnsweredHeaders;

/// What peers say of new blocks unasked.
impl Hearing<'_> {
    pub(super) fn announced(&mut self, peer: SocketAddr, news: News) {
        let payload = match news {
            News::Block(hash) => {
                let chains = self.chains();
                let known = chains.iter().find_map(|chain| chain.truncated(chain.height_of(&hash)?));
                match known {
                    Some(chain) => self.shown_again(peer, Arc::new(chain)),
                    None => self.ask_about_news(peer),
                }
                return;
            }
            News::ChainLock(lock) => return self.lock_announced(peer, lock),
            News::Headers(payload) => payload,
        };
        let answered = match AnsweredHeaders::plain(&payload) {
            Ok(answered) => answered,
            Err(error) => return self.exchange.reject(peer, &BatchError::from(error)),
        };
        let sent = Sent { peer, is_answer: false, is_full: answered.is_full };
        self.inbox.push_back((sent, Some(Batch { peer, answered, permit: None })));
    }

    /// Asks a peer for what it has announced, now or as soon as it may be asked.
    fn ask_about_news(&mut self, peer: SocketAddr) {
        if let Some(hearsay) = self.peers.get_mut(&peer) {
            hearsay.has_announced = true;
        }
        self.ask_if_fruitful(peer);
    }

    /// Headers that came unasked were judged.
    pub(super) fn told_unasked(&mut self, peer: SocketAddr, is_full: bool, judged: Judged) {
        match judged {
            Judged::New(chain) => {
                // Nodes announce their tip.
                self.shown(peer, chain, true, false);
                if is_full {
                    self.ask_about_news(peer);
                }
            }
            // Most peers announce the same.
            Judged::Known(chain) => self.shown_again(peer, chain),
            // Only further headers can tell what it is.
            Judged::Unconnected => self.ask_about_news(peer),
            Judged::Empty | Judged::Invalid | Judged::Future | Judged::Unseen => {}
        }
    }

    /// A peer has a chain that is known. That it has an old block is no news.
    fn shown_again(&mut self, peer: SocketAddr, chain: Arc<HeaderChain>) {
        let before = self.exchange.peers.heard_of(&peer);
        if before.is_none_or(|before| chain.work() > before.chain.work()) {
            self.shown(peer, chain, true, false);
        }
    }
}
