use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bitcoin_hashes::{sha256, sha256d};
use dashcore::consensus::Encodable;
use dashcore::network::message_qrinfo::{MNSkipListMode, QuorumSnapshot};
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BitSet, BlockHash, ProTxHash, Transaction};

use crate::world::MasternodeList;

/// Chooses the members of rotated quorums, a quarter of each per cycle (DIP24; Dash Core
/// `BuildNewQuorumQuarterMembers`, llmq/utils.cpp).
#[derive(Debug)]
pub(crate) struct Rotation {
    quorums: usize,
    quarter_size: usize,
    /// The quarters of the last three cycles, oldest first; in each cycle one per quorum.
    quarters: VecDeque<Vec<Vec<ProTxHash>>>,
}

impl Rotation {
    pub(crate) fn new(llmq: &LLMQParams) -> Self {
        Self {
            quorums: llmq.signing_active_quorum_count as usize,
            quarter_size: llmq.size as usize / 4,
            quarters: VecDeque::new(),
        }
    }

    /// Adds a cycle whose work block has this list and modifier. The snapshot of the cycle, and whether every quorum has
    /// all its members; `None` when there are too few masternodes for a snapshot.
    pub(crate) fn next_cycle(
        &mut self,
        list: &MasternodeList,
        modifier: &[u8; 32],
    ) -> Option<(QuorumSnapshot, bool)> {
        let enabled = list.entries().iter().filter(|entry| entry.is_valid);
        if enabled.clone().count() < self.quarter_size {
            self.push(vec![Vec::new(); self.quorums]);
            return None;
        }
        let enabled: BTreeSet<ProTxHash> = enabled.map(|entry| entry.pro_reg_tx_hash).collect();
        let used_by: Vec<BTreeSet<ProTxHash>> = (0..self.quorums)
            .map(|index| self.quarters.iter().flat_map(move |cycle| &cycle[index]))
            .map(|members| members.copied().filter(|member| enabled.contains(member)).collect())
            .collect();
        let used: BTreeSet<ProTxHash> = used_by.iter().flatten().copied().collect();
        let ranked = rank(list, modifier);
        let (late, first): (Vec<ProTxHash>, Vec<ProTxHash>) =
            ranked.iter().partition(|hash| used.contains(*hash));
        let combined = [first, late].concat();
        let (quarters, skip_list) = self.fill(&combined, used_by);
        let complete = self.quarters.len() == EARLIER_CYCLES
            && self
                .quarters
                .iter()
                .chain([&quarters])
                .flatten()
                .all(|members| members.len() == self.quarter_size);
        self.push(quarters);
        // One bit per masternode of the list, though only those that can be chosen have a rank.
        let bits = ranked.iter().map(|hash| used.contains(hash));
        let padding = std::iter::repeat_n(false, list.entries().len() - ranked.len());
        let snapshot = QuorumSnapshot {
            skip_list_mode: if skip_list.is_empty() {
                MNSkipListMode::NoSkipping
            } else {
                MNSkipListMode::SkipFirst
            },
            active_quorum_members: bits.chain(padding).collect::<BitSet>(),
            skip_list,
        };
        Some((snapshot, complete))
    }

    /// The new quarter of each quorum and the positions that were passed over. All quorums take from the same circle of
    /// masternodes, each where the one before it stopped.
    fn fill(
        &self,
        combined: &[ProTxHash],
        mut used_by: Vec<BTreeSet<ProTxHash>>,
    ) -> (Vec<Vec<ProTxHash>>, Vec<i32>) {
        let mut quarters = vec![Vec::new(); self.quorums];
        let mut skips = SkipList::default();
        let mut position = 0;
        for (quarter, used) in quarters.iter_mut().zip(&mut used_by) {
            let used_before = used.len();
            let (mut start, mut progress) = (position, false);
            while quarter.len() < self.quarter_size && used_before + quarter.len() < combined.len() {
                if used.insert(combined[position]) {
                    quarter.push(combined[position]);
                    progress = true;
                } else {
                    skips.push(position);
                }
                position = (position + 1) % combined.len();
                if position == start {
                    if !progress {
                        return (vec![Vec::new(); self.quorums], Vec::new());
                    }
                    (start, progress) = (position, false);
                }
            }
        }
        (quarters, skips.entries)
    }

    fn push(&mut self, quarters: Vec<Vec<ProTxHash>>) {
        self.quarters.push_back(quarters);
        if self.quarters.len() > EARLIER_CYCLES {
            self.quarters.pop_front();
        }
    }
}

const EARLIER_CYCLES: usize = 3;

/// Positions relative to the first one that is not zero; those up to it are absolute.
#[derive(Default)]
struct SkipList {
    entries: Vec<i32>,
    first: usize,
}

impl SkipList {
    fn push(&mut self, position: usize) {
        // An entry may be negative: positions wrap.
        let signed =
            |position: usize| i32::try_from(position).expect("lists have at most thousands of entries");
        self.entries.push(signed(position) - signed(self.first));
        if self.first == 0 {
            self.first = position;
        }
    }
}

/// Masternodes that can be chosen, best score first.
fn rank(list: &MasternodeList, modifier: &[u8; 32]) -> Vec<ProTxHash> {
    let mut scored: Vec<([u8; 32], ProTxHash)> = list
        .entries()
        .iter()
        .filter(|entry| entry.is_valid)
        .filter_map(|entry| Some((score(entry, modifier)?, entry.pro_reg_tx_hash)))
        .collect();
    scored.sort_unstable_by(|a, b| b.cmp(a));
    scored.into_iter().map(|(_, hash)| hash).collect()
}

/// Big-endian, so that bytes compare as the number does; `None` before the registration is confirmed.
fn score(entry: &Arc<MasternodeListEntry>, modifier: &[u8; 32]) -> Option<[u8; 32]> {
    let confirmed = entry.confirmed_hash?;
    let identity = [*entry.pro_reg_tx_hash.as_byte_array(), *confirmed.as_byte_array()].concat();
    let identity = sha256::hash(&identity).to_byte_array();
    let mut score = sha256::hash(&[identity, *modifier].concat()).to_byte_array();
    score.reverse();
    Some(score)
}

/// What makes the ranking of a cycle unpredictable: the ChainLock that the work block's coinbase holds, or the block's
/// hash without one.
pub(crate) fn modifier(
    llmq_type: LLMQType,
    work_height: u32,
    work_hash: BlockHash,
    coinbase: &Transaction,
) -> [u8; 32] {
    let signature = coinbase.coinbase_payload().ok().flatten().and_then(|payload| payload.chain_lock);
    let signature = signature.map(|lock| lock.best_cl_signature).filter(|signature| !signature.is_zeroed());
    let mut seed = Vec::with_capacity(128);
    llmq_type.consensus_encode(&mut seed);
    match signature {
        Some(signature) => {
            work_height.consensus_encode(&mut seed);
            signature.consensus_encode(&mut seed);
        }
        None => work_hash.consensus_encode(&mut seed),
    }
    sha256d::hash(&seed).to_byte_array()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::world::World;

    #[test]
    fn reproduces_every_snapshot_of_the_recorded_chain() {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/regtest-862"));
        if !dir.is_dir() {
            assert!(std::env::var_os("CI").is_none(), "the recorded chain {} is missing", dir.display());
            println!("SKIPPED: the recorded chain {} is not there", dir.display());
            return;
        }
        let world = World::load(dir).unwrap();
        let llmq = world.params().rotated();
        let mut rotation = Rotation::new(llmq);
        let mut reproduced = 0;
        for cycle in (llmq.dkg_interval..=world.tip()).step_by(llmq.dkg_interval as usize) {
            let work_height = cycle - 8;
            let block = world.block(work_height);
            let hash = world.block_hash(work_height).unwrap();
            let modifier = modifier(llmq.llmq_type, work_height, hash, &block.coinbase.transaction);
            let snapshot = rotation.next_cycle(&block.masternodes, &modifier).map(|(snapshot, _)| snapshot);
            if let Some(served) = world.snapshot(cycle) {
                assert_eq!(snapshot.as_ref(), Some(served), "cycle {cycle}");
                reproduced += 1;
            }
        }
        assert_eq!(reproduced, 28);
    }
}
