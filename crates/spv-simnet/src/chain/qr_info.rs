use std::collections::{BTreeMap, BTreeSet};

use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::network::message_network::EFFICIENT_QRINFO_VERSION;
use dashcore::network::message_qrinfo::{GetQRInfo, QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};

use super::mn_list_diff::WORK_BLOCK_DEPTH;
use super::{ActiveChain, Refusal};

/// How the diffs of a `qrinfo` choose their bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QRInfoConstruction {
    /// Each independently from the asker's own blocks; the tip's from the highest of them.
    Legacy,
    /// From the asker's blocks and those that earlier diffs of the same message lead to.
    Efficient,
}

impl QRInfoConstruction {
    /// The construction that two nodes use whose common protocol version is this.
    pub fn for_version(version: i32) -> Self {
        if version < EFFICIENT_QRINFO_VERSION { Self::Legacy } else { Self::Efficient }
    }
}

/// Follows Dash Core's `BuildQuorumRotationInfo` (llmq/snapshot.cpp).
pub(super) fn build(
    chain: &ActiveChain,
    request: &GetQRInfo,
    construction: QRInfoConstruction,
) -> Result<QRInfo, Refusal> {
    let mut bases = Bases::new(chain, request)?;
    let block = request.block_request_hash;
    let height = chain.height(&block).ok_or(Refusal::UnknownBlock(block))?;
    if chain.world().refuses_qrinfo_at(height) {
        return Err(Refusal::NotServed { height });
    }
    let rotated = chain.world().params().rotated();
    let cycle_length = rotated.dkg_interval;
    let cycle = height - height % cycle_length;
    let earlier = |cycles: u32| {
        cycle
            .checked_sub(cycles * cycle_length)
            .filter(|&base| base >= WORK_BLOCK_DEPTH)
            .ok_or(Refusal::TooEarly { cycle })
    };
    let [h_minus_c, h_minus_2c, h_minus_3c] = [earlier(1)?, earlier(2)?, earlier(3)?];
    let h_minus_4c = if request.extra_share { Some(earlier(4)?) } else { None };
    let snapshot = |cycle| chain.world().snapshot(cycle).cloned().ok_or(Refusal::NoSnapshot { cycle });

    let last_commitment_per_index = last_commitments(chain, height);
    let served: BTreeSet<u32> = [h_minus_c, h_minus_2c, h_minus_3c].into_iter().chain(h_minus_4c).collect();
    let further = further_cycles(chain, &last_commitment_per_index, &served);
    let snapshots: BTreeMap<u32, QuorumSnapshot> = served
        .iter()
        .chain(&further)
        .map(|&cycle| Ok((cycle, snapshot(cycle)?)))
        .collect::<Result<_, _>>()?;
    let snapshot = |cycle: u32| snapshots[&cycle].clone();

    // The order matters: each diff may become the base of the next. The message has another order.
    let legacy_tip = match construction {
        QRInfoConstruction::Legacy => Some(bases.diff_from_highest_to_tip()?),
        QRInfoConstruction::Efficient => None,
    };
    let mut diff = |cycle: u32| {
        let work_block = cycle - WORK_BLOCK_DEPTH;
        let diff = bases.diff_to(work_block)?;
        if construction == QRInfoConstruction::Efficient {
            bases.heights.insert(work_block);
        }
        Ok::<MnListDiff, Refusal>(diff)
    };
    let mn_list_diff_list = further.iter().map(|&cycle| diff(cycle)).collect::<Result<_, _>>()?;
    let quorum_snapshot_and_mn_list_diff_at_h_minus_4c = match h_minus_4c {
        Some(cycle) => Some((snapshot(cycle), diff(cycle)?)),
        None => None,
    };
    let mn_list_diff_at_h_minus_3c = diff(h_minus_3c)?;
    let mn_list_diff_at_h_minus_2c = diff(h_minus_2c)?;
    let mn_list_diff_at_h_minus_c = diff(h_minus_c)?;
    let mn_list_diff_h = diff(cycle)?;
    let mn_list_diff_tip = match legacy_tip {
        Some(diff) => diff,
        None => bases.diff_to(chain.tip())?,
    };
    Ok(QRInfo {
        quorum_snapshot_at_h_minus_c: snapshot(h_minus_c),
        quorum_snapshot_at_h_minus_2c: snapshot(h_minus_2c),
        quorum_snapshot_at_h_minus_3c: snapshot(h_minus_3c),
        mn_list_diff_tip,
        mn_list_diff_h,
        mn_list_diff_at_h_minus_c,
        mn_list_diff_at_h_minus_2c,
        mn_list_diff_at_h_minus_3c,
        quorum_snapshot_and_mn_list_diff_at_h_minus_4c,
        last_commitment_per_index,
        quorum_snapshot_list: further.iter().map(|&cycle| snapshot(cycle)).collect(),
        mn_list_diff_list,
    })
}

/// The newest commitment of each index, mined at or before `height`: what is active of the rotated type.
fn last_commitments(chain: &ActiveChain, height: u32) -> Vec<QuorumEntry> {
    let world = chain.world();
    let active = world.quorums().at(height).into_iter();
    let active = active.filter(|commitment| commitment.llmq_type == world.params().rotated_llmq);
    let mut commitments: Vec<QuorumEntry> = active.map(|commitment| (*commitment).clone()).collect();
    commitments.sort_by_key(|commitment| commitment.quorum_index);
    commitments
}

/// Cycles, beside those that are `served` anyway, from which members of these commitments come.
fn further_cycles(chain: &ActiveChain, commitments: &[QuorumEntry], served: &BTreeSet<u32>) -> BTreeSet<u32> {
    let cycle_length = chain.world().params().rotated().dkg_interval;
    let heights = commitments.iter().filter_map(|commitment| chain.height(&commitment.quorum_hash.into()));
    heights
        .map(|height| height - height % cycle_length)
        .flat_map(|cycle| (1..=3).filter_map(move |back| cycle.checked_sub(back * cycle_length)))
        .filter(|cycle| !served.contains(cycle))
        .collect()
}

/// Blocks from which diffs may start.
struct Bases<'a> {
    chain: &'a ActiveChain,
    heights: BTreeSet<u32>,
}

impl<'a> Bases<'a> {
    fn new(chain: &'a ActiveChain, request: &GetQRInfo) -> Result<Self, Refusal> {
        let bases = request.base_block_hashes.iter();
        let mut heights: BTreeSet<u32> = bases
            .map(|hash| chain.height(hash).ok_or(Refusal::UnknownBase(*hash)))
            .collect::<Result<_, _>>()?;
        if heights.is_empty() {
            heights.insert(0);
        }
        Ok(Self { chain, heights })
    }

    /// The diff to a block from the highest base that is not above it, or from genesis.
    fn diff_to(&self, height: u32) -> Result<MnListDiff, Refusal> {
        self.diff(self.heights.range(..=height).next_back().copied().unwrap_or(0), height)
    }

    fn diff_from_highest_to_tip(&self) -> Result<MnListDiff, Refusal> {
        self.diff(self.heights.last().copied().unwrap_or(0), self.chain.tip())
    }

    fn diff(&self, base: u32, block: u32) -> Result<MnListDiff, Refusal> {
        let world = self.chain.world();
        self.chain.mn_list_diff(&GetMnListDiff {
            base_block_hash: world.hash_at(base),
            block_hash: world.hash_at(block),
        })
    }
}
