use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use dashcore::BlockHash;
use dashcore::network::message_blockdata::MAX_HEADERS;
use futures::future::{FusedFuture, OptionFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::exchange::{Batch, HeaderExchange};
use crate::chain::HeaderChain;
use crate::timer::sleep_until;

/// After the first peer has answered, the others get this many times its time, ...
const GRACE_FACTOR: u32 = 3;

/// ... but at least this long.
const MIN_GRACE: Duration = Duration::from_millis(250);

/// What asking everybody came to.
#[derive(Default)]
pub(super) struct Round {
    /// The chain with the most work, where it has more than the one that was to be continued.
    pub(super) best: Option<HeaderChain>,
    /// Whether the peer that sent the end of it had no more.
    pub(super) complete: bool,
    /// Whether one peer was followed, beyond the first headers of each.
    pub(super) followed: bool,
    /// Peers that gave a valid answer.
    pub(super) answered: usize,
}

/// A round that is under way: what was heard so far, and who has yet to answer.
struct Survey<'a> {
    /// The chain that is to be continued.
    base: &'a HeaderChain,
    round: Round,
    /// Peers that were asked and have not answered.
    pending: BTreeSet<SocketAddr>,
    /// Tips of the chains that were heard and are valid.
    heard: BTreeSet<BlockHash>,
    started: Instant,
    /// Until when others are waited for, once one has answered.
    grace_ends: Option<Instant>,
}

/// An answer by which the best chain grew.
struct Improvement {
    chain: HeaderChain,
    /// Whether the peer may have more.
    more: bool,
}

impl<'a> Survey<'a> {
    fn new(base: &'a HeaderChain) -> Self {
        Self {
            base,
            round: Round::default(),
            pending: BTreeSet::new(),
            heard: BTreeSet::from([base.tip_hash()]),
            started: Instant::now(),
            grace_ends: None,
        }
    }

    /// The chain to the tip of some peer that has been heard.
    fn tip(&self) -> Option<&HeaderChain> {
        match &self.round.best {
            Some(best) => Some(best).filter(|_| self.round.complete),
            None => Some(self.base).filter(|_| self.round.answered > 0),
        }
    }

    /// Takes what a peer answered; the chain that results, where it is better than those before.
    async fn answered(
        &mut self,
        exchange: &HeaderExchange,
        peer: SocketAddr,
        batch: Option<Batch>,
    ) -> Option<Improvement> {
        self.pending.remove(&peer);
        let batch = batch?;
        let more = batch.headers.len() == MAX_HEADERS;
        // Most peers send the same headers; one validation serves them all.
        let known = batch.headers.last().is_none_or(|tip| self.heard.contains(&tip.block_hash()));
        let chain = if known { None } else { Some(exchange.judge(self.base, batch).await?) };
        self.round.answered += 1;
        self.grace_ends
            .get_or_insert_with(|| Instant::now() + (self.started.elapsed() * GRACE_FACTOR).max(MIN_GRACE));
        let chain = chain?;
        self.heard.insert(chain.tip_hash());
        if !self.is_improved_by(&chain) {
            return None;
        }
        self.take(chain.clone(), !more);
        Some(Improvement { chain, more })
    }

    /// Takes the chain of the peer that was followed.
    fn followed(&mut self, chain: HeaderChain, complete: bool) {
        self.round.followed = true;
        if complete || self.is_improved_by(&chain) {
            self.take(chain, complete);
        }
    }

    fn is_improved_by(&self, candidate: &HeaderChain) -> bool {
        candidate.work() > self.round.best.as_ref().unwrap_or(self.base).work()
    }

    fn take(&mut self, best: HeaderChain, complete: bool) {
        (self.round.best, self.round.complete) = (Some(best), complete);
    }
}

impl HeaderExchange {
    /// Asks all peers that are not in `asked` for what follows our chain, each as soon as it has greeted. A chain that is
    /// far behind is brought to the tip by one peer meanwhile. Slow peers are not waited for beyond a grace once others
    /// have answered.
    pub(super) async fn ask_everyone(
        &self,
        chain: &HeaderChain,
        asked: &mut BTreeSet<SocketAddr>,
        on_progress: &impl Fn(u32),
        on_tip: &impl Fn(&HeaderChain),
    ) -> Round {
        let locator = chain.locator();
        let mut peers_changed = self.peers.changes();
        let mut survey = Survey::new(chain);
        let mut asking = FuturesUnordered::new();
        let mut gathered = pin!(self.peers.gathered().fuse());
        let mut following = OptionFuture::default();
        loop {
            peers_changed.mark_unchanged();
            for peer in self.peers.greeted() {
                if asked.insert(peer) {
                    asking.push(self.ask_peer(peer, locator.clone()));
                    survey.pending.insert(peer);
                }
            }
            // Others may begin to work on it, unless a peer that has yet to answer claims to know more.
            let is_highest = |tip: &&HeaderChain| tip.tip_height() >= self.peers.claimed_by(&survey.pending);
            if let Some(tip) = survey.tip().filter(is_highest) {
                on_tip(tip);
            }
            if asking.is_empty() && gathered.is_terminated() && following.is_terminated() {
                return survey.round;
            }
            tokio::select! {
                biased;
                Some((peer, batch)) = asking.next(), if !asking.is_empty() => {
                    let Some(improvement) = survey.answered(self, peer, batch).await else { continue };
                    on_progress(improvement.chain.tip_height());
                    if improvement.more && following.is_terminated() {
                        let follow = self.follow_one_peer(improvement.chain, on_progress);
                        following = OptionFuture::from(Some(Box::pin(follow).fuse()));
                    }
                }
                Some((chain, complete)) = &mut following, if !following.is_terminated() => {
                    survey.followed(chain, complete);
                }
                () = &mut gathered, if !gathered.is_terminated() => {}
                _ = peers_changed.changed() => {}
                () = sleep_until(survey.grace_ends), if following.is_terminated() => return survey.round,
            }
        }
    }
}
