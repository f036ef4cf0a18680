use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dashcore::ProTxHash;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;

/// The list after one block, in the order in which a node emits it. Blocks that change nothing share one list, and
/// lists share the entries that they have in common.
#[derive(Debug, Default)]
pub(crate) struct MasternodeList(Vec<Arc<MasternodeListEntry>>);

impl MasternodeList {
    /// Keeps the order of `entries`, which is a node's own.
    pub(crate) fn from_emitted(entries: Vec<Arc<MasternodeListEntry>>) -> Self {
        Self(entries)
    }

    /// Puts the entries into the order in which a node would emit them.
    pub(crate) fn ordered(entries: &BTreeMap<ProTxHash, Arc<MasternodeListEntry>>) -> Self {
        let mut ordered = Vec::with_capacity(entries.len());
        let keys = entries.iter().map(|(hash, entry)| (trie_key(hash), entry)).collect();
        emit_trie_node(keys, 0, &mut ordered);
        Self(ordered)
    }

    pub(crate) fn entries(&self) -> &[Arc<MasternodeListEntry>] {
        &self.0
    }

    /// What a node that has `base` lacks: masternodes that left, and those that joined or changed.
    pub(crate) fn diff(&self, base: &Self) -> (Vec<ProTxHash>, Vec<MasternodeListEntry>) {
        if std::ptr::eq(self, base) {
            return (Vec::new(), Vec::new());
        }
        let by_hash = |list: &Self| -> HashMap<ProTxHash, Arc<MasternodeListEntry>> {
            list.0.iter().map(|entry| (entry.pro_reg_tx_hash, Arc::clone(entry))).collect()
        };
        let (before, after) = (by_hash(base), by_hash(self));
        let deleted = base.0.iter().map(|entry| entry.pro_reg_tx_hash);
        let deleted = deleted.filter(|hash| !after.contains_key(hash)).collect();
        let is_news = |entry: &&Arc<MasternodeListEntry>| {
            before.get(&entry.pro_reg_tx_hash).is_none_or(|old| !Arc::ptr_eq(old, entry) && old != *entry)
        };
        let changed = self.0.iter().filter(is_news).map(|entry| (**entry).clone()).collect();
        (deleted, changed)
    }
}

/// Dash Core holds the list in an immutable hash trie (`immer::map`) whose hash is the first eight bytes of the key.
fn trie_key(hash: &ProTxHash) -> u64 {
    let (first, _) = hash.as_byte_array().split_first_chunk().expect("hashes have 32 bytes");
    u64::from_le_bytes(*first)
}

/// Each level of the trie branches on five bits, the lowest first. A node emits the values that it holds itself, then
/// its child nodes, both by ascending bits; a value sinks into a child node only when another one shares its bits.
fn emit_trie_node(
    keys: Vec<(u64, &Arc<MasternodeListEntry>)>,
    shift: u32,
    emitted: &mut Vec<Arc<MasternodeListEntry>>,
) {
    if shift >= u64::BITS {
        // Equal in all 64 bits: no order is defined, and honest hashes never get here.
        emitted.extend(keys.into_iter().map(|(_, entry)| Arc::clone(entry)));
        return;
    }
    let mut branches: BTreeMap<u64, Vec<(u64, &Arc<MasternodeListEntry>)>> = BTreeMap::new();
    for (key, entry) in keys {
        branches.entry(key >> shift & 0x1f).or_default().push((key, entry));
    }
    let inline = branches.values().filter(|branch| branch.len() == 1).flatten();
    emitted.extend(inline.map(|(_, entry)| Arc::clone(entry)));
    for branch in branches.into_values().filter(|branch| branch.len() > 1) {
        emit_trie_node(branch, shift + 5, emitted);
    }
}

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
        let full = recorded("mnlistdiff_0_2227096.bin").new_masternodes;
        let entries: BTreeMap<_, _> =
            full.iter().map(|entry| (entry.pro_reg_tx_hash, Arc::new(entry.clone()))).collect();
        let base = MasternodeList::ordered(&entries);
        assert!(base.entries().iter().map(|entry| &**entry).eq(&full));
        assert_eq!(base.diff(&MasternodeList::default()), (Vec::new(), full));

        for block in [2_239_192, 2_239_480, 2_239_768, 2_240_056, 2_240_344, 2_240_504] {
            let diff = recorded(&format!("mnlistdiff_2227096_{block}.bin"));
            let mut entries = entries.clone();
            entries.retain(|hash, _| !diff.deleted_masternodes.contains(hash));
            let changed =
                diff.new_masternodes.iter().map(|entry| (entry.pro_reg_tx_hash, Arc::new(entry.clone())));
            entries.extend(changed);
            let computed = MasternodeList::ordered(&entries).diff(&base);
            assert_eq!(computed, (diff.deleted_masternodes, diff.new_masternodes), "{block}");
        }
    }
}
