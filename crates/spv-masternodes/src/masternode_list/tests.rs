use std::collections::BTreeMap;

use dashcore::bls_sig_utils::BLSPublicKey;
use dashcore::hash_types::PubkeyHash;
use dashcore::sml::address::ServiceAddress;
use dashcore::sml::masternode_list_entry::EntryMasternodeType;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

/// Every third one is banned, every fifth one an EvoNode.
fn masternode(id: u16, port: u16) -> Arc<HashedEntry> {
    let mut pro_reg_tx_hash = [0; 32];
    pro_reg_tx_hash[..2].copy_from_slice(&id.to_be_bytes());
    let entry = MasternodeListEntry {
        version: 2,
        pro_reg_tx_hash: ProTxHash::from_byte_array(pro_reg_tx_hash),
        confirmed_hash: None,
        service_address: ServiceAddress::Socket(([127, 0, 0, 1], port).into()),
        operator_public_key: BLSPublicKey::default(),
        key_id_voting: PubkeyHash::default(),
        is_valid: !id.is_multiple_of(3),
        mn_type: if id.is_multiple_of(5) {
            EntryMasternodeType::HighPerformance {
                platform_http_port: Some(443),
                platform_node_id: PubkeyHash::default(),
            }
        } else {
            EntryMasternodeType::Regular
        },
    };
    Arc::new(HashedEntry::new(entry, &mut Vec::new()))
}

fn name(id: u16) -> ProTxHash {
    masternode(id, 0).pro_tx_hash()
}

/// A list from nothing, by masternode and port, with every hash computed at once.
fn assert_is(list: &MasternodeList, expected: &BTreeMap<u16, u16>) {
    let expected: Vec<_> = expected.iter().map(|(id, port)| masternode(*id, *port)).collect();
    assert!(list.shared().eq(&expected));
    assert!(list.iter().rev().eq(expected.iter().rev().map(|masternode| &masternode.entry)));
    assert_eq!(list.iter().len(), expected.len());
    let leaves: Vec<_> = expected.iter().map(|masternode| masternode.entry.entry_hash()).collect();
    assert_eq!(list.merkle_root().to_byte_array(), merkle_root(leaves).unwrap());
    let entries = || expected.iter().map(|masternode| &masternode.entry);
    assert_eq!(list.valid_count(), entries().filter(|entry| entry.is_valid).count());
    assert_eq!(list.evo_count(), entries().filter(|entry| entry.is_evo()).count());
    assert!(entries().all(|entry| list.get(&entry.pro_reg_tx_hash) == Some(entry)));
    assert_eq!(list.get(&ProTxHash::from_byte_array([0xff; 32])), None);
    assert_eq!(list.get(&ProTxHash::from_byte_array([0; 32])).is_some(), list.get(&name(0)).is_some());
}

/// Changes by masternode: the new port, or that it leaves.
fn changes() -> impl Strategy<Value = BTreeMap<u16, Option<u16>>> {
    btree_map(0..400_u16, prop::option::weighted(0.6, 2..9_u16), 0..40)
}

proptest! {
    #[test]
    fn whatever_way_led_to_a_list_its_root_is_that_of_all_its_entries(
        first in btree_map(0..400_u16, Just(1_u16), 0..300), steps in vec(changes(), 1..8),
    ) {
        let all: Vec<_> = first.iter().map(|(id, port)| masternode(*id, *port)).collect();
        let mut list = MasternodeList::empty().apply(&[], &all).unwrap();
        let mut expected = first;
        assert_is(&list, &expected);
        for step in steps {
            let gone = |id: &&u16| step[id].is_none() && expected.contains_key(id);
            let deleted: Vec<_> = step.keys().filter(gone).map(|id| name(*id)).collect();
            let changed: Vec<_> =
                step.iter().filter_map(|(id, port)| Some(masternode(*id, (*port)?))).collect();
            list = list.apply(&deleted, &changed).unwrap();
            for (id, port) in step {
                match port {
                    Some(port) => expected.insert(id, port),
                    None => expected.remove(&id),
                };
            }
            assert_is(&list, &expected);
        }
    }

    #[test]
    fn who_is_not_there_cannot_leave(present in btree_map(0..200_u16, Just(1_u16), 0..150), id in 0..200_u16) {
        prop_assume!(!present.contains_key(&id));
        let all: Vec<_> = present.iter().map(|(id, port)| masternode(*id, *port)).collect();
        let list = MasternodeList::empty().apply(&[], &all).unwrap();
        let mut deleted = vec![name(id)];
        deleted.extend(present.keys().next_back().map(|last| name(*last)));
        deleted.sort();
        prop_assert_eq!(list.apply(&deleted, &[]), Err(name(id)));
    }
}

fn shared_chunks(a: &MasternodeList, b: &MasternodeList) -> usize {
    b.chunks.iter().filter(|chunk| a.chunks.iter().any(|other| Arc::ptr_eq(other, chunk))).count()
}

#[test]
fn lists_share_what_they_have_in_common() {
    let all: Vec<_> = (0..3_200).map(|id| masternode(id, 1)).collect();
    let list = MasternodeList::empty().apply(&[], &all).unwrap();
    assert_eq!(list.chunks.len(), 50);
    assert!(Arc::ptr_eq(&list.chunks, &list.clone().chunks));
    assert!(Arc::ptr_eq(&list.chunks, &list.apply(&[], &[]).unwrap().chunks));

    let changed = list.apply(&[], &[masternode(1_000, 2), masternode(3_199, 2)]).unwrap();
    assert_eq!(shared_chunks(&list, &changed), 48);
    let left = list.apply(&[name(1_000)], &[]).unwrap();
    assert_eq!(shared_chunks(&list, &left), 1_000 / 64);
    assert_eq!(left.shared().filter(|one| all.iter().any(|old| Arc::ptr_eq(old, one))).count(), 3_199);
    // Where one leaves and another one joins, only what is between them moves.
    let swapped = left.apply(&[name(760)], &[masternode(1_000, 1)]).unwrap();
    assert_eq!(shared_chunks(&left, &swapped), 50 - (1_000 / 64 - 760 / 64 + 1));
}

#[test]
fn order_is_that_of_the_internal_bytes() {
    // In the printed, reversed form the first of these would be the greater one.
    let list = MasternodeList::empty().apply(&[], &[masternode(0x00ff, 1), masternode(0x0100, 1)]);
    let first_bytes: Vec<_> =
        list.unwrap().iter().map(|entry| entry.pro_reg_tx_hash.to_byte_array()[0]).collect();
    assert_eq!(first_bytes, [0, 1]);
}
