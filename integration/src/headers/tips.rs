use std::sync::Arc;

use tokio::sync::watch;

use super::error::HeaderDownloadError;
use crate::chain::HeaderChain;

/// The best header chain known so far: written while peers are heard, read by whoever works on it meanwhile.
#[derive(Debug)]
pub(crate) struct Tips {
    state: watch::Sender<Known>,
}

/// What is known of the tip.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The validated chain with the most work so far.
    pub(crate) chain: Option<Arc<HeaderChain>>,
    /// Whether every peer that answers in grace has been heard, or why nobody was.
    pub(crate) settled: Option<Result<(), HeaderDownloadError>>,
}

impl Tips {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(Known::default()) }
    }

    /// Offers a validated chain; one without more work changes nothing.
    pub(crate) fn publish(&self, chain: &HeaderChain) {
        self.state.send_if_modified(|known| {
            let better = known.chain.as_ref().is_none_or(|best| chain.work() > best.work());
            if better {
                known.chain = Some(Arc::new(chain.clone()));
            }
            better
        });
    }

    /// Says that nobody else will be heard.
    pub(crate) fn settle(&self, settled: Result<(), HeaderDownloadError>) {
        self.state.send_modify(|known| known.settled = Some(settled));
    }

    /// The first chain that is known, or that there will be none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn first(&self) -> Known {
        self.wait_for(|known| known.chain.is_some() || known.settled.is_some()).await
    }

    /// A chain other than `chain`, or that there will be none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn after(&self, chain: &HeaderChain) -> Known {
        self.wait_for(|known| known.settled.is_some() || known.is_other_than(chain)).await
    }

    /// Resolves when there is a chain other than `chain`.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn other_than(&self, chain: &HeaderChain) {
        self.wait_for(|known| known.is_other_than(chain)).await;
    }

    /// Resolves when `chain` has turned out to be a branch that is left.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn left(&self, chain: &HeaderChain) {
        let continues = |best: &Arc<HeaderChain>| best.hash(chain.tip_height()) == Some(chain.tip_hash());
        self.wait_for(|known| !known.chain.as_ref().is_none_or(continues)).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Known) -> bool) -> Known {
        let mut state = self.state.subscribe();
        // Cannot fail: the sender is a field of `self`.
        state.wait_for(condition).await.map(|known| known.clone()).unwrap_or_default()
    }
}

impl Known {
    /// Whether there is a better chain than this one.
    pub(crate) fn is_other_than(&self, chain: &HeaderChain) -> bool {
        self.chain.as_ref().is_some_and(|best| best.tip_hash() != chain.tip_hash())
    }
}

#[cfg(test)]
mod tests {
    use dashcore::hash_types::TxMerkleNode;
    use dashcore::{ChainParams, Header, Network};

    use super::*;

    /// A chain whose headers above `fork` are those of a branch.
    fn chain(fork: u32, branch: u8, tip: u32) -> HeaderChain {
        let params = ChainParams::new(Network::Regtest);
        let mut chain = HeaderChain::starting_at_or_below(&params, 0);
        for height in 1..=tip {
            let mark = if height > fork { branch } else { 0 };
            let header = Header {
                prev_blockhash: chain.tip_hash(),
                merkle_root: TxMerkleNode::from_byte_array([mark; 32]),
                ..params.genesis
            };
            chain.push_unmined(header, header.block_hash());
        }
        chain
    }

    #[tokio::test]
    async fn only_a_chain_with_more_work_takes_the_place_of_another() {
        let tips = Tips::new();
        tips.publish(&chain(0, 1, 5));
        let first = tips.first().await.chain.unwrap();
        assert_eq!(first.tip_height(), 5);
        tips.publish(&chain(2, 2, 5));
        tips.publish(&chain(2, 2, 3));
        tips.settle(Ok(()));
        assert!(!tips.after(&first).await.is_other_than(&first));
        tips.publish(&chain(2, 2, 6));
        assert!(tips.after(&first).await.is_other_than(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_is_left_for_another_branch_and_not_for_its_own_continuation() {
        let tips = Tips::new();
        let first = chain(9, 0, 5);
        tips.publish(&first);
        tips.publish(&chain(9, 0, 6));
        let wait = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, tips.left(&first)).await.is_err());
        tips.publish(&chain(3, 1, 7));
        tips.left(&first).await;
    }
}
