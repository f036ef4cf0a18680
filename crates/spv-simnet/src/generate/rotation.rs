use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dashcore::network::message_qrinfo::{MNSkipListMode, QuorumSnapshot};
use dashcore::sml::llmq_type::LLMQParams;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BitSet, ProTxHash};

use super::members::rank;

/// Masternodes as the list had them from which they were chosen.
type Members = Vec<Arc<MasternodeListEntry>>;

/// Chooses the members of rotated quorums, a quarter of each per cycle (DIP24; Dash Core
/// `BuildNewQuorumQuarterMembers`, llmq/utils.cpp).
#[derive(Debug)]
pub(crate) struct Rotation {
    quorums: usize,
    quarter_size: usize,
    /// The quarters of the last three cycles, oldest first; in each cycle one per quorum.
    quarters: VecDeque<Vec<Members>>,
}

/// What dealing out the masternodes of a list came to.
struct Dealt {
    quarters: Vec<Members>,
    /// The masternodes in the order in which they were dealt, as the list has them now.
    circle: Members,
    snapshot: QuorumSnapshot,
    /// Positions in the circle that were passed over.
    skipped: Vec<usize>,
}

/// What follows from a cycle's list.
#[derive(Debug)]
pub(crate) struct NewCycle {
    pub(crate) snapshot: QuorumSnapshot,
    /// All members of each quorum of the cycle, in order; `None` in the first cycles, whose quorums are not complete.
    pub(crate) members: Option<Vec<Members>>,
}

impl Rotation {
    pub(crate) fn new(llmq: &LLMQParams) -> Self {
        Self {
            quorums: llmq.signing_active_quorum_count as usize,
            quarter_size: llmq.size as usize / 4,
            quarters: VecDeque::new(),
        }
    }

    /// Adds a cycle whose work block has this list and modifier; `None` when there are too few masternodes for a snapshot.
    pub(crate) fn next_cycle(
        &mut self,
        list: &[Arc<MasternodeListEntry>],
        modifier: &[u8; 32],
    ) -> Option<NewCycle> {
        let enabled = list.iter().filter(|entry| entry.is_valid);
        let enabled: BTreeSet<ProTxHash> = enabled.map(|entry| entry.pro_reg_tx_hash).collect();
        let dealt =
            (enabled.len() >= self.quarter_size).then(|| self.deal(list, &enabled, modifier)).flatten();
        let Some(Dealt { quarters, circle, snapshot, skipped }) = dealt else {
            self.push(vec![Members::new(); self.quorums]);
            return None;
        };
        let all = || self.quarters.iter().chain([&quarters]);
        let complete = self.quarters.len() == EARLIER_CYCLES
            && all().flatten().all(|members| members.len() == self.quarter_size);
        let members = complete.then(|| {
            let of = |index: usize| all().flat_map(move |cycle| &cycle[index]).cloned().collect();
            (0..self.quorums).map(of).collect()
        });
        self.push(self.remembered(&circle, &skipped));
        Some(NewCycle { snapshot, members })
    }

    /// The quarters as later cycles will read them from the snapshot: with the entries of this list, and with hardly any
    /// masternodes, the same ones come round again.
    fn remembered(&self, circle: &[Arc<MasternodeListEntry>], skipped: &[usize]) -> Vec<Members> {
        let mut skipped = skipped.iter().peekable();
        let mut positions = (0..circle.len()).cycle();
        let mut next = || positions.find(|position| skipped.next_if_eq(&position).is_none());
        (0..self.quorums)
            .map(|_| (0..self.quarter_size).map_while(|_| next().map(|at| Arc::clone(&circle[at]))).collect())
            .collect()
    }

    fn deal(
        &self,
        list: &[Arc<MasternodeListEntry>],
        enabled: &BTreeSet<ProTxHash>,
        modifier: &[u8; 32],
    ) -> Option<Dealt> {
        // In the order in which Dash Core visits them; of a masternode that is met again, what it was at first counts,
        // with the operator key that it had then.
        let mut used: BTreeMap<ProTxHash, &Arc<MasternodeListEntry>> = BTreeMap::new();
        let mut used_by = vec![BTreeSet::new(); self.quorums];
        for (index, used_here) in used_by.iter_mut().enumerate() {
            let members = self.quarters.iter().rev().flat_map(|cycle| &cycle[index]);
            for member in members.filter(|member| enabled.contains(&member.pro_reg_tx_hash)) {
                used.entry(member.pro_reg_tx_hash).or_insert(member);
                used_here.insert(member.pro_reg_tx_hash);
            }
        }
        let is_used = |entry: &Arc<MasternodeListEntry>| used.contains_key(&entry.pro_reg_tx_hash);
        let ranked = rank(list.iter(), modifier);
        let (late, first): (Members, Members) = ranked.iter().cloned().partition(is_used);
        let circle = [first.clone(), late].concat();
        let late_as_they_were = rank(used.values().copied(), modifier);
        let (quarters, skipped) = self.fill(&[first, late_as_they_were].concat(), used_by)?;
        let skip_list = skip_list(&skipped);
        // One bit per masternode of the list, though only those that can be chosen have a rank.
        let padding = std::iter::repeat_n(false, list.len() - ranked.len());
        let snapshot = QuorumSnapshot {
            skip_list_mode: if skip_list.is_empty() {
                MNSkipListMode::NoSkipping
            } else {
                MNSkipListMode::SkipFirst
            },
            active_quorum_members: ranked.iter().map(is_used).chain(padding).collect::<BitSet>(),
            skip_list,
        };
        Some(Dealt { quarters, circle, snapshot, skipped })
    }

    /// The new quarter of each quorum and the positions that were passed over; `None` when a whole round finds nobody.
    /// All quorums take from the same circle of masternodes, each where the one before it stopped.
    fn fill(
        &self,
        circle: &[Arc<MasternodeListEntry>],
        used_by: Vec<BTreeSet<ProTxHash>>,
    ) -> Option<(Vec<Members>, Vec<usize>)> {
        let mut quarters = vec![Members::new(); self.quorums];
        let mut skipped = Vec::new();
        let mut position = 0;
        for (quarter, mut used) in quarters.iter_mut().zip(used_by) {
            let used_before = used.len();
            let (start, mut progress) = (position, false);
            while quarter.len() < self.quarter_size && used_before + quarter.len() < circle.len() {
                if used.insert(circle[position].pro_reg_tx_hash) {
                    quarter.push(Arc::clone(&circle[position]));
                    progress = true;
                } else {
                    skipped.push(position);
                }
                position = (position + 1) % circle.len();
                if position == start && !std::mem::take(&mut progress) {
                    return None;
                }
            }
        }
        Some((quarters, skipped))
    }

    fn push(&mut self, quarters: Vec<Members>) {
        self.quarters.push_back(quarters);
        if self.quarters.len() > EARLIER_CYCLES {
            self.quarters.pop_front();
        }
    }
}

const EARLIER_CYCLES: usize = 3;

/// Positions relative to the first one that is not zero; those up to it are absolute.
fn skip_list(positions: &[usize]) -> Vec<i32> {
    let signed = |position: usize| i32::try_from(position).expect("lists have at most thousands of entries");
    let mut first = 0;
    let relative = |&position: &usize| {
        // An entry may be negative: positions wrap.
        let entry = signed(position) - signed(first);
        if first == 0 {
            first = position;
        }
        entry
    };
    positions.iter().map(relative).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::generate::members::WorkBlock;
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
            let height = cycle - WorkBlock::DEPTH;
            let payload = world.coinbases().get(height).unwrap().transaction.coinbase_payload().unwrap();
            let chain_lock = payload.and_then(|payload| payload.chain_lock);
            let chain_lock = chain_lock.map(|lock| lock.best_cl_signature).unwrap_or_default();
            let work_block = WorkBlock { height, hash: world.hash_at(height), chain_lock };
            let list = world.masternodes().at(height);
            let snapshot = rotation.next_cycle(&list, &work_block.modifier(llmq.llmq_type));
            let snapshot = snapshot.map(|cycle| cycle.snapshot);
            if let Some(served) = world.snapshot(cycle) {
                assert_eq!(snapshot.as_ref(), Some(served), "cycle {cycle}");
                reproduced += 1;
            }
        }
        assert_eq!(reproduced, 28);
    }
}
