//! Which requests bring the wanted lists, computed from headers alone (docs/design: plan from headers, not from answers).

use std::collections::BTreeSet;

use dashcore::network::framing::Frame;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::sml::llmq_type::LLMQParams;
use dashcore::{BlockHash, ChainParams, Header};
use spv_correlation::Expectation;
use spv_masternodes::chain_lock::quorums_height;
use spv_masternodes::members::Needs;

use crate::headers::HeaderChain;
use crate::peer::{Answer, Request, RequestKind};

/// A cycle's list is that of the block this far below its base (Dash Core `WORK_DIFF_DEPTH`, llmq/utils.h).
pub(crate) const WORK_BLOCK_OFFSET: u32 = 8;

/// Cycles whose lists one `qrinfo` with extra share brings beyond its oldest.
const CYCLES_PER_QRINFO: u32 = 4;

/// A further base this many cycles below the requested one. Commitments of failed DKGs can be that old; without a base
/// at or below the cycles they need, the first diff of an answer would be the whole list from genesis.
const DEEP_BASE_CYCLES: u32 = 8;

/// The base for the tip's diff is this far below our tip, so that a node a few blocks behind does not refuse.
const TIP_BASE_DEPTH: u32 = 8;

/// A block of the header chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Height.
    pub(crate) height: u32,
    /// Hash.
    pub(crate) hash: BlockHash,
    /// Header.
    pub(crate) header: Header,
}

/// One request and the lists that it is meant to bring. Its answer can be applied once the list at `base` is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Block whose list the first wanted one is based on; genesis stands for the empty list.
    pub(crate) base: Block,
    /// Blocks whose lists are wanted, ascending.
    pub(crate) wanted: Vec<Block>,
    /// Work blocks of the cycles whose snapshots may come with the lists.
    pub(crate) cycles: Vec<Block>,
    /// What to ask.
    pub(crate) request: Request,
}

impl Work {
    /// The list of the block at `height`, as a diff from the list at `base`; 0 stands for the empty list. `None` where
    /// the chain lacks a block.
    pub fn list(params: &ChainParams, chain: &HeaderChain, base: u32, height: u32) -> Option<Self> {
        let planner = Planner { params, chain, rotated: params.rotated() };
        let base = if base == 0 { planner.genesis() } else { planner.block(base)? };
        Some(list_diff(base, planner.block(height)?))
    }

    /// The lists of up to four consecutive cycles, whose work blocks are at these ascending heights, by one `qrinfo`.
    /// `None` where the chain lacks a block or no node could serve it.
    pub fn cycles(params: &ChainParams, chain: &HeaderChain, base: u32, work_blocks: &[u32]) -> Option<Self> {
        let planner = Planner { params, chain, rotated: params.rotated() };
        let blocks: Vec<Block> =
            work_blocks.iter().map(|&height| planner.block(height)).collect::<Option<_>>()?;
        let base = if base == 0 { planner.genesis() } else { planner.block(base)? };
        planner.qrinfo(base, &blocks, *blocks.last()?)
    }

    /// Heights of the lists that it brings, ascending.
    pub fn heights(&self) -> impl Iterator<Item = u32> {
        self.wanted.iter().map(|block| block.height)
    }

    /// Base heights of the cycles whose snapshot may come with the lists.
    pub fn snapshots(&self) -> impl Iterator<Item = u32> {
        self.cycles.iter().map(|work_block| work_block.height + WORK_BLOCK_OFFSET)
    }

    /// What to send to a node.
    pub fn message(&self) -> NetworkMessage {
        self.request.to_message()
    }

    /// Whether a message is an answer to this request, by what it says of itself.
    pub fn is_answered_by(&self, frame: &Frame) -> bool {
        let answer =
            |kind| Answer { kind, payload: frame.payload.clone(), checksum_valid: frame.checksum_valid };
        RequestKind::answered_by(frame.command).is_some_and(|kind| self.request.accepts(&answer(kind)))
    }

    /// Height of the lowest wanted list; work is applied in this order.
    pub(crate) fn order(&self) -> u64 {
        self.wanted.first().map_or(0, |block| u64::from(block.height))
    }

    /// Whether it asks for all of a list, by far the largest answer.
    fn is_whole(&self) -> bool {
        self.base.height == 0 && self.request.kind() == RequestKind::MnListDiff
    }

    /// The same lists by one `getmnlistd` each; `None` when that is what this work already is.
    pub(crate) fn alternative(&self) -> Option<Vec<Self>> {
        (self.request.kind() == RequestKind::QrInfo).then(|| {
            let bases = std::iter::once(&self.base).chain(&self.wanted);
            bases.zip(&self.wanted).map(|(&base, &block)| list_diff(base, block)).collect()
        })
    }
}

/// Whether the members of some kind of quorum may be chosen from the list of the block at this height.
pub(crate) fn is_work_block(params: &ChainParams, height: u32) -> bool {
    params.llmqs.iter().any(|llmq| (height + WORK_BLOCK_OFFSET).is_multiple_of(llmq.dkg_interval))
}

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
        Planner { params, chain, rotated: params.rotated() }.plan(from, proven)
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
        Planner { params, chain, rotated: params.rotated() }.further(lists, snapshots, proven)
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
                // The newest may not be mined yet.
                let sessions = 0..=llmq.signing_active_quorum_count;
                let bases = sessions.filter_map(move |age| newest.checked_sub(age * llmq.dkg_interval));
                bases.filter_map(|base_height| Needs::of(llmq.llmq_type, base_height, params).ok())
            })
            .flat_map(|needs| needs.lists)
            .collect();
        // Mostly the block before the tip is locked, when the tip is found.
        lists.insert(quorums_height(tip.saturating_sub(1)));
        let lowest = params.activation.dip3.max(chain.start_height());
        lists.retain(|height| *height >= lowest);
        let missing = lists.difference(&held).copied().collect();
        held.remove(&tip);
        let further = Self::further(params, chain, &missing, &BTreeSet::new(), &held);
        // If the lowest of these is to come whole, it is below all others, and one whole list is enough.
        let lowest = further.works.first().filter(|work| work.is_whole());
        if let Some(&whole) = lowest.and_then(|work| work.wanted.first()) {
            for work in self.works.iter_mut().filter(|work| work.is_whole()) {
                *work = list_diff(whole, work.wanted[0]);
            }
        }
        self.works.extend(further.works);
        self.works.sort_by_key(Work::order);
        lists.extend(&self.heights);
        self.heights = lists.into_iter().collect();
        self
    }
}

struct Planner<'a> {
    params: &'a ChainParams,
    chain: &'a HeaderChain,
    rotated: &'a LLMQParams,
}

impl Planner<'_> {
    fn plan(&self, from: u32, proven: &BTreeSet<u32>) -> Plan {
        let tip = self.chain.tip_height();
        let first = from.max(self.params.activation.dip3).max(self.chain.start_height());
        let cycle = self.rotated.dkg_interval;
        let mut heights: Vec<u32> = (1..)
            .map_while(|index: u32| index.checked_mul(cycle)?.checked_sub(WORK_BLOCK_OFFSET))
            .skip_while(|&height| height < first)
            .take_while(|&height| height < tip)
            .collect();
        if tip >= first {
            heights.push(tip);
        }

        let mut works = Vec::new();
        let mut missing = heights.iter().copied().filter(|height| !proven.contains(height)).peekable();
        // The base of each work is the newest list at hand when it is its turn.
        let mut base = None;
        while let Some(height) = missing.next() {
            let newest_proven = self.nearest_below(height, proven);
            let base_height = base.max(newest_proven);
            let mut group = vec![height];
            // A cycle can be asked about by qrinfo once its base block is there.
            let has_begun = |height: u32| height != tip && height + WORK_BLOCK_OFFSET <= tip;
            let consecutive = base_height.is_some_and(|base| base + cycle == height);
            if consecutive && has_begun(height) {
                while group.len() < CYCLES_PER_QRINFO as usize {
                    let next = group[group.len() - 1] + cycle;
                    match missing.next_if(|&height| height == next && has_begun(height)) {
                        Some(height) => group.push(height),
                        None => break,
                    }
                }
            }
            let blocks: Vec<Block> = group.iter().filter_map(|&height| self.block(height)).collect();
            base = group.last().copied();
            match base_height.and_then(|height| self.block(height)) {
                Some(from) => match blocks
                    .last()
                    .and_then(|&work_block| self.qrinfo(from, &blocks, work_block))
                    .filter(|_| consecutive && has_begun(height))
                {
                    Some(work) => works.push(work),
                    None => {
                        let bases = std::iter::once(&from).chain(&blocks);
                        works.extend(bases.zip(&blocks).map(|(&base, &block)| list_diff(base, block)));
                    }
                },
                None => works.extend(blocks.iter().map(|&block| list_diff(self.genesis(), block))),
            }
        }
        Plan { works, heights }
    }

    fn further(&self, lists: &BTreeSet<u32>, snapshots: &BTreeSet<u32>, proven: &BTreeSet<u32>) -> Plan {
        let mut lowest = None;
        let mut works: Vec<Work> = lists
            .iter()
            .filter_map(|&height| self.block(height))
            .map(|block| {
                let held = self.nearest_below(block.height, proven).and_then(|height| self.block(height));
                // Only the lowest is worth a whole list.
                let base = held.or(lowest).unwrap_or_else(|| self.genesis());
                lowest.get_or_insert(block);
                list_diff(base, block)
            })
            .collect();
        let mut left = snapshots.clone();
        while let Some(newest) = left.pop_last() {
            let cycle = self.rotated.dkg_interval;
            let work_block = newest.checked_add(cycle - WORK_BLOCK_OFFSET).and_then(|at| self.block(at));
            let Some(work) = work_block.and_then(|block| self.qrinfo(self.genesis(), &[], block)) else {
                continue;
            };
            left.retain(|&cycle_base| !work.snapshots().any(|brought| brought == cycle_base));
            works.push(work);
        }
        Plan { works, heights: lists.iter().copied().collect() }
    }

    /// One `qrinfo` for up to four consecutive cycles, of which the newest has this work block; `None` where no node
    /// could serve it.
    fn qrinfo(&self, base: Block, wanted: &[Block], work_block: Block) -> Option<Work> {
        let cycle = self.rotated.dkg_interval;
        let cycle_base = work_block.height + WORK_BLOCK_OFFSET;
        // Snapshots exist from the first rotated cycle on, and H-4C has to be one of them.
        let oldest_snapshot = cycle_base.checked_sub(CYCLES_PER_QRINFO * cycle)?;
        if oldest_snapshot == 0 || oldest_snapshot < self.params.activation.dip24 {
            return None;
        }
        let requested = self.block(cycle_base)?;
        let oldest_list = oldest_snapshot.checked_sub(WORK_BLOCK_OFFSET)?;
        let deep = cycle_base.checked_sub(DEEP_BASE_CYCLES * cycle + WORK_BLOCK_OFFSET);
        // A work block that is asked for must not be a base itself: its diff would be from itself.
        let recent = self.chain.tip_height().saturating_sub(TIP_BASE_DEPTH);
        let recent = Some(recent).filter(|&recent| recent > work_block.height);
        let bases = deep.into_iter().chain([oldest_list, base.height]).chain(recent);
        let bases: BTreeSet<u32> = bases.filter(|&height| height > 0).collect();
        let base_block_hashes = bases.into_iter().filter_map(|height| self.chain.hash(height)).collect();
        let cycles = (1..=CYCLES_PER_QRINFO)
            .filter_map(|cycles| self.block(work_block.height.checked_sub(cycles * cycle)?));
        Some(Work {
            base,
            wanted: wanted.to_vec(),
            cycles: cycles.collect(),
            request: Request::QrInfo {
                message: GetQRInfo {
                    base_block_hashes,
                    block_request_hash: requested.hash,
                    extra_share: true,
                },
                work_block: work_block.hash,
            },
        })
    }

    /// The list to base one at `height` on. Others than those of work blocks are left alone where possible, so that they
    /// can be forgotten when they are of no use any more.
    fn nearest_below(&self, height: u32, held: &BTreeSet<u32>) -> Option<u32> {
        let below = || held.range(..height).rev().copied();
        below().find(|&height| is_work_block(self.params, height)).or_else(|| below().next())
    }

    fn genesis(&self) -> Block {
        Block { height: 0, hash: self.params.genesis_hash, header: self.params.genesis }
    }

    fn block(&self, height: u32) -> Option<Block> {
        Some(Block { height, hash: self.chain.hash(height)?, header: *self.chain.header(height)? })
    }
}

fn list_diff(base: Block, block: Block) -> Work {
    let names = GetMnListDiff { base_block_hash: base.hash, block_hash: block.hash };
    Work { base, wanted: vec![block], cycles: Vec::new(), request: Request::ListDiff(names) }
}

#[cfg(test)]
mod tests {
    use dashcore::Network;
    use dashcore::hash_types::TxMerkleNode;
    use dashcore::params::Activation;

    use super::*;

    fn params() -> ChainParams {
        let params = ChainParams::new(Network::Regtest);
        let activation = Activation { dip3: 2, v20: 300, ..params.activation };
        ChainParams { activation, ..params }
    }

    fn chain(params: &ChainParams, tip: u32) -> HeaderChain {
        let mut chain = HeaderChain::starting_at_or_below(params, 0);
        for height in 1..=tip {
            let header = Header {
                version: 4,
                prev_blockhash: chain.tip_hash(),
                merkle_root: TxMerkleNode::all_zeros(),
                time: params.genesis.time + height,
                bits: 0x207f_ffff,
                nonce: 0,
            };
            chain.restore([(header, header.block_hash())]).unwrap();
        }
        chain
    }

    /// Every wanted list once, in order, each work based on a list that is there before it.
    fn assert_sound(plan: &Plan, proven: &BTreeSet<u32>) {
        let mut held = proven.clone();
        held.insert(0);
        for work in &plan.works {
            assert!(held.contains(&work.base.height), "base {} is not held", work.base.height);
            for block in &work.wanted {
                assert!(held.insert(block.height), "list {} is planned twice", block.height);
            }
        }
        let all: BTreeSet<u32> = plan.heights.iter().copied().collect();
        assert!(all.is_subset(&held));
    }

    #[test]
    fn four_cycles_share_one_qrinfo_and_the_first_list_comes_from_genesis() {
        let params = params();
        let chain = chain(&params, 862);
        let plan = Plan::new(&params, &chain, 1, &BTreeSet::new());
        assert_sound(&plan, &BTreeSet::new());
        assert_eq!(plan.heights.len(), 37);
        assert_eq!(plan.heights.first(), Some(&16));
        assert_eq!(plan.heights.last(), Some(&862));
        let kinds: Vec<_> = plan.works.iter().map(|work| (work.request.kind(), work.wanted.len())).collect();
        use RequestKind::{MnListDiff, QrInfo};
        let mut expected = vec![(MnListDiff, 1)];
        expected.extend([(QrInfo, 4); 8]);
        // The last cycle's work block is there, but its base is not yet; and the tip.
        expected.extend([(QrInfo, 2), (MnListDiff, 1), (MnListDiff, 1)]);
        assert_eq!(kinds, expected);
    }

    #[test]
    fn the_newest_work_block_is_no_base_when_the_tip_begins_its_cycle() {
        let params = params();
        let chain = chain(&params, 840);
        let plan = Plan::new(&params, &chain, 600, &BTreeSet::from([592]));
        assert_sound(&plan, &BTreeSet::from([592]));
        for work in &plan.works {
            let Request::QrInfo { message, .. } = &work.request else { continue };
            let bases = &message.base_block_hashes;
            assert!(
                work.wanted.iter().all(|block| block.hash == work.base.hash || !bases.contains(&block.hash))
            );
        }
    }

    #[test]
    fn a_qrinfo_names_few_bases_and_one_at_its_oldest_list() {
        let params = params();
        let chain = chain(&params, 862);
        let plan = Plan::new(&params, &chain, 600, &BTreeSet::from([592]));
        assert_sound(&plan, &BTreeSet::from([592]));
        let Request::QrInfo { message, work_block } = &plan.works[0].request else {
            panic!("the base is one cycle below, so a qrinfo fits");
        };
        let heights: Vec<_> =
            message.base_block_hashes.iter().map(|hash| chain.height_of(hash).unwrap()).collect();
        assert_eq!(heights, [496, 592, 854]);
        assert_eq!(chain.height_of(work_block), Some(688));
        assert_eq!(chain.height_of(&message.block_request_hash), Some(696));
        for work in &plan.works {
            if let Request::QrInfo { message, .. } = &work.request {
                assert!(message.base_block_hashes.len() <= 4);
            }
        }
    }

    #[test]
    fn only_what_is_missing_is_planned() {
        let params = params();
        let chain = chain(&params, 862);
        let all = Plan::new(&params, &chain, 1, &BTreeSet::new()).heights;
        let mut proven: BTreeSet<u32> = all.iter().copied().collect();
        assert!(Plan::new(&params, &chain, 1, &proven).works.is_empty());
        for gap in [16, 40, 400, 856] {
            proven.remove(&gap);
        }
        let plan = Plan::new(&params, &chain, 1, &proven);
        assert_sound(&plan, &proven);
        let wanted: Vec<u32> =
            plan.works.iter().flat_map(|work| &work.wanted).map(|block| block.height).collect();
        assert_eq!(wanted, [16, 40, 400, 856]);
    }

    #[test]
    fn a_refused_qrinfo_falls_apart_into_chained_list_diffs() {
        let params = params();
        let chain = chain(&params, 862);
        let plan = Plan::new(&params, &chain, 1, &BTreeSet::new());
        let diffs = plan.works[3].alternative().unwrap();
        assert_eq!(diffs.len(), 4);
        let mut base = plan.works[3].base;
        for (diff, wanted) in diffs.iter().zip(&plan.works[3].wanted) {
            assert_eq!((diff.base, diff.wanted.as_slice()), (base, &[*wanted][..]));
            assert!(diff.alternative().is_none());
            base = *wanted;
        }
    }

    #[test]
    fn what_the_tip_needs_is_planned_with_the_cycles() {
        let params = params();
        let chain = chain(&params, 862);
        let held = BTreeSet::new();
        let plan = Plan::new(&params, &chain, 742, &held).with_lists_for_tip(&params, &chain, &held);
        assert_sound(&plan, &held);
        // Sessions begin with each cycle here; the list below the block before the tip is for its ChainLock.
        assert_eq!(plan.heights, [760, 784, 808, 832, 853, 856, 862]);
        let proven = plan.heights.iter().copied().collect();
        let again = Plan::new(&params, &chain, 742, &proven).with_lists_for_tip(&params, &chain, &proven);
        assert!(again.works.is_empty());
        assert_eq!(again.heights, plan.heights);
    }

    /// Wherever in its cycle the tip of the main network is: whatever sessions succeeded, no second round is needed.
    #[test]
    fn one_plan_brings_all_that_the_quorums_of_the_main_network_need() {
        let params = ChainParams::new(Network::Dash);
        let cycle = params.rotated().dkg_interval;
        let newest = 2_240_352;
        let whole = chain_above(&params, newest - 16 * cycle, newest + cycle - 1);
        for tip in (newest..newest + cycle).step_by(7) {
            let chain = whole.truncated(tip).unwrap();
            let held = BTreeSet::new();
            let from = tip - 6 * cycle;
            let plan = Plan::new(&params, &chain, from, &held).with_lists_for_tip(&params, &chain, &held);
            assert_sound(&plan, &held);
            // Three at a time, so that eleven nodes make it one round.
            assert!(plan.works.len() <= 33, "{} requests at {tip}", plan.works.len());
            assert_eq!(plan.works.iter().filter(|work| work.is_whole()).count(), 1, "{tip}");
            let lists: BTreeSet<u32> = plan.heights.iter().copied().collect();
            let served = plan.works.iter().flat_map(|work| &work.cycles);
            let snapshots: BTreeSet<u32> = served.map(|block| block.height + WORK_BLOCK_OFFSET).collect();
            for llmq in &params.llmqs {
                let age = if llmq.rotated { 1 } else { llmq.signing_active_quorum_count };
                let begun = tip - tip % llmq.dkg_interval;
                for base in (0..=age).map(|age| begun - age * llmq.dkg_interval) {
                    let needs = Needs::of(llmq.llmq_type, base, &params).unwrap();
                    assert!(
                        needs.lists.iter().all(|height| lists.contains(height)),
                        "{} {tip}",
                        llmq.llmq_type
                    );
                    assert!(needs.snapshots.iter().all(|cycle| snapshots.contains(cycle)), "{tip}");
                }
            }
        }
    }

    /// A chain above a checkpoint, of headers that nobody mined.
    fn chain_above(params: &ChainParams, start: u32, tip: u32) -> HeaderChain {
        let mut chain = HeaderChain::starting_at_or_below(params, start);
        for height in chain.tip_height() + 1..=tip {
            let header = Header { prev_blockhash: chain.tip_hash(), ..params.genesis };
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&height.to_le_bytes());
            chain.restore([(header, BlockHash::from_byte_array(hash))]).unwrap();
        }
        chain
    }

    #[test]
    fn further_lists_build_on_what_is_held_and_snapshots_come_four_at_a_time() {
        let params = params();
        let chain = chain(&params, 862);
        let held = BTreeSet::from([400, 640]);
        let snapshots = BTreeSet::from([528, 552, 576, 648, 672]);
        let plan =
            Plan::further(&params, &chain, &BTreeSet::from([300, 350, 500, 700, 701]), &snapshots, &held);
        let (lists, qrinfos): (Vec<_>, Vec<_>) =
            plan.works.iter().partition(|work| work.request.kind() == RequestKind::MnListDiff);
        let bases: Vec<u32> = lists.iter().map(|work| work.base.height).collect();
        assert_eq!(bases, [0, 300, 400, 640, 640]);
        let cycles: BTreeSet<u32> =
            qrinfos.iter().flat_map(|work| &work.cycles).map(|block| block.height + 8).collect();
        assert!(cycles.is_superset(&snapshots) && qrinfos.len() == 2, "{cycles:?}");
    }

    #[test]
    fn any_range_and_any_holes_give_a_sound_plan() {
        let params = params();
        let chain = chain(&params, 700);
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let from = rng.u32(0..720);
            let all = Plan::new(&params, &chain, from, &BTreeSet::new());
            assert_sound(&all, &BTreeSet::new());
            let proven: BTreeSet<u32> = all.heights.iter().copied().filter(|_| rng.bool()).collect();
            assert_sound(&Plan::new(&params, &chain, from, &proven), &proven);
        }
    }
}
