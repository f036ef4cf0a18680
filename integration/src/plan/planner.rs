use std::collections::BTreeSet;

use dashcore::ChainParams;
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::params::WORK_BLOCK_DEPTH;
use dashcore::sml::llmq_type::LLMQParams;

use super::Plan;
use super::work::{Work, list_diff};
use crate::chain::{Block, HeaderChain};
use crate::wire::Request;

/// Cycles whose lists one `qrinfo` with extra share brings beyond its oldest.
const CYCLES_PER_QRINFO: u32 = 4;

/// A further base this many cycles below the requested one. Commitments of failed DKGs can be that old; without a base
/// at or below the cycles they need, the first diff of an answer would be the whole list from genesis.
const DEEP_BASE_CYCLES: u32 = 8;

/// The base for the tip's diff is this far below our tip, so that a node a few blocks behind does not refuse.
const TIP_BASE_DEPTH: u32 = 8;

impl Work {
    /// The list of the block at `height`, as a diff from the list at `base`; 0 stands for the empty list. `None` where
    /// the chain lacks a block.
    pub fn list(params: &ChainParams, chain: &HeaderChain, base: u32, height: u32) -> Option<Self> {
        let planner = Planner::new(params, chain);
        let base = if base == 0 { planner.genesis() } else { planner.block(base)? };
        Some(planner.list_diff(base, planner.block(height)?))
    }

    /// The lists of up to four consecutive cycles, whose work blocks are at these ascending heights, by one `qrinfo`.
    /// `None` where the chain lacks a block or no node could serve it.
    pub fn cycles(params: &ChainParams, chain: &HeaderChain, base: u32, work_blocks: &[u32]) -> Option<Self> {
        let planner = Planner::new(params, chain);
        let blocks: Vec<Block> =
            work_blocks.iter().map(|&height| planner.block(height)).collect::<Option<_>>()?;
        let base = if base == 0 { planner.genesis() } else { planner.block(base)? };
        planner.qrinfo(base, &blocks, *blocks.last()?)
    }
}

/// Chooses requests for one chain.
pub(super) struct Planner<'a> {
    params: &'a ChainParams,
    chain: &'a HeaderChain,
    rotated: &'a LLMQParams,
}

impl<'a> Planner<'a> {
    pub(super) fn new(params: &'a ChainParams, chain: &'a HeaderChain) -> Self {
        Self { params, chain, rotated: params.rotated() }
    }

    pub(super) fn plan(&self, from: u32, proven: &BTreeSet<u32>) -> Plan {
        let tip = self.chain.tip_height();
        let first = from.max(self.params.activation.dip3).max(self.chain.start_height());
        let cycle = self.rotated.dkg_interval;
        let mut heights: Vec<u32> = (1..)
            .map_while(|index: u32| index.checked_mul(cycle)?.checked_sub(WORK_BLOCK_DEPTH))
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
            let has_begun = |height: u32| height != tip && height + WORK_BLOCK_DEPTH <= tip;
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
                        works.extend(bases.zip(&blocks).map(|(&base, &block)| self.list_diff(base, block)));
                    }
                },
                None => works.extend(blocks.iter().map(|&block| list_diff(self.genesis(), block))),
            }
        }
        Plan { works, heights }
    }

    pub(super) fn further(
        &self,
        lists: &BTreeSet<u32>,
        snapshots: &BTreeSet<u32>,
        proven: &BTreeSet<u32>,
    ) -> Plan {
        let mut lowest = None;
        let mut works: Vec<Work> = lists
            .iter()
            .filter_map(|&height| self.block(height))
            .map(|block| {
                let held = self.nearest_below(block.height, proven).and_then(|height| self.block(height));
                // Only the lowest is worth a whole list.
                let base = held.or(lowest).unwrap_or_else(|| self.genesis());
                lowest.get_or_insert(block);
                self.list_diff(base, block)
            })
            .collect();
        let mut left = snapshots.clone();
        while let Some(newest) = left.pop_last() {
            let cycle = self.rotated.dkg_interval;
            let work_block = newest.checked_add(cycle - WORK_BLOCK_DEPTH).and_then(|at| self.block(at));
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
        if !self.rotated.rotated {
            return None;
        }
        let cycle = self.rotated.dkg_interval;
        let cycle_base = work_block.height + WORK_BLOCK_DEPTH;
        // Snapshots exist from the first rotated cycle on, and H-4C has to be one of them.
        let oldest_snapshot = cycle_base.checked_sub(CYCLES_PER_QRINFO * cycle)?;
        if oldest_snapshot == 0 || oldest_snapshot < self.params.activation.dip24 {
            return None;
        }
        let requested = self.block(cycle_base)?;
        let oldest_list = oldest_snapshot.checked_sub(WORK_BLOCK_DEPTH)?;
        let deep = cycle_base.checked_sub(DEEP_BASE_CYCLES * cycle + WORK_BLOCK_DEPTH);
        // A work block that is asked for must not be a base itself: its diff would be from itself.
        let recent = self.chain.tip_height().saturating_sub(TIP_BASE_DEPTH);
        let recent = Some(recent).filter(|&recent| recent > work_block.height);
        let bases = deep.into_iter().chain([oldest_list, base.height]).chain(recent);
        let bases: BTreeSet<u32> = bases.filter(|&height| height > 0).collect();
        let newest_base = bases.last().and_then(|&height| self.block(height));
        let newest = newest_base.filter(|base| base.height > requested.height).unwrap_or(requested).id();
        let base_block_hashes = bases.into_iter().filter_map(|height| self.chain.hash(height)).collect();
        let cycles = (1..=CYCLES_PER_QRINFO)
            .filter_map(|cycles| self.block(work_block.height.checked_sub(cycles * cycle)?));
        Some(Work {
            base,
            wanted: wanted.to_vec(),
            cycles: cycles.collect(),
            newest,
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
        below().find(|&height| self.params.is_work_block(height)).or_else(|| below().next())
    }

    /// The list of `block` from that of `base`, if that may be built on. The quorums of a list from before DIP8 are a peer's
    /// word, which no list with proven ones is to rest on: then it comes whole.
    pub(super) fn list_diff(&self, base: Block, block: Block) -> Work {
        let dip8 = self.params.activation.dip8;
        list_diff(if base.height < dip8 && block.height >= dip8 { self.genesis() } else { base }, block)
    }

    fn genesis(&self) -> Block {
        Block { height: 0, hash: self.params.genesis_hash, header: self.params.genesis }
    }

    fn block(&self, height: u32) -> Option<Block> {
        Some(Block { height, hash: self.chain.hash(height)?, header: *self.chain.header(height)? })
    }
}
