use std::sync::Arc;

use dashcore::network::message_qrinfo::{MNSkipListMode, QuorumSnapshot};
use dashcore::sml::llmq_type::LLMQParams;

use super::quarter::{Quarter, quarter_size, quorum_count};
use super::ranking::ranked;
use super::used::Used;
use crate::masternode_list::{HashedEntry, MasternodeList};

/// The quarter that joins each quorum in a cycle, and the snapshot from which later cycles find it again.
///
/// `old` are the quarters of the earlier cycles, latest first. `None` where there are too few masternodes: the
/// quorums then get no new members, and the cycle no snapshot.
pub(super) fn new_quarter(
    llmq: &LLMQParams,
    list: &MasternodeList,
    modifier: &[u8; 32],
    old: &[Quarter],
    keep_removed: bool,
) -> Option<(Quarter, QuorumSnapshot)> {
    if list.valid_count() < quarter_size(llmq) {
        return None;
    }
    let (used, used_by_index) = used_masternodes(llmq, list, old, keep_removed);
    let unused = list.shared().filter(|masternode| !used.contains(&masternode.pro_tx_hash()));
    let mut combined = ranked(unused, modifier);
    combined.extend(ranked(used.iter(), modifier));

    let (quarter, skip_list) = deal(llmq, &combined, used_by_index)?;
    let mut bits = vec![false; list.len()];
    for (bit, masternode) in bits.iter_mut().zip(ranked(list.shared(), modifier)) {
        *bit = used.contains(&masternode.pro_tx_hash());
    }
    let snapshot = QuorumSnapshot {
        skip_list_mode: if skip_list.is_empty() {
            MNSkipListMode::NoSkipping
        } else {
            MNSkipListMode::SkipFirst
        },
        active_quorum_members: bits.into_iter().collect(),
        skip_list,
    };
    Some((quarter, snapshot))
}

/// Who is a member already: of any quorum, and of each.
fn used_masternodes(
    llmq: &LLMQParams,
    list: &MasternodeList,
    old: &[Quarter],
    keep_removed: bool,
) -> (Used, Vec<Used>) {
    let mut used = Used::default();
    let mut used_by_index = vec![Used::default(); quorum_count(llmq)];
    for (index, used_here) in used_by_index.iter_mut().enumerate() {
        for member in old.iter().flat_map(|quarter| quarter.of(index)) {
            let counts = list.get(&member.pro_tx_hash()).map_or(keep_removed, |entry| entry.is_valid);
            if counts {
                used.add(member);
                used_here.add(member);
            }
        }
    }
    (used, used_by_index)
}

/// Deals the masternodes out, quorum by quorum, passing over those that the quorum has already. Gives the positions
/// passed over as well, all but the first that is not 0 relative to that one.
fn deal(
    llmq: &LLMQParams,
    combined: &[Arc<HashedEntry>],
    used_by_index: Vec<Used>,
) -> Option<(Quarter, Vec<i32>)> {
    let mut quarter = Quarter::empty(llmq);
    let mut skip_list = Vec::new();
    let mut first_skip = 0;
    let mut position = 0;
    for (members, mut used) in quarter.iter_mut().zip(used_by_index) {
        let used_before = used.len();
        let start = position;
        let mut progress = false;
        while members.len() < quarter_size(llmq) && used_before + members.len() < combined.len() {
            let masternode = &combined[position];
            if used.add(masternode) {
                members.push(Arc::clone(masternode));
                progress = true;
            } else {
                let skip = i32::try_from(position).expect("no list has 2^31 masternodes");
                skip_list.push(skip - first_skip);
                if first_skip == 0 {
                    first_skip = skip;
                }
            }
            position = (position + 1) % combined.len();
            if position == start {
                if !progress {
                    return None;
                }
                progress = false;
            }
        }
    }
    Some((quarter, skip_list))
}
