//! Encoding and decoding are each other's inverse, whatever the value and whatever the bytes.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod arbitrary;

use std::fmt::Debug;

use arbitrary::{canonical_message, coinbase_payload, commitment, masternode, message, qrinfo, transaction};
use dashcore::consensus::{Decodable, Encodable, deserialize, serialize};
use dashcore::network::framing::Command;
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Decoding gives the value back, from no less than [`Decodable::MIN_SIZE`] bytes.
fn assert_round_trip<T: Encodable + Decodable + PartialEq + Debug>(value: &T) {
    let bytes = serialize(value);
    assert_eq!(deserialize::<T>(&bytes).as_ref(), Ok(value));
    assert!(bytes.len() >= T::MIN_SIZE, "{} bytes are less than {}", bytes.len(), T::MIN_SIZE);
}

proptest! {
    #[test]
    fn every_message_decodes_to_itself(message in message()) {
        let payload = serialize(&message);
        prop_assert!(command::ALL.contains(&message.command()));
        prop_assert_eq!(NetworkMessage::decode(message.command(), &payload), Ok(Some(message)));
    }

    #[test]
    fn every_part_decodes_to_itself(
        masternode in masternode(), commitment in commitment(), transaction in transaction(),
        coinbase in coinbase_payload(), info in qrinfo(),
    ) {
        assert_round_trip(&masternode);
        assert_round_trip(&commitment);
        assert_round_trip(&transaction);
        assert_round_trip(&coinbase);
        assert_round_trip(&info.quorum_snapshot_at_h_minus_c);
        assert_round_trip(&info.mn_list_diff_h);
        assert_round_trip(&info);
    }

    #[test]
    fn the_hash_of_an_entry_leaves_out_its_version(masternode in masternode()) {
        let hashed = bitcoin_hashes::sha256d::hash(&serialize(&masternode)[2..]);
        prop_assert_eq!(masternode.entry_hash(), hashed.to_byte_array());
    }

    #[test]
    fn a_peek_finds_what_decoding_finds(info in qrinfo()) {
        let payload = serialize(&info);
        prop_assert_eq!(QRInfo::peek_work_block(&payload), Ok(info.mn_list_diff_h.block_hash));
        let diff = info.mn_list_diff_tip;
        let names = MnListDiff::peek(&serialize(&diff)).unwrap();
        prop_assert_eq!((names.base_block_hash, names.block_hash), (diff.base_block_hash, diff.block_hash));
    }

    /// Noise seldom decodes; a message with a few wrong bytes often does.
    #[test]
    fn bytes_that_decode_are_the_encoding_of_what_they_decode_to(
        message in canonical_message(), changes in prop::collection::vec((any::<Index>(), 0..3_u8, any::<u8>()), 1..4),
    ) {
        let mut payload = serialize(&message);
        for (at, change, byte) in changes {
            match (change, payload.len()) {
                (0, length) => payload.insert(at.index(length + 1), byte),
                (_, 0) => {}
                (1, length) => drop(payload.remove(at.index(length))),
                (_, length) => payload[at.index(length)] = byte,
            }
        }
        if let Ok(decoded) = NetworkMessage::decode(message.command(), &payload) {
            let decoded = decoded.unwrap();
            let encoded = serialize(&decoded);
            if matches!(decoded, NetworkMessage::Version(_) | NetworkMessage::Headers2(_)) {
                // What is no text in a user agent is replaced, and a compressed header may repeat what it could leave out.
                prop_assert_eq!(NetworkMessage::decode(message.command(), &encoded), Ok(Some(decoded)));
            } else {
                prop_assert_eq!(encoded, payload);
            }
        }
    }

    #[test]
    fn noise_never_panics(command in select(command::ALL.as_slice()), noise in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(decoded) = NetworkMessage::decode(command, &noise) {
            prop_assert_eq!(decoded.unwrap().command(), command);
        }
        let _ = QRInfo::peek_work_block(&noise);
        let _ = MnListDiff::peek(&noise);
    }
}

/// Found by fuzzing: replacements that are longer than what they replace made it too long to be sent again.
#[test]
fn a_user_agent_that_is_no_text_stays_within_its_limit() {
    let (before, after) = ([0; 80], [0; 4 + 1 + 32 + 1]);
    let payload = [&before[..], &[253, 0, 1], &[0xff; 256], &after].concat();
    let decoded = NetworkMessage::decode(command::VERSION, &payload).unwrap().unwrap();
    let NetworkMessage::Version(shown) = &decoded else { panic!("{decoded:?}") };
    assert_eq!(shown.user_agent, "?".repeat(256));
    assert_eq!(NetworkMessage::decode(command::VERSION, &serialize(&decoded)), Ok(Some(decoded)));
}

#[test]
fn other_commands_are_not_decoded() {
    assert_eq!(NetworkMessage::decode(Command::new("tx"), &[1, 2, 3]), Ok(None));
}
