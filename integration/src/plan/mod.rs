//! Which requests bring the wanted lists, computed from headers alone, so that all of them can be sent before the first
//! answer has come.

mod planner;
mod sessions;
mod work;

use std::collections::BTreeSet;

use dashcore::ChainParams;
use spv_masternodes::chain_lock::quorums_height;
use spv_masternodes::members::Needs;

pub(crate) use sessions::sessions_between;
pub use work::Work;

use crate::chain::HeaderChain;
use planner::Planner;

/// Platform goes on signing with a quorum after others have taken its place. So many DKG intervals later its proofs are
/// still accepted here; four and a half were seen on the main network.
pub const RETIRED_INTERVALS: u32 = 5;

/// All work that is needed, in order of application, and what it amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Work in order of application.
    pub(crate) works: Vec<Work>,
    /// Heights of all lists in the range, those already proven included.
    pub(crate) heights: Vec<u32>,
}

impl Plan {
    /// A plan of one's own: `works` in an order in which every base is there before it is needed.
    pub fn of(works: Vec<Work>) -> Self {
        let heights = works.iter().flat_map(Work::heights).collect();
        Self { works, heights }
    }

    /// All requests, in the order in which their answers are applied.
    pub fn works(&self) -> &[Work] {
        &self.works
    }

    /// Plans the lists of every cycle's work block from `from` on and of the chain's tip.
    ///
    /// `proven` are the heights whose lists are already held for blocks of this chain.
    pub fn new(params: &ChainParams, chain: &HeaderChain, from: u32, proven: &BTreeSet<u32>) -> Self {
        Planner::new(params, chain).plan(from, proven)
    }

    /// Plans single lists, and the snapshots of the cycles with these base heights. Each list is based on the nearest
    /// one below it that is held, so that none waits for another.
    pub fn further(
        params: &ChainParams,
        chain: &HeaderChain,
        lists: &BTreeSet<u32>,
        snapshots: &BTreeSet<u32>,
        proven: &BTreeSet<u32>,
    ) -> Self {
        Planner::new(params, chain).further(lists, snapshots, proven)
    }

    /// Adds the lists that quorums active at the tip follow from, judging by the heights at which DKG sessions start, so
    /// that they come in the same round trip. A session that failed costs a list that nobody needs; one that is needed
    /// in its place is asked for when the tip's list is there.
    #[must_use]
    pub fn with_lists_for_tip(
        mut self,
        params: &ChainParams,
        chain: &HeaderChain,
        proven: &BTreeSet<u32>,
    ) -> Self {
        let tip = chain.tip_height();
        let mut held: BTreeSet<u32> =
            proven.union(&self.heights.iter().copied().collect()).copied().collect();
        let mut lists: BTreeSet<u32> = params
            .llmqs
            .iter()
            .filter(|llmq| !llmq.rotated)
            .flat_map(|llmq| {
                let newest = tip - tip % llmq.dkg_interval;
                // The newest may not be mined yet, and those that retired may still sign, or have signed what is looked at now.
                let signs = [params.platform_llmq, params.chain_locks_llmq].contains(&llmq.llmq_type);
                let retired = if signs { RETIRED_INTERVALS } else { 0 };
                let sessions = 0..=llmq.signing_active_quorum_count + retired;
                let bases = sessions.filter_map(move |age| newest.checked_sub(age * llmq.dkg_interval));
                bases.filter_map(|base_height| Needs::of(llmq.llmq_type, base_height, params).ok())
            })
            .flat_map(|needs| needs.lists)
            .collect();
        lists.extend(locking_heights(params, tip));
        let lowest = params.activation.dip3.max(chain.start_height());
        lists.retain(|height| *height >= lowest);
        let missing = lists.difference(&held).copied().collect();
        held.remove(&tip);
        let further = Self::further(params, chain, &missing, &BTreeSet::new(), &held);
        // If the lowest of these is to come whole, it is below all others, and one whole list is enough.
        let lowest = further.works.first().filter(|work| work.is_whole());
        let planner = Planner::new(params, chain);
        if let Some(&whole) = lowest.and_then(|work| work.wanted.first()) {
            for work in self.works.iter_mut().filter(|work| work.is_whole()) {
                *work = planner.list_diff(whole, work.wanted[0]);
            }
        }
        self.works.extend(further.works);
        self.works.sort_by_key(Work::order);
        lists.extend(&self.heights);
        self.heights = lists.into_iter().collect();
        self
    }
}

/// Heights whose lists show which quorums lock `tip` and the block before, of which one is mostly the newest that is locked:
/// one height, or two where a commitment may have been mined in between.
pub(crate) fn locking_heights(params: &ChainParams, tip: u32) -> impl Iterator<Item = u32> {
    let (first, second) = (quorums_height(tip.saturating_sub(1)), quorums_height(tip));
    let llmq = params.llmq(params.chain_locks_llmq);
    let may_differ = llmq.is_some_and(|llmq| sessions_between(llmq, first, second).next().is_some());
    std::iter::once(first).chain(may_differ.then_some(second))
}

#[cfg(test)]
mod tests;
