use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;

use super::error::HeaderDownloadError;
use super::exchange::HeaderExchange;
use crate::chain::HeaderChain;
use crate::fleet::Peers;

/// Rounds in which no peer gives a usable answer before giving up.
const MAX_FRUITLESS_ROUNDS: u32 = 5;

/// Wait between two fruitless rounds, times their number.
const ROUND_DELAY: Duration = Duration::from_millis(500);

/// Downloads headers from several peers and keeps the chain with the most work.
#[derive(Debug)]
pub(crate) struct HeaderDownload {
    params: ChainParams,
    pub(super) exchange: HeaderExchange,
}

impl HeaderDownload {
    /// A download from these peers.
    pub(crate) fn new(params: &ChainParams, peers: Arc<Peers>) -> Self {
        Self { params: params.clone(), exchange: HeaderExchange { peers } }
    }

    /// Brings `chain` to the tip with the most work that any peer knows. `on_progress` gets the height reached;
    /// `on_tip` every validated chain to a peer's tip that has more work than those before it, as soon as there is one.
    /// By the end, every peer that answered in grace has been heard. Gives the chain and who was asked for its tip.
    ///
    /// # Errors
    /// See [`HeaderDownloadError`].
    ///
    /// # Cancel safety
    /// What was downloaded is lost.
    pub(crate) async fn run(
        &self,
        chain: HeaderChain,
        on_progress: impl Fn(u32),
        on_tip: impl Fn(&HeaderChain),
    ) -> Result<(HeaderChain, BTreeSet<SocketAddr>), HeaderDownloadError> {
        let mut chain = self.exchange.fill_to_last_checkpoint(&self.params, chain, &on_progress).await?;
        let mut fruitless = 0;
        loop {
            let mut asked = BTreeSet::new();
            let round = self.exchange.ask_everyone(&chain, &mut asked, &on_progress, &on_tip).await;
            if round.answered == 0 {
                let somebody = self.exchange.peers.ready().await;
                fruitless += 1;
                if fruitless == MAX_FRUITLESS_ROUNDS || !somebody {
                    return Err(HeaderDownloadError::NoUsableAnswer { height: chain.tip_height() });
                }
                tokio::time::sleep(ROUND_DELAY * fruitless).await;
                continue;
            }
            fruitless = 0;
            let Some(best) = round.best.filter(|best| best.work() > chain.work()) else {
                on_tip(&chain);
                return Ok((chain, asked));
            };
            if round.complete {
                on_tip(&best);
            }
            chain = best;
            if round.complete
                && !(round.followed && chain.tip_height() < self.exchange.peers.claimed_height())
            {
                return Ok((chain, asked));
            }
        }
    }

    /// Hears peers that greet later, and tells `on_tip` of better chains, for as long as this is polled. Nobody in `asked`
    /// is asked again.
    ///
    /// # Cancel safety
    /// What was downloaded is lost.
    pub(crate) async fn hear_newcomers(
        &self,
        mut chain: HeaderChain,
        mut asked: BTreeSet<SocketAddr>,
        on_progress: impl Fn(u32),
        on_tip: impl Fn(&HeaderChain),
    ) {
        let mut peers_changed = self.exchange.peers.changes();
        loop {
            if self.exchange.peers.greeted().iter().any(|peer| !asked.contains(peer)) {
                let round = self.exchange.ask_everyone(&chain, &mut asked, &on_progress, &on_tip).await;
                if let Some(best) = round.best.filter(|_| round.complete) {
                    on_tip(&best);
                    chain = best;
                }
            }
            // Cannot fail: the sender belongs to the peers.
            peers_changed.changed().await.ok();
        }
    }
}
