//! `headers2` of blocks of the main network, encoded by another program than this one.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use dashcore::Header;
use dashcore::consensus::{DecodeErrorKind, deserialize};
use dashcore::network::message_headers2::{CompressedHeaders, Headers2Message, MAX_HEADERS2};

/// The headers at heights 999,900 to 999,939.
const HEADERS: &[u8] = include_bytes!("data/mainnet-999900-headers.bin");
/// The same as a node sends them: one version, and bits that change with each block.
const COMPRESSED: &[u8] = include_bytes!("data/mainnet-999900-headers2.bin");

fn headers() -> Vec<Header> {
    HEADERS.chunks(Header::SIZE).map(|bytes| deserialize(bytes).unwrap()).collect()
}

#[test]
fn real_headers_come_out_and_go_in() {
    let Headers2Message(decoded) = deserialize(COMPRESSED).unwrap();
    assert_eq!(decoded, headers());
    assert_eq!(Headers2Message::encode_chain(&headers()), COMPRESSED);
    let hashed = CompressedHeaders::decode(COMPRESSED, MAX_HEADERS2).unwrap().into_hashed();
    for (header, hash) in hashed {
        assert!(header.meets_target(hash));
    }
}

#[test]
fn the_first_header_cannot_leave_out_anything() {
    for given in [0x30, 0x28, 0x18, 0x00, 0x39] {
        let mut payload = COMPRESSED.to_vec();
        payload[1] = given;
        let error = CompressedHeaders::decode(&payload, MAX_HEADERS2).unwrap_err();
        assert_eq!((error.offset, error.field), (1, "headers2.flags"));
        assert_eq!(error.kind, DecodeErrorKind::UnknownValue { value: i64::from(given) });
    }
}

#[test]
fn a_part_is_no_message() {
    for length in 0..COMPRESSED.len() {
        assert!(CompressedHeaders::decode(&COMPRESSED[..length], MAX_HEADERS2).is_err());
    }
}
