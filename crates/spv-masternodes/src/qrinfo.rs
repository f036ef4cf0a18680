use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dashcore::BlockHash;
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;

/// Which of a `qrinfo`'s diffs this is. H is the base height of the requested cycle, C the cycle length; the diffs
/// lead to *work blocks*, 8 blocks below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiffRole {
    /// To the serving node's tip, whatever was asked.
    Tip,
    /// To the work block of H.
    H,
    /// To the work block of H-C times this number, 1 to 4.
    HMinus(u8),
    /// The one at this index of `mn_list_diff_list`: to the work block of an older cycle.
    Extra(usize),
}

impl fmt::Display for DiffRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tip => f.write_str("tip"),
            Self::H => f.write_str("H"),
            Self::HMinus(cycles) => write!(f, "H-{cycles}C"),
            Self::Extra(index) => write!(f, "extra {index}"),
        }
    }
}

/// A diff of a `qrinfo` with its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoledDiff<'a> {
    /// What it is for.
    pub role: DiffRole,
    /// The diff.
    pub diff: &'a MnListDiff,
}

/// Why the diffs of a `qrinfo` cannot be put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A diff's base is neither known nor given.
    #[error("diff {role} is based on block {base_block_hash}, which is neither known nor in the message")]
    UnknownBase {
        /// The diff.
        role: DiffRole,
        /// Its base.
        base_block_hash: BlockHash,
    },
    /// Every base that is not known is given, but only by diffs that are based on each other in a circle.
    #[error("diff {role} is based on block {base_block_hash}, whose own bases form a circle")]
    CircularBase {
        /// The first diff in the circle, or that depends on it.
        role: DiffRole,
        /// Its base.
        base_block_hash: BlockHash,
    },
    /// Two cycles, which are at different heights, name the same work block.
    #[error("diffs {first} and {second} are both to block {block_hash}")]
    SameBlock {
        /// The diff that is first in order.
        first: DiffRole,
        /// The other diff.
        second: DiffRole,
        /// Their block.
        block_hash: BlockHash,
    },
}

/// All diffs of `info` in an order in which each one's base is known or is the block of an earlier one.
///
/// Nodes construct the diffs either independently of each other or each based on the one before; both resolve. The
/// order is that of the construction: extra ones, H-4C to H-C, H, tip, unless bases require another.
///
/// `known` says of a block whether its list is there; it should say so of the genesis hash and of the zero hash.
///
/// # Errors
/// When a base is neither known nor given, when bases are circular, or when two cycles share a work block.
pub fn resolve(
    info: &QRInfo,
    known: impl Fn(&BlockHash) -> bool,
) -> Result<Vec<RoledDiff<'_>>, ResolveError> {
    let diffs = in_construction_order(info);
    let roles_by_block = roles_by_block(&diffs)?;

    let mut waiting: BTreeMap<BlockHash, Vec<usize>> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for (index, RoledDiff { diff, .. }) in diffs.iter().enumerate() {
        if known(&diff.base_block_hash) {
            ready.insert(index);
        } else {
            waiting.entry(diff.base_block_hash).or_default().push(index);
        }
    }
    let mut resolved = Vec::with_capacity(diffs.len());
    while let Some(index) = ready.pop_first() {
        resolved.push(diffs[index]);
        ready.extend(waiting.remove(&diffs[index].diff.block_hash).into_iter().flatten());
    }
    let stuck: BTreeSet<_> = waiting.into_values().flatten().collect();
    let base_of = |index: usize| (diffs[index].role, diffs[index].diff.base_block_hash);
    let mut bases = stuck.into_iter().map(base_of).peekable();
    let Some(&(role, base_block_hash)) = bases.peek() else {
        return Ok(resolved);
    };
    Err(match bases.find(|(_, base)| !roles_by_block.contains_key(base)) {
        Some((role, base_block_hash)) => ResolveError::UnknownBase { role, base_block_hash },
        None => ResolveError::CircularBase { role, base_block_hash },
    })
}

fn in_construction_order(info: &QRInfo) -> Vec<RoledDiff<'_>> {
    let extra = info.mn_list_diff_list.iter().enumerate().map(|(index, diff)| (DiffRole::Extra(index), diff));
    let minus_4c = info
        .quorum_snapshot_and_mn_list_diff_at_h_minus_4c
        .iter()
        .map(|(_, diff)| (DiffRole::HMinus(4), diff));
    let always = [
        (DiffRole::HMinus(3), &info.mn_list_diff_at_h_minus_3c),
        (DiffRole::HMinus(2), &info.mn_list_diff_at_h_minus_2c),
        (DiffRole::HMinus(1), &info.mn_list_diff_at_h_minus_c),
        (DiffRole::H, &info.mn_list_diff_h),
        (DiffRole::Tip, &info.mn_list_diff_tip),
    ];
    extra.chain(minus_4c).chain(always).map(|(role, diff)| RoledDiff { role, diff }).collect()
}

/// The tip may happen to be a work block; work blocks of different cycles are different.
fn roles_by_block(diffs: &[RoledDiff<'_>]) -> Result<BTreeMap<BlockHash, DiffRole>, ResolveError> {
    let mut roles = BTreeMap::new();
    for &RoledDiff { role, diff } in diffs {
        let block_hash = diff.block_hash;
        match roles.get(&block_hash) {
            None => {
                roles.insert(block_hash, role);
            }
            Some(&first) if role != DiffRole::Tip => {
                return Err(ResolveError::SameBlock { first, second: role, block_hash });
            }
            Some(_) => {}
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use dashcore::consensus::deserialize;
    use dashcore::network::message_qrinfo::QuorumSnapshot;

    use super::DiffRole::{Extra, H, HMinus, Tip};
    use super::*;

    const KNOWN: u8 = 100;

    fn block(number: u8) -> BlockHash {
        BlockHash::from_byte_array([number; 32])
    }

    fn diff((base, to): (u8, u8)) -> MnListDiff {
        let mut bytes = vec![0; 2 + 64 + 4 + 1 + 1 + 10 + 5];
        bytes[0] = 1;
        bytes[2..34].fill(base);
        bytes[34..66].fill(to);
        deserialize(&bytes).unwrap()
    }

    /// Diffs as (base, block): tip, H, H-C, H-2C, H-3C, H-4C, extra ones.
    fn info(fixed: [(u8, u8); 6], extra: &[(u8, u8)]) -> QRInfo {
        let snapshot: QuorumSnapshot = deserialize(&[0; 6]).unwrap();
        let [tip, h, minus_c, minus_2c, minus_3c, minus_4c] = fixed.map(diff);
        QRInfo {
            quorum_snapshot_at_h_minus_c: snapshot.clone(),
            quorum_snapshot_at_h_minus_2c: snapshot.clone(),
            quorum_snapshot_at_h_minus_3c: snapshot.clone(),
            mn_list_diff_tip: tip,
            mn_list_diff_h: h,
            mn_list_diff_at_h_minus_c: minus_c,
            mn_list_diff_at_h_minus_2c: minus_2c,
            mn_list_diff_at_h_minus_3c: minus_3c,
            quorum_snapshot_and_mn_list_diff_at_h_minus_4c: Some((snapshot.clone(), minus_4c)),
            last_commitment_per_index: Vec::new(),
            quorum_snapshot_list: vec![snapshot; extra.len()],
            mn_list_diff_list: extra.iter().copied().map(diff).collect(),
        }
    }

    fn order(info: &QRInfo) -> Result<Vec<DiffRole>, ResolveError> {
        let resolved = resolve(info, |hash| *hash == block(KNOWN))?;
        Ok(resolved.into_iter().map(|diff| diff.role).collect())
    }

    #[test]
    fn chained_diffs_come_in_the_order_of_their_construction() {
        let info = info([(8, 9), (7, 8), (6, 7), (5, 6), (4, 5), (3, 4)], &[(KNOWN, 1), (1, 2), (2, 3)]);
        let expected = vec![Extra(0), Extra(1), Extra(2), HMinus(4), HMinus(3), HMinus(2), HMinus(1), H, Tip];
        assert_eq!(order(&info), Ok(expected));
    }

    #[test]
    fn independent_diffs_need_no_other() {
        let k = KNOWN;
        let info = info([(k, 9), (k, 8), (k, 7), (k, 6), (k, 5), (k, 4)], &[(k, 3)]);
        let expected = vec![Extra(0), HMinus(4), HMinus(3), HMinus(2), HMinus(1), H, Tip];
        assert_eq!(order(&info), Ok(expected));
    }

    #[test]
    fn bases_decide_over_the_usual_order() {
        let info = info([(KNOWN, 9), (9, 8), (6, 7), (8, 6), (7, 5), (5, 4)], &[]);
        assert_eq!(order(&info), Ok(vec![Tip, H, HMinus(2), HMinus(1), HMinus(3), HMinus(4)]));
    }

    #[test]
    fn the_tip_may_be_the_work_block() {
        let info = info([(8, 8), (7, 8), (6, 7), (5, 6), (4, 5), (KNOWN, 4)], &[]);
        assert_eq!(order(&info).unwrap().last(), Some(&Tip));
    }

    #[test]
    fn a_base_that_nobody_has_is_named() {
        let info = info([(8, 9), (7, 8), (6, 7), (50, 6), (4, 5), (KNOWN, 4)], &[]);
        let (role, base_block_hash) = (HMinus(2), block(50));
        assert_eq!(order(&info), Err(ResolveError::UnknownBase { role, base_block_hash }));
    }

    #[test]
    fn circles_are_refused() {
        for (minus_2c, minus_c) in [((7, 6), (6, 7)), ((6, 6), (6, 7))] {
            let info = info([(8, 9), (7, 8), minus_c, minus_2c, (4, 5), (KNOWN, 4)], &[]);
            let (role, base_block_hash) = (HMinus(2), block(minus_2c.0));
            assert_eq!(order(&info), Err(ResolveError::CircularBase { role, base_block_hash }));
        }
    }

    #[test]
    fn two_cycles_cannot_share_a_work_block() {
        let info = info([(8, 9), (7, 8), (6, 7), (5, 6), (4, 5), (3, 4)], &[(KNOWN, 3), (3, 7)]);
        let (first, second, block_hash) = (Extra(1), HMinus(1), block(7));
        assert_eq!(order(&info), Err(ResolveError::SameBlock { first, second, block_hash }));
    }
}
