//! A request and its fence on their way: framed, cut into pieces by the network, and taken apart again; then damaged.
//!
//! `cargo run -p dashcore --example stream`
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use bytes::BytesMut;
use dashcore::network::framing::{DEFAULT_MAX_PAYLOAD, FrameDecoder};
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::{BlockHash, ChainParams, Network};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let params = ChainParams::new(Network::Dash);
    let request = GetQRInfo {
        base_block_hashes: vec![params.genesis_hash],
        block_request_hash: BlockHash::all_zeros(),
        extra_share: true,
    };
    let mut sent = Vec::new();
    NetworkMessage::GetQRInfo(request).encode_framed(params.magic, &mut sent);
    NetworkMessage::Ping(7).encode_framed(params.magic, &mut sent);
    println!("{} bytes sent", sent.len());

    let decoder = FrameDecoder::new(params.magic, DEFAULT_MAX_PAYLOAD);
    let mut buffer = BytesMut::new();
    for piece in sent.chunks(50) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut buffer)? {
            let message = NetworkMessage::decode(frame.command, &frame.payload)?;
            println!("{} with a valid checksum, {}: {message:?}", frame.command, frame.checksum_valid);
        }
    }

    sent[30] ^= 1; // In the payload: the frame is whole and its checksum tells.
    let frame = decoder.decode(&mut BytesMut::from(&sent[..]))?.ok_or("the frame is whole")?;
    println!("{} with a valid checksum, {}", frame.command, frame.checksum_valid);
    let other = ChainParams::new(Network::Testnet);
    let refused = FrameDecoder::new(other.magic, DEFAULT_MAX_PAYLOAD).decode(&mut BytesMut::from(&sent[..]));
    println!("on another network: {refused:?}");
    Ok(())
}
