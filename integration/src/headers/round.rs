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

use super::download::HeaderDownload;
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

impl Round {
    fn improves(&self, base: &HeaderChain, candidate: &HeaderChain) -> bool {
        candidate.work() > self.best.as_ref().unwrap_or(base).work()
    }

    /// The chain to the tip of some peer that has been heard.
    fn tip<'a>(&'a self, base: &'a HeaderChain) -> Option<&'a HeaderChain> {
        match &self.best {
            Some(best) => Some(best).filter(|_| self.complete),
            None => Some(base).filter(|_| self.answered > 0),
        }
    }

    fn take(&mut self, best: HeaderChain, complete: bool) {
        (self.best, self.complete) = (Some(best), complete);
    }
}

impl HeaderDownload {
    /// Asks all peers that are not in `asked` for what follows our chain, each as soon as it has greeted. A chain that is far behind is brought to
    /// the tip by one peer meanwhile. Slow peers are not waited for beyond a grace once others have answered.
    pub(super) async fn ask_everyone(
        &self,
        chain: &HeaderChain,
        asked: &mut BTreeSet<SocketAddr>,
        on_progress: &impl Fn(u32),
        on_tip: &impl Fn(&HeaderChain),
    ) -> Round {
        let locator = chain.locator();
        let mut peers_changed = self.peers.changes();
        let mut pending = BTreeSet::new();
        let mut asking = FuturesUnordered::new();
        let mut gathered = pin!(self.peers.gathered().fuse());
        let mut following = OptionFuture::default();
        let started = Instant::now();
        let mut grace_ends = None;
        let mut heard: BTreeSet<BlockHash> = BTreeSet::from([chain.tip_hash()]);
        let mut round = Round::default();
        loop {
            peers_changed.mark_unchanged();
            let greeted = self.peers.greeted();
            for &peer in greeted.iter().filter(|peer| !asked.contains(*peer)).collect::<Vec<_>>() {
                asking.push(self.ask_peer(peer, locator.clone()));
                asked.insert(peer);
                pending.insert(peer);
            }
            // Others may begin to work on it, unless a peer that has yet to answer claims to know more.
            if let Some(tip) =
                round.tip(chain).filter(|tip| tip.tip_height() >= self.peers.claimed_by(&pending))
            {
                on_tip(tip);
            }
            if asking.is_empty() && gathered.is_terminated() && following.is_terminated() {
                return round;
            }
            tokio::select! {
                biased;
                Some((peer, batch)) = asking.next(), if !asking.is_empty() => {
                    pending.remove(&peer);
                    let Some(batch) = batch else { continue };
                    let more = batch.headers.len() == MAX_HEADERS;
                    // Most peers send the same headers; one validation serves them all.
                    let known = batch.headers.last().is_none_or(|tip| heard.contains(&tip.block_hash()));
                    let candidate = if known { None } else { self.judge(chain, batch).await };
                    if !known && candidate.is_none() {
                        continue;
                    }
                    round.answered += 1;
                    heard.extend(candidate.as_ref().map(HeaderChain::tip_hash));
                    let grace = || Instant::now() + (started.elapsed() * GRACE_FACTOR).max(MIN_GRACE);
                    grace_ends.get_or_insert_with(grace);
                    let Some(candidate) = candidate.filter(|candidate| round.improves(chain, candidate)) else {
                        continue;
                    };
                    on_progress(candidate.tip_height());
                    if more && following.is_terminated() {
                        let follow = self.follow_one_peer(candidate.clone(), on_progress);
                        following = OptionFuture::from(Some(Box::pin(follow).fuse()));
                    }
                    round.take(candidate, !more);
                }
                Some((followed, complete)) = &mut following, if !following.is_terminated() => {
                    round.followed = true;
                    if complete || round.improves(chain, &followed) {
                        round.take(followed, complete);
                    }
                }
                () = &mut gathered, if !gathered.is_terminated() => {}
                _ = peers_changed.changed() => {}
                () = sleep_until(grace_ends), if following.is_terminated() => return round,
            }
        }
    }
}
