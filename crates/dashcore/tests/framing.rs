//! Framing: what comes in pieces, comes wrong, or comes at once.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use bytes::BytesMut;
use dashcore::network::framing::{
    Command, DEFAULT_MAX_PAYLOAD, Frame, FrameDecoder, FrameError, HEADER_SIZE, encode_frame,
};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::{ChainParams, Network};
use proptest::prelude::*;

const MAGIC: [u8; 4] = [0xfc, 0xc1, 0xb7, 0xdc];
const DECODER: FrameDecoder = FrameDecoder::new(MAGIC, DEFAULT_MAX_PAYLOAD);

fn framed(name: Command, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(MAGIC, name, payload, &mut out);
    out
}

fn frame(name: Command, payload: &[u8]) -> Frame {
    Frame { command: name, payload: payload.to_vec().into(), checksum_valid: true }
}

#[test]
fn an_empty_message_has_the_known_bytes() {
    let mut out = Vec::new();
    NetworkMessage::Verack.encode_framed(ChainParams::new(Network::Dash).magic, &mut out);
    assert_eq!(out, b"\xbf\x0c\x6b\xbdverack\0\0\0\0\0\0\0\0\0\0\x5d\xf6\xe0\xe2");
}

#[test]
fn a_message_cut_at_any_byte_is_put_together() {
    let bytes = framed(command::PING, &[1, 2, 3, 4, 5, 6, 7, 8]);
    for cut in 0..bytes.len() {
        let mut buffer = BytesMut::from(&bytes[..cut]);
        assert_eq!(DECODER.decode(&mut buffer), Ok(None), "cut at {cut}");
        assert_eq!(buffer.len(), cut);
        buffer.extend_from_slice(&bytes[cut..]);
        assert_eq!(DECODER.decode(&mut buffer), Ok(Some(frame(command::PING, &[1, 2, 3, 4, 5, 6, 7, 8]))));
        assert!(buffer.is_empty());
    }
}

#[test]
fn messages_in_one_buffer_come_one_by_one() {
    let mut bytes = framed(command::PING, &[1; 8]);
    bytes.extend(framed(command::VERACK, &[]));
    bytes.extend(&framed(command::PONG, &[2; 8])[..HEADER_SIZE]);
    let mut buffer = BytesMut::from(&bytes[..]);
    assert_eq!(DECODER.decode(&mut buffer), Ok(Some(frame(command::PING, &[1; 8]))));
    assert_eq!(DECODER.decode(&mut buffer), Ok(Some(frame(command::VERACK, &[]))));
    assert_eq!(DECODER.decode(&mut buffer), Ok(None));
    assert_eq!(buffer.len(), HEADER_SIZE);
}

#[test]
fn another_network_is_refused() {
    let mut buffer = BytesMut::from(&framed(command::VERACK, &[])[..]);
    let mainnet = FrameDecoder::new(ChainParams::new(Network::Dash).magic, DEFAULT_MAX_PAYLOAD);
    assert_eq!(mainnet.decode(&mut buffer), Err(FrameError::WrongMagic { found: MAGIC }));
}

#[test]
fn a_command_has_to_be_printable_and_zero_padded() {
    for found in
        [*b"ping\0\0\0\0\0\0\0x", *b"pi\x1fg\0\0\0\0\0\0\0\0", *b"p\x7fng\0\0\0\0\0\0\0\0", [0xff; 12]]
    {
        let mut bytes = framed(command::PING, &[]);
        bytes[4..16].copy_from_slice(&found);
        let error = DECODER.decode(&mut BytesMut::from(&bytes[..]));
        assert_eq!(error, Err(FrameError::MalformedCommand { found }));
    }
    for name in ["", "twelve chars", "~"] {
        let name = Command::new(name);
        let mut buffer = BytesMut::from(&framed(name, &[])[..]);
        assert_eq!(DECODER.decode(&mut buffer), Ok(Some(frame(name, &[]))));
    }
}

#[test]
fn an_oversized_message_is_refused_by_its_header() {
    let decoder = FrameDecoder::new(MAGIC, 8);
    let bytes = framed(command::PING, &[1; 9]);
    let oversized = FrameError::Oversized { command: command::PING, length: 9, limit: 8 };
    assert_eq!(decoder.decode(&mut BytesMut::from(&bytes[..HEADER_SIZE])), Err(oversized));
    let bytes = framed(command::PING, &[1; 8]);
    assert_eq!(decoder.decode(&mut BytesMut::from(&bytes[..])), Ok(Some(frame(command::PING, &[1; 8]))));
}

#[test]
fn every_message_has_a_limit_of_its_own_and_only_lists_have_that_of_the_decoder() {
    for (name, limit) in [
        (command::HEADERS, 162_009),
        (command::HEADERS2, 648_009),
        (command::INV, 1_800_009),
        (command::PONG, 8),
        (command::VERSION, 1_024),
        (command::VERACK, 32),
        (Command::new("tx"), 3 * 1024 * 1024),
        (command::QRINFO, DEFAULT_MAX_PAYLOAD),
        (command::MNLISTDIFF, DEFAULT_MAX_PAYLOAD),
    ] {
        let header = |length: usize| {
            let mut bytes = framed(name, &[]);
            bytes[16..20].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
            DECODER.decode(&mut BytesMut::from(&bytes[..]))
        };
        assert_eq!(header(limit), Ok(None), "{name}");
        assert_eq!(header(limit + 1), Err(FrameError::Oversized { command: name, length: limit + 1, limit }));
    }
}

#[test]
fn a_header_announces_its_message_before_the_payload_is_there() {
    let bytes = framed(command::PING, &[7; 8]);
    assert_eq!(DECODER.header(&bytes[..HEADER_SIZE - 1]), Ok(None));
    let header = DECODER.header(&bytes[..HEADER_SIZE]).unwrap().unwrap();
    assert_eq!((header.command, header.length), (command::PING, 8));
    assert_eq!(header.into_frame(vec![7; 8].into()), frame(command::PING, &[7; 8]));
    assert!(!header.into_frame(vec![7; 7].into()).checksum_valid);
}

#[test]
fn a_wrong_checksum_is_flagged_and_the_stream_goes_on() {
    let mut bytes = framed(command::PING, &[1; 8]);
    bytes[20] ^= 1;
    bytes.extend(framed(command::PONG, &[2; 8]));
    let mut buffer = BytesMut::from(&bytes[..]);
    let flagged = Frame { checksum_valid: false, ..frame(command::PING, &[1; 8]) };
    assert_eq!(DECODER.decode(&mut buffer), Ok(Some(flagged)));
    assert_eq!(DECODER.decode(&mut buffer), Ok(Some(frame(command::PONG, &[2; 8]))));
}

proptest! {
    #[test]
    fn any_messages_in_any_pieces_come_out_as_they_went_in(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..6), piece in 1..40_usize,
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| framed(command::ADDR, payload)).collect();
        let (mut buffer, mut received) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = DECODER.decode(&mut buffer).unwrap() {
                prop_assert!(frame.checksum_valid);
                received.push(frame.payload.to_vec());
            }
        }
        prop_assert_eq!(received, payloads);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = DECODER.decode(&mut BytesMut::from(&[&MAGIC[..], &noise].concat()[..]));
        let _ = DECODER.decode(&mut BytesMut::from(&noise[..]));
    }
}
