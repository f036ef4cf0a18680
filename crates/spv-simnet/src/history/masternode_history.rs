use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dashcore::ProTxHash;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

/// The masternode lists of all blocks, as what each block changed. Takes memory for changes, not for blocks.
#[derive(Debug, Default)]
pub(crate) struct MasternodeHistory {
    masternodes: BTreeMap<TrieKey, Vec<Version>>,
    /// What changed at which height, ascending by height.
    changes: Vec<(u32, TrieKey)>,
}

/// What a masternode was from a height on; no entry once it has left.
#[derive(Debug)]
struct Version {
    height: u32,
    entry: Option<Arc<MasternodeListEntry>>,
}

impl MasternodeHistory {
    /// Notes that the block at `height`, not below any noted before, added or changed a masternode, or with `None`
    /// removed it.
    pub(crate) fn set(&mut self, height: u32, name: ProTxHash, entry: Option<Arc<MasternodeListEntry>>) {
        let key = TrieKey::new(name);
        let versions = self.masternodes.entry(key).or_default();
        match versions.last_mut() {
            Some(last) if last.height == height => last.entry = entry,
            _ => {
                versions.push(Version { height, entry });
                self.changes.push((height, key));
            }
        }
    }

    /// Makes `entries` the list after the block at `height`, which is not below any noted before.
    pub(crate) fn follow(&mut self, height: u32, entries: Vec<MasternodeListEntry>) {
        let mut gone: BTreeSet<ProTxHash> =
            self.at(height).into_iter().map(|entry| entry.pro_reg_tx_hash).collect();
        for entry in entries {
            gone.remove(&entry.pro_reg_tx_hash);
            let known = self.masternodes.get(&TrieKey::new(entry.pro_reg_tx_hash));
            if known.and_then(|versions| entry_at(versions, height)).is_none_or(|known| **known != entry) {
                self.set(height, entry.pro_reg_tx_hash, Some(Arc::new(entry)));
            }
        }
        for name in gone {
            self.set(height, name, None);
        }
    }

    /// The list after the block at `height`, in no order that means anything.
    pub(crate) fn at(&self, height: u32) -> Vec<Arc<MasternodeListEntry>> {
        self.masternodes.values().filter_map(|versions| entry_at(versions, height).cloned()).collect()
    }

    /// What a node that has the list of `base` lacks of that of `block`: masternodes that left, and those that joined
    /// or changed, each in the order in which a node emits them.
    pub(crate) fn diff(&self, base: u32, block: u32) -> (Vec<ProTxHash>, Vec<MasternodeListEntry>) {
        let first = self.changes.partition_point(|(height, _)| *height <= base);
        let end = self.changes.partition_point(|(height, _)| *height <= block);
        let touched: BTreeSet<TrieKey> = self.changes[first..end].iter().map(|(_, key)| *key).collect();
        let (mut deleted, mut changed) = (Vec::new(), Vec::new());
        for key in touched {
            let versions = &self.masternodes[&key];
            match (entry_at(versions, base), entry_at(versions, block)) {
                (Some(_), None) => deleted.push((self.place(key, base), key.name)),
                (before, Some(after)) if before != Some(after) => {
                    changed.push((self.place(key, block), (**after).clone()));
                }
                _ => {}
            }
        }
        deleted.sort_unstable_by_key(|(place, _)| *place);
        changed.sort_by_key(|(place, _)| *place);
        (
            deleted.into_iter().map(|(_, name)| name).collect(),
            changed.into_iter().map(|(_, entry)| entry).collect(),
        )
    }

    /// Every change with its height, ascending by height.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (u32, ProTxHash, Option<&MasternodeListEntry>)> {
        self.changes.iter().map(|(height, key)| {
            (*height, key.name, entry_at(&self.masternodes[key], *height).map(|entry| &**entry))
        })
    }

    /// Where a node emits a masternode of the list after the block at `height`.
    ///
    /// Dash Core holds the list in an immutable hash trie (`immer::map`). Each level branches on five bits. A node of the
    /// trie emits the values that it holds itself, then its child nodes, both by ascending bits; a value sinks into a
    /// child node only when another one shares its bits.
    fn place(&self, key: TrieKey, height: u32) -> u128 {
        let is_there = |(_, versions): &(&TrieKey, &Vec<Version>)| entry_at(versions, height).is_some();
        let before = self.masternodes.range(..key).rev().find(is_there);
        let after = self.masternodes.range(key..).skip(1).find(is_there);
        // The ones that share most bits are its neighbours.
        let depth = [before, after]
            .into_iter()
            .flatten()
            .map(|(other, _)| key.shared_levels(other))
            .max()
            .unwrap_or(0);
        key.emission_order(depth)
    }
}

fn entry_at(versions: &[Version], height: u32) -> Option<&Arc<MasternodeListEntry>> {
    let known = versions.partition_point(|version| version.height <= height);
    versions[..known].last()?.entry.as_ref()
}

/// A masternode, ordered as its way through the trie: by the first eight bytes of its hash, taken five bits at a time,
/// the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TrieKey {
    path: u64,
    name: ProTxHash,
}

impl TrieKey {
    fn new(name: ProTxHash) -> Self {
        let (first, _) = name.as_byte_array().split_first_chunk().expect("hashes have 32 bytes");
        let hash = u64::from_le_bytes(*first);
        let path = (0..LEVELS).fold(0, |path, level| {
            // The last level has the four bits that are left.
            let bits = if level + 1 == LEVELS { u64::BITS % LEVEL_BITS } else { LEVEL_BITS };
            path << bits | hash >> (level * LEVEL_BITS) & ((1 << bits) - 1)
        });
        Self { path, name }
    }

    /// Levels on which both take the same branch, from the root.
    fn shared_levels(self, other: &Self) -> u32 {
        ((self.path ^ other.path).leading_zeros() / LEVEL_BITS).min(LEVELS - 1)
    }

    /// Ascends as emission does, for a value that has sunk to `depth`: on each level its branch, and before it whether
    /// the way goes on to a child node.
    fn emission_order(self, depth: u32) -> u128 {
        (0..=depth).fold(0_u128, |order, level| {
            let branch = self.path << (level * LEVEL_BITS) >> (u64::BITS - LEVEL_BITS);
            let sinks = u128::from(level < depth) << LEVEL_BITS;
            order << (LEVEL_BITS + 1) | sinks | u128::from(branch)
        }) << ((LEVELS - 1 - depth) * (LEVEL_BITS + 1))
    }
}

const LEVEL_BITS: u32 = 5;
const LEVELS: u32 = u64::BITS.div_ceil(LEVEL_BITS);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use dashcore::consensus::deserialize;
    use dashcore::network::message_sml::MnListDiff;

    use super::*;

    const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/mainnet-2240504");

    fn recorded(name: &str) -> MnListDiff {
        deserialize(&fs::read(Path::new(DATA).join(name)).unwrap()).unwrap()
    }

    #[test]
    fn order_is_that_of_mainnet_in_full_lists_and_in_diffs() {
        if !Path::new(DATA).is_dir() {
            assert!(std::env::var_os("CI").is_none(), "the recorded answers {DATA} are missing");
            println!("SKIPPED: the recorded answers {DATA} are not there");
            return;
        }
        let base = recorded("mnlistdiff_0_2227096.bin").new_masternodes;
        for block in [2_239_192, 2_239_480, 2_239_768, 2_240_056, 2_240_344, 2_240_504] {
            let mut history = MasternodeHistory::default();
            history.follow(1, base.clone());
            assert_eq!(history.diff(0, 1), (Vec::new(), base.clone()));
            let diff = recorded(&format!("mnlistdiff_2227096_{block}.bin"));
            for name in &diff.deleted_masternodes {
                history.set(2, *name, None);
            }
            for entry in &diff.new_masternodes {
                history.set(2, entry.pro_reg_tx_hash, Some(Arc::new(entry.clone())));
            }
            assert_eq!(history.diff(1, 2), (diff.deleted_masternodes, diff.new_masternodes), "{block}");
        }
    }

    #[test]
    fn what_changes_back_is_no_difference() {
        let Some(entry) = Path::new(DATA)
            .is_dir()
            .then(|| recorded("mnlistdiff_0_2227096.bin").new_masternodes.swap_remove(0))
        else {
            return;
        };
        let banned = MasternodeListEntry { is_valid: !entry.is_valid, ..entry.clone() };
        let mut history = MasternodeHistory::default();
        history.follow(1, vec![entry.clone()]);
        history.follow(5, vec![banned.clone()]);
        history.follow(7, vec![entry.clone()]);
        history.follow(9, Vec::new());
        let name = entry.pro_reg_tx_hash;
        assert_eq!(history.diff(1, 6), (vec![], vec![banned]));
        assert_eq!(history.diff(1, 8), (vec![], vec![]));
        assert_eq!(history.diff(4, 9), (vec![name], vec![]));
        assert_eq!(history.diff(0, 4), (vec![], vec![entry]));
        assert_eq!(history.diff(0, 9), (vec![], vec![]));
        assert_eq!(history.changes().map(|(height, _, _)| height).collect::<Vec<_>>(), [1, 5, 7, 9]);
    }
}
