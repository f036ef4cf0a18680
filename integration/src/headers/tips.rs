use std::sync::Arc;
use std::time::Duration;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::HeaderDownloadError;
use crate::chain::{BlockId, HeaderChain};

/// A branch that was set aside is tried again after this long, twice as long each time, ...
const SET_ASIDE: Duration = Duration::from_secs(60);

/// ... up to this.
const SET_ASIDE_CAP: Duration = Duration::from_secs(3_600);

/// Branches that are remembered after they were set aside.
const MAX_SET_ASIDE: usize = 64;

/// The header chains that peers have: written while peers are heard, read by whoever works on the best of them meanwhile.
#[derive(Debug)]
pub(crate) struct Tips {
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The chain that this side has itself.
    own: Option<Arc<HeaderChain>>,
    /// Validated chains to the tips of peers.
    chains: Vec<Arc<HeaderChain>>,
    set_aside: Vec<SetAside>,
    /// The chain up to the highest block that a ChainLock locks.
    locked: Option<Arc<HeaderChain>>,
    known: Known,
}

/// A branch whose lists nobody serves.
#[derive(Debug)]
struct SetAside {
    /// The first block that it does not share with any chain which may take its place.
    block: BlockId,
    until: Instant,
    times: u32,
}

/// What is known of the tip.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The validated chain with the most work so far, but for those that were set aside or contradict a ChainLock.
    pub(crate) chain: Option<Arc<HeaderChain>>,
    /// Whether every peer that can be expected to answer has been heard, or why nobody was.
    pub(crate) settled: Option<Result<(), HeaderDownloadError>>,
}

impl Tips {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }

    /// Offers the validated chains that peers have now, and the one that this side has itself; nobody has to have that, so
    /// it is none to fall back on. One without more work than the best changes nothing but what is there to fall back on.
    pub(crate) fn offer(&self, chains: Vec<Arc<HeaderChain>>, own: &Arc<HeaderChain>) {
        self.state.send_if_modified(|state| {
            state.chains = chains;
            state.own = Some(own.clone());
            state.choose()
        });
    }

    /// Forgets every chain: those that were offered have turned out to be wrong.
    pub(crate) fn start_again(&self) {
        self.state.send_modify(|state| {
            state.chains.clear();
            state.own = None;
            state.locked = None;
            state.known.chain = None;
        });
    }

    /// Offers the chain that this side has itself, before peers have told theirs.
    pub(crate) fn offer_own(&self, chain: Arc<HeaderChain>) {
        self.state.send_if_modified(|state| {
            state.own = Some(chain);
            state.choose()
        });
    }

    /// Holds all chains to a verified ChainLock whose block `chain` has: chains with another block at its height, or below
    /// it, are none to follow from now on; where there are such, `chain` up to that block is, whoever else has it. Does nothing
    /// where `chain` does not have the block, or a lock at least as high counts already.
    pub(crate) fn lock(&self, chain: &HeaderChain, lock: &ChainLock) {
        let height = lock.block_height;
        if chain.hash(height) != Some(lock.block_hash) || self.locked_height() >= Some(height) {
            return;
        }
        let Some(locked) = chain.truncated(height) else { return };
        self.state.send_if_modified(|state| {
            if state.locked_height() >= Some(height) {
                return false;
            }
            state.locked = Some(Arc::new(locked));
            state.choose()
        });
    }

    /// Height of the highest locked block that a known chain has.
    pub(crate) fn locked_height(&self) -> Option<u32> {
        self.state.borrow().locked_height()
    }

    /// Whether a chain has another block than the locked chain at the height of the lock, or where it ends below it.
    pub(crate) fn contradicts_lock(&self, chain: &HeaderChain) -> bool {
        self.state.borrow().contradicts_lock(chain)
    }

    /// Says that nobody else will be heard, or why nobody could be.
    pub(crate) fn settle(&self, settled: Result<(), HeaderDownloadError>) {
        self.state.send_if_modified(|state| {
            let is_new = state.known.settled.as_ref() != Some(&settled);
            state.known.settled = Some(settled);
            is_new
        });
    }

    /// Sets `chain` aside for a while because its list at `height` cannot be had, in favour of the chains that do without
    /// that block and reach up to `lowest`. The first block that is given up; `None` where there is no such chain.
    pub(crate) fn set_aside(&self, chain: &HeaderChain, height: u32, lowest: u32) -> Option<BlockId> {
        let mut given_up = None;
        self.state.send_if_modified(|state| {
            let without = |other: &&Arc<HeaderChain>| {
                other.tip_height() >= lowest
                    && other.hash(height).is_none_or(|hash| Some(hash) != chain.hash(height))
                    && state.is_candidate(other)
            };
            // What is shared with any of them may be served.
            let forks = state.chains.iter().filter(without).filter_map(|other| other.last_common(chain));
            let fork = forks.max();
            given_up = fork.and_then(|fork| Some(BlockId { height: fork + 1, hash: chain.hash(fork + 1)? }));
            if let Some(block) = given_up {
                state.give_up(block);
                state.choose();
            }
            given_up.is_some()
        });
        given_up
    }

    /// Lets branches be tried again whose time has come.
    pub(crate) fn reconsider(&self) {
        self.state.send_if_modified(State::choose);
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Known {
        self.state.borrow().known.clone()
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

    async fn wait_for(&self, mut condition: impl FnMut(&Known) -> bool) -> Known {
        let mut state = self.state.subscribe();
        // Cannot fail: the sender is a field of `self`.
        state
            .wait_for(|state| condition(&state.known))
            .await
            .map(|state| state.known.clone())
            .unwrap_or_default()
    }
}

impl State {
    /// Chooses the best chain anew; whether it is another one. It has more work than the one before, unless that was set
    /// aside or turned out to contradict a ChainLock.
    fn choose(&mut self) -> bool {
        let before = self.known.chain.take();
        let had_one = before.is_some();
        let current = before.filter(|current| self.is_candidate(current));
        // Else the chains that continue it are there, or somebody will show them.
        let is_contested = had_one && current.is_none()
            || self.chains.iter().chain(&self.own).any(|chain| self.contradicts_lock(chain));
        let locked = self.locked.iter().filter(|_| is_contested);
        let best = self
            .chains
            .iter()
            .chain(&self.own)
            .chain(locked)
            .filter(|chain| self.is_candidate(chain))
            .max_by_key(|chain| chain.work())
            .filter(|best| current.as_ref().is_none_or(|current| best.work() > current.work()))
            .cloned();
        let is_other = best.is_some() || had_one && current.is_none();
        self.known.chain = best.or(current);
        is_other
    }

    /// Whether a chain is not set aside now and does not contradict a ChainLock.
    fn is_candidate(&self, chain: &HeaderChain) -> bool {
        let now = Instant::now();
        !self.set_aside.iter().any(|branch| branch.until > now && branch.is_of(chain))
            && !self.contradicts_lock(chain)
    }

    fn locked_height(&self) -> Option<u32> {
        self.locked.as_ref().map(|locked| locked.tip_height())
    }

    fn contradicts_lock(&self, chain: &HeaderChain) -> bool {
        self.locked.as_ref().is_some_and(|locked| locked.diverges_by(chain, locked.tip_height()))
    }

    fn give_up(&mut self, block: BlockId) {
        let before = self.set_aside.iter().position(|branch| branch.block == block);
        let times = before.map_or(0, |at| self.set_aside.remove(at).times);
        let wait = SET_ASIDE.saturating_mul(1 << times.min(16)).min(SET_ASIDE_CAP);
        if self.set_aside.len() == MAX_SET_ASIDE {
            self.set_aside.remove(0);
        }
        self.set_aside.push(SetAside { block, until: Instant::now() + wait, times: times + 1 });
    }
}

impl SetAside {
    fn is_of(&self, chain: &HeaderChain) -> bool {
        chain.hash(self.block.height) == Some(self.block.hash)
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
    use dashcore::{BlockHash, ChainParams, Header, Network};

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

    #[tokio::test(start_paused = true)]
    async fn only_so_many_branches_are_set_aside() {
        let mut known = State::default();
        for index in 0..1_000 {
            known.give_up(BlockId { height: index, hash: BlockHash::from_byte_array([7; 32]) });
        }
        assert_eq!(known.set_aside.len(), MAX_SET_ASIDE);
    }

    fn offer(tips: &Tips, chains: &[&HeaderChain]) {
        let own = Arc::new(chain(0, 0, 1));
        tips.offer(chains.iter().map(|&chain| Arc::new(chain.clone())).collect(), &own);
    }

    fn publish(tips: &Tips, chain: &HeaderChain) {
        offer(tips, &[chain]);
    }

    fn best(tips: &Tips) -> Arc<HeaderChain> {
        tips.known().chain.unwrap()
    }

    #[tokio::test]
    async fn only_a_chain_with_more_work_takes_the_place_of_another() {
        let tips = Tips::new();
        publish(&tips, &chain(0, 1, 5));
        let first = tips.first().await.chain.unwrap();
        assert_eq!(first.tip_height(), 5);
        publish(&tips, &chain(2, 2, 5));
        publish(&tips, &chain(2, 2, 3));
        tips.settle(Ok(()));
        assert!(!tips.after(&first).await.is_other_than(&first));
        publish(&tips, &chain(2, 2, 6));
        assert!(tips.after(&first).await.is_other_than(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_is_left_for_another_branch_and_not_for_its_own_continuation() {
        let tips = Tips::new();
        let first = chain(9, 0, 5);
        publish(&tips, &first);
        publish(&tips, &chain(9, 0, 6));
        let wait = Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, tips.left(&first)).await.is_err());
        publish(&tips, &chain(3, 1, 7));
        tips.left(&first).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_branch_that_is_set_aside_stays_so_however_it_grows_until_its_time_has_come() {
        let tips = Tips::new();
        let (honest, junk) = (chain(9, 0, 9), chain(9, 1, 20));
        offer(&tips, &[&honest, &junk]);
        assert_eq!(best(&tips).tip_hash(), junk.tip_hash());
        let block = tips.set_aside(&junk, 15, 0).unwrap();
        assert_eq!((block.height, Some(block.hash)), (10, junk.hash(10)));
        assert_eq!(best(&tips).tip_hash(), honest.tip_hash());
        let (honest, junk) = (chain(10, 0, 10), chain(9, 1, 30));
        offer(&tips, &[&honest, &junk]);
        assert_eq!(best(&tips).tip_hash(), honest.tip_hash());
        for wait in [SET_ASIDE, 2 * SET_ASIDE] {
            tokio::time::advance(wait - Duration::from_secs(1)).await;
            tips.reconsider();
            assert_eq!(best(&tips).tip_hash(), honest.tip_hash());
            tokio::time::advance(Duration::from_secs(1)).await;
            tips.reconsider();
            assert_eq!(best(&tips).tip_hash(), junk.tip_hash(), "it is tried again");
            tips.set_aside(&junk, 15, 0).unwrap();
        }
    }

    #[test]
    fn a_branch_that_is_set_aside_takes_no_other_with_it() {
        let tips = Tips::new();
        let (honest, on_top, beside) = (chain(9, 0, 20), chain(20, 1, 40), chain(5, 2, 30));
        offer(&tips, &[&honest, &on_top, &beside]);
        assert_eq!(tips.set_aside(&on_top, 40, 0).map(|block| block.height), Some(21));
        assert_eq!(best(&tips).tip_hash(), beside.tip_hash());
        assert_eq!(tips.set_aside(&beside, 30, 0).map(|block| block.height), Some(6));
        assert_eq!(best(&tips).tip_hash(), honest.tip_hash());
    }

    #[test]
    fn nothing_is_set_aside_where_no_other_chain_does_without_the_list() {
        let tips = Tips::new();
        let (longest, behind) = (chain(9, 0, 20), chain(9, 0, 12));
        offer(&tips, &[&longest, &behind]);
        assert_eq!(tips.set_aside(&longest, 12, 0), None, "who is behind has it too");
        assert_eq!(tips.set_aside(&longest, 13, 13), None, "who is behind is too short to be a tip");
        assert_eq!(tips.set_aside(&longest, 13, 0).map(|block| block.height), Some(13));
        assert_eq!(best(&tips).tip_hash(), behind.tip_hash());
        assert_eq!(tips.set_aside(&behind, 12, 0), None);
        tips.offer_own(Arc::new(chain(9, 0, 3)));
        assert_eq!(
            tips.set_aside(&behind, 12, 0),
            None,
            "that this side has a chain does not make it somebody's tip"
        );
    }
}
