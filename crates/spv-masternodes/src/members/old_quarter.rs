use std::sync::Arc;

use dashcore::network::message_qrinfo::{MNSkipListMode, QuorumSnapshot};
use dashcore::sml::llmq_type::LLMQParams;

use super::error::MembersError;
use super::quarter::{Quarter, quarter_size};
use super::ranking::ranked;
use crate::masternode_list::{HashedEntry, MasternodeList};

/// The quarter that joined each quorum in an earlier cycle, from that cycle's work-block list and snapshot.
///
/// # Errors
/// When the snapshot cannot be one of this list.
pub(super) fn old_quarter(
    llmq: &LLMQParams,
    cycle_base: u32,
    list: &MasternodeList,
    modifier: &[u8; 32],
    snapshot: &QuorumSnapshot,
) -> Result<Quarter, MembersError> {
    let ranked = ranked(list.shared(), modifier);
    check_form(cycle_base, list.len(), ranked.len(), snapshot)?;
    let mut combined = Vec::with_capacity(ranked.len());
    let mut used = Vec::new();
    for (index, masternode) in ranked.into_iter().enumerate() {
        let to = if snapshot.active_quorum_members.get(index) { &mut used } else { &mut combined };
        to.push(masternode);
    }
    combined.append(&mut used);
    Ok(walk(llmq, &combined, snapshot))
}

/// A node's own snapshots have exactly this form, so that another one is not a node's.
fn check_form(
    cycle_base: u32,
    expected: usize,
    ranked: usize,
    snapshot: &QuorumSnapshot,
) -> Result<(), MembersError> {
    let bits = &snapshot.active_quorum_members;
    if bits.len() != expected {
        return Err(MembersError::SnapshotBitCount { cycle_base, expected, got: bits.len() });
    }
    if let Some(index) = (ranked..bits.len()).find(|&index| bits.get(index)) {
        return Err(MembersError::SnapshotBitOutOfRange { cycle_base, index, ranked });
    }
    let skips = snapshot.skip_list.len();
    match snapshot.skip_list_mode {
        MNSkipListMode::NoSkipping if skips > 0 => Err(MembersError::SnapshotMode { cycle_base, skips }),
        MNSkipListMode::SkipFirst if skips == 0 => Err(MembersError::SnapshotMode { cycle_base, skips }),
        _ => Ok(()),
    }
}

/// Deals the masternodes out, quorum by quorum, passing over the positions that are to be skipped. Ends, as each step
/// either fills a place or uses up a skip.
fn walk(llmq: &LLMQParams, combined: &[Arc<HashedEntry>], snapshot: &QuorumSnapshot) -> Quarter {
    let mut quarter = Quarter::empty(llmq);
    let skips = match snapshot.skip_list_mode {
        MNSkipListMode::NoSkipping | MNSkipListMode::SkipFirst => absolute_positions(&snapshot.skip_list),
        MNSkipListMode::SkipExcept | MNSkipListMode::SkipAll => return quarter,
    };
    if combined.is_empty() {
        return quarter;
    }
    let mut skips = skips.peekable();
    let mut position = 0;
    for members in quarter.iter_mut() {
        while members.len() < quarter_size(llmq) {
            if skips.next_if(|&skip| usize::try_from(skip) == Ok(position)).is_none() {
                members.push(Arc::clone(&combined[position]));
            }
            position = (position + 1) % combined.len();
        }
    }
    quarter
}

/// The first position that is not 0 is what all later ones count from; a 0 before it stands for itself.
fn absolute_positions(skip_list: &[i32]) -> impl Iterator<Item = i64> {
    skip_list.iter().scan(0_i64, |first, &skip| {
        let skip = i64::from(skip);
        if *first == 0 {
            *first = skip;
            return Some(skip);
        }
        Some(*first + skip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_count_from_the_first_that_is_not_zero() {
        let decoded = |skips: &[i32]| absolute_positions(skips).collect::<Vec<_>>();
        assert_eq!(decoded(&[7, 1, 5, -3]), [7, 8, 12, 4]);
        assert_eq!(decoded(&[0, 0, 4, 1]), [0, 0, 4, 5]);
        assert_eq!(decoded(&[i32::MAX, i32::MAX]), [i64::from(i32::MAX), 2 * i64::from(i32::MAX)]);
        assert_eq!(decoded(&[]), []);
    }
}
