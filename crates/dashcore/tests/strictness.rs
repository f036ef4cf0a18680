//! What an honest node never sends is refused, with the place and the reason.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod arbitrary;

use arbitrary::{commitment, masternode, message, mn_list_diff, qrinfo};
use dashcore::Header;
use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::blockdata::transaction::{TxIn, TxOut};
use dashcore::consensus::{Decodable, DecodeError, DecodeErrorKind, deserialize, serialize};
use dashcore::hash_types::TxMerkleNode;
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_network::TimedAddress;
use dashcore::network::message_qrinfo::{QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::{DeletedQuorum, MnListDiff, QuorumCLSigObject};
use dashcore::sml::address::{NetInfoEntry, NetInfoPurpose, ServiceAddress};
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// One arbitrary value, the same in every run.
fn sample<T>(strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

fn decode(message: &NetworkMessage, payload: &[u8]) -> Result<Option<NetworkMessage>, DecodeError> {
    NetworkMessage::decode(message.command(), payload)
}

/// Enough of them that each kind of message is there, long ones with all their lists filled.
fn samples() -> Vec<NetworkMessage> {
    let mut runner = TestRunner::deterministic();
    let mut samples: Vec<_> = (0..400).map(|_| message().new_tree(&mut runner).unwrap().current()).collect();
    samples.sort_by_key(|message| std::cmp::Reverse(serialize(message).len()));
    samples.sort_by_key(NetworkMessage::command);
    samples.dedup_by_key(|message| message.command());
    assert_eq!(samples.len(), 23);
    samples
}

#[test]
fn truncation_at_every_byte_is_an_error_that_names_place_and_field() {
    for message in samples() {
        let payload = serialize(&message);
        for cut in 0..payload.len() {
            let error = decode(&message, &payload[..cut]).unwrap_err();
            let where_ = format!("{} cut at {cut} of {}: {error}", message.command(), payload.len());
            assert!(error.offset <= cut, "{where_}");
            assert!(!error.field.is_empty(), "{where_}");
            match error.kind {
                DecodeErrorKind::UnexpectedEnd { needed, available } => {
                    assert_eq!(error.offset + available, cut, "{where_}");
                    assert!(needed > available, "{where_}");
                }
                DecodeErrorKind::LengthTooLarge { limit, .. } => assert!(limit < 8 * cut, "{where_}"),
                _ => panic!("{where_}"),
            }
        }
    }
}

#[test]
fn a_trailing_byte_is_an_error() {
    for message in samples() {
        let mut payload = serialize(&message);
        let offset = payload.len();
        payload.push(0);
        let error = decode(&message, &payload).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { remaining: 1 }, "{}", message.command());
        assert_eq!(error.offset, offset);
    }
}

/// Payloads with nothing in any list, and the places at which a CompactSize says so.
fn empty_messages() -> Vec<(NetworkMessage, Vec<(usize, &'static str)>)> {
    let empty = |name, size: usize, set: &[(usize, u8)]| {
        let mut payload = vec![0; size];
        set.iter().for_each(|&(at, byte)| payload[at] = byte);
        NetworkMessage::decode(name, &payload).unwrap().unwrap()
    };
    let diff_lists = |start: usize| {
        vec![
            (start + 70, "mnlistdiff.merkleHashes"),
            (start + 71, "mnlistdiff.merkleFlags"),
            (start + 76, "tx.vin"),
            (start + 77, "tx.vout"),
            (start + 82, "mnlistdiff.deletedMNs"),
            (start + 83, "mnlistdiff.mnList"),
            (start + 84, "mnlistdiff.deletedQuorums"),
            (start + 85, "mnlistdiff.newQuorums"),
            (start + 86, "mnlistdiff.quorumsCLSigs"),
        ]
    };
    let diffs = 3 * QuorumSnapshot::MIN_SIZE;
    let ends = diffs + 5 * MnListDiff::MIN_SIZE;
    let versions: Vec<_> = (0..5).map(|index| (diffs + index * MnListDiff::MIN_SIZE, 1)).collect();
    let mut qrinfo_lists = vec![(4, "snapshot.activeQuorumMembers"), (5, "snapshot.skipList")];
    qrinfo_lists.extend(diff_lists(ends - MnListDiff::MIN_SIZE));
    qrinfo_lists.extend([
        (ends + 1, "qrinfo.lastCommitmentPerIndex"),
        (ends + 2, "qrinfo.quorumSnapshotList"),
        (ends + 3, "qrinfo.mnListDiffList"),
    ]);
    vec![
        (empty(command::VERSION, 119, &[]), vec![(80, "version.userAgent")]),
        (empty(command::GETHEADERS, 37, &[]), vec![(4, "getheaders.locator")]),
        (empty(command::HEADERS, 1, &[]), vec![(0, "headers")]),
        (empty(command::HEADERS2, 1, &[]), vec![(0, "headers2")]),
        (empty(command::ADDR, 1, &[]), vec![(0, "addr")]),
        (empty(command::GETQRINFO, 34, &[]), vec![(0, "getqrinfo.baseBlockHashes")]),
        (empty(command::MNLISTDIFF, MnListDiff::MIN_SIZE, &[(0, 1)]), diff_lists(0)),
        (empty(command::QRINFO, QRInfo::MIN_SIZE, &versions), qrinfo_lists),
    ]
}

fn with_length(message: &NetworkMessage, at: usize, length: &[u8]) -> DecodeError {
    let mut payload = serialize(message);
    payload.splice(at..=at, length.iter().copied());
    decode(message, &payload).unwrap_err()
}

#[test]
fn every_length_has_to_be_minimal() {
    for (message, lengths) in empty_messages() {
        for (at, field) in lengths {
            let error = with_length(&message, at, &[0xfd, 0, 0]);
            assert_eq!((error.offset, error.field), (at, field), "{}", message.command());
            assert_eq!(error.kind, DecodeErrorKind::NonMinimalCompactSize, "{field}");
        }
    }
}

/// The lengths are checked against the bytes that are left before anything is reserved for them.
#[test]
fn a_huge_length_is_refused_before_anything_is_reserved() {
    for (message, lengths) in empty_messages() {
        for (at, field) in lengths {
            for length in [&[0xfe, 0xff, 0xff, 0xff, 0x01][..], &[0xff; 9]] {
                let error = with_length(&message, at, length);
                assert_eq!((error.offset, error.field), (at, field), "{}", message.command());
                let DecodeErrorKind::LengthTooLarge { limit, .. } = error.kind else {
                    panic!("{error}");
                };
                let payload = serialize(&message).len() + length.len();
                assert!(limit <= 8 * payload, "{field}: {limit} of {payload} bytes");
            }
        }
    }
}

/// A length that the bytes do bear out reserves memory in proportion to them: nothing that is counted in lists without
/// a bound of their own is more than four times as large in memory as on the wire.
#[test]
fn reserved_memory_is_in_proportion_to_the_payload() {
    fn proportion<T: Decodable>() -> (usize, usize) {
        (size_of::<T>(), T::MIN_SIZE)
    }
    for (in_memory, on_the_wire) in [
        proportion::<Header>(),
        proportion::<TxIn>(),
        proportion::<TxOut>(),
        proportion::<TxMerkleNode>(),
        proportion::<MasternodeListEntry>(),
        proportion::<QuorumEntry>(),
        proportion::<DeletedQuorum>(),
        proportion::<QuorumCLSigObject>(),
        proportion::<MnListDiff>(),
        proportion::<TimedAddress>(),
        proportion::<u16>(),
        proportion::<i32>(),
    ] {
        assert!(in_memory <= 4 * on_the_wire, "{in_memory} bytes for {on_the_wire}");
    }
}

#[test]
fn lists_whose_elements_are_small_on_the_wire_are_bounded() {
    let mut info = sample(qrinfo());
    info.quorum_snapshot_list = vec![deserialize(&[0; 6]).unwrap(); 1025];
    let error = deserialize::<QRInfo>(&serialize(&info)).unwrap_err();
    assert_eq!(error.field, "qrinfo.quorumSnapshotList");
    assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 1025, limit: 1024 });

    let locator = [&[0; 4][..], &[102], &[7; 103 * 32]].concat();
    let error = NetworkMessage::decode(command::GETHEADERS, &locator).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 102, limit: 101 });

    let addresses = [&[0xfd, 0xe9, 0x03][..], &[0; 1001 * 30]].concat();
    let error = NetworkMessage::decode(command::ADDR, &addresses).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 1001, limit: 1000 });
}

#[test]
fn unknown_versions_modes_and_flags_are_refused() {
    let unknown = |value: i64| DecodeErrorKind::UnknownValue { value };
    let of_version = |version: u8, newest: u16| match u16::from(version) {
        version if version > newest => DecodeErrorKind::NewerVersion { version, newest },
        version => unknown(version.into()),
    };
    let refused = |bytes: &[u8], at: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        bytes
    };
    let diff = serialize(&sample(mn_list_diff()));
    for version in [0, 2] {
        let error = deserialize::<MnListDiff>(&refused(&diff, 0, version)).unwrap_err();
        assert_eq!((error.field, error.kind), ("mnlistdiff.nVersion", of_version(version, 1)));
    }
    for version in [0, 4] {
        let entry = refused(&serialize(&sample(masternode())), 0, version);
        let error = deserialize::<MasternodeListEntry>(&entry).unwrap_err();
        assert_eq!((error.field, error.kind), ("entry.nVersion", of_version(version, 3)));
    }
    for version in [0, 5] {
        let entry = refused(&serialize(&sample(commitment())), 0, version);
        let error = deserialize::<QuorumEntry>(&entry).unwrap_err();
        assert_eq!((error.field, error.kind), ("commitment.nVersion", of_version(version, 4)));
    }
    for (mode, value) in [([4, 0, 0, 0], 4), ([0xff; 4], -1)] {
        let bytes = [&mode[..], &[0, 0]].concat();
        let error = deserialize::<QuorumSnapshot>(&bytes).unwrap_err();
        assert_eq!((error.field, error.kind), ("snapshot.mode", unknown(value)));
    }
    let error = NetworkMessage::decode(command::GETQRINFO, &[&[0; 33][..], &[2]].concat()).unwrap_err();
    assert_eq!((error.field, error.offset, error.kind), ("getqrinfo.extraShare", 33, unknown(2)));
}

#[test]
fn chain_lock_indexes_have_to_ascend() {
    for (indexes, ascending) in [([1, 0, 2, 0], true), ([2, 0, 1, 0], false), ([1, 0, 1, 0], false)] {
        let bytes = [&[9; 96][..], &[2], &indexes].concat();
        let error = deserialize::<QuorumCLSigObject>(&bytes).err();
        let expected = (!ascending).then_some((96, "quorumsCLSigs.indexes", DecodeErrorKind::OutOfOrder));
        assert_eq!(error.map(|error| (error.offset, error.field, error.kind)), expected);
    }
}

/// A payload of a later version is read as far as it can be expected to be as before; the rest is carried.
#[test]
fn coinbases_of_later_versions_are_read_by_their_beginning() {
    let known = [&[4, 0][..], &7_i32.to_le_bytes(), &[1; 32], &[2; 32], &[3], &[4; 96], &[5; 8]].concat();
    let with = |version: u8, appended: &[u8]| {
        let mut bytes = [&known[..], appended].concat();
        bytes[0] = version;
        bytes
    };
    let decoded = deserialize::<CoinbasePayload>(&with(4, &[6; 32])).unwrap();
    assert_eq!(decoded.merkle_root_asset_unlocks.unwrap().to_byte_array(), [6; 32]);
    assert!(!decoded.is_of_later_version() && decoded.unknown.is_empty());
    for wrong in [with(4, &[]), with(4, &[6; 31]), with(4, &[6; 33]), with(3, &[6; 32]), with(0, &[])] {
        deserialize::<CoinbasePayload>(&wrong).unwrap_err();
    }
    for appended in [&[][..], &[6; 32], &[7; 100]] {
        let bytes = with(5, appended);
        let decoded = deserialize::<CoinbasePayload>(&bytes).unwrap();
        assert!(decoded.is_of_later_version());
        assert_eq!((decoded.height, decoded.merkle_root_masternode_list.to_byte_array()), (7, [1; 32]));
        assert_eq!(decoded.merkle_root_quorums.unwrap().to_byte_array(), [2; 32]);
        assert_eq!(decoded.chain_lock.as_ref().unwrap().best_cl_signature.as_bytes(), &[4; 96]);
        assert_eq!((&decoded.unknown[..], serialize(&decoded)), (appended, bytes));
    }
    deserialize::<CoinbasePayload>(&with(5, &[])[..100]).unwrap_err();
}

fn extended_entry(addresses: &[u8]) -> Vec<u8> {
    let mut entry = serialize(&sample(masternode()))[..66].to_vec();
    entry[0] = 3;
    entry.push(1);
    entry.extend_from_slice(addresses);
    entry
}

/// Nodes set no limit, so neither do we; a kind that is not known here carries nothing that nodes would read.
#[test]
fn addresses_are_as_many_and_of_what_kinds_nodes_accept() {
    // Two purposes, of which one is unknown; 300 addresses without content, one of an unknown kind, one of an unknown network.
    let addresses =
        [&[2, 0, 0xfd, 0x2c, 0x01][..], &[255; 300], &[9, 2, 77, 1, 99, 3, 8, 8, 8, 0x1f, 0x90]].concat();
    let bytes = [extended_entry(&addresses), vec![1; 48], vec![2; 20], vec![1, 0, 0]].concat();
    let entry = deserialize::<MasternodeListEntry>(&bytes).unwrap();
    assert_eq!(serialize(&entry), bytes);
    let ServiceAddress::Extended(info) = &entry.service_address else { panic!("{entry:?}") };
    let found: Vec<_> = info.iter().collect();
    assert_eq!(found.len(), 302);
    assert_eq!(found[300], (NetInfoPurpose::Unknown(9), NetInfoEntry::Unknown { code: 77 }));
    let unknown_network = NetInfoEntry::Service { network: 99, address: vec![8; 3], port: 8080 };
    assert_eq!(found[301].1, unknown_network);
    assert_eq!(entry.service_address.addresses(), [unknown_network]);
    assert_eq!(info.unknown_kind(), Some(77));
    // If that kind carries something after all, newer rules made it, and the error says so.
    let longer = [extended_entry(&[1, 0, 1, 77, 200, 200]), vec![9; 80], vec![0; 200]].concat();
    let error = deserialize::<MasternodeListEntry>(&longer).unwrap_err();
    assert!(error.is_of_newer_rules(), "{error}");
    // Without one, the same is malformed.
    let malformed = [extended_entry(&[1, 0, 1, 255]), vec![9; 80], vec![0; 200]].concat();
    let error = deserialize::<MasternodeListEntry>(&malformed).unwrap_err();
    assert!(!error.is_of_newer_rules(), "{error}");
}
