use bytes::BytesMut;
use dashcore::consensus::serialize;
use dashcore::network::framing::{Command, DEFAULT_MAX_PAYLOAD, FrameDecoder};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_headers2::CompressedHeaders;
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;

use crate::recording::STREAMS;
use crate::worlds::WORLD;

/// The first byte chooses the message, the rest is its payload.
pub(crate) fn run(input: &[u8]) -> bool {
    let Some((&chosen, payload)) = input.split_first() else { return false };
    let command = command::ALL[usize::from(chosen) % command::ALL.len()];
    // What takes a look before decoding must stand anything, too.
    MnListDiff::peek(payload).ok();
    QRInfo::peek_work_block(payload).ok();
    CompressedHeaders::decode(payload, 10).ok();
    let Ok(decoded) = NetworkMessage::decode(command, payload) else { return false };
    let message = decoded.expect("every command is understood");
    assert_eq!(message.command(), command);
    let encoded = serialize(&message);
    if matches!(message, NetworkMessage::Version(_) | NetworkMessage::Headers2(_)) {
        // A user agent is cleaned of what no terminal should print, and a compressed header may repeat what it need not.
        // After that the encoding stays as it is.
        let again = NetworkMessage::decode(command, &encoded);
        assert_eq!(again.map(|again| again.map(|again| serialize(&again))), Ok(Some(encoded)));
    } else {
        assert_eq!(encoded, payload, "{command}");
    }
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let decoder = FrameDecoder::new(WORLD.params().magic, DEFAULT_MAX_PAYLOAD);
    let mut seeds = Vec::new();
    for stream in STREAMS.iter() {
        let mut buffer = BytesMut::from(stream.as_slice());
        while let Ok(Some(frame)) = decoder.decode(&mut buffer) {
            let chosen = (0..).zip(command::ALL).find(|(_, command)| *command == frame.command);
            seeds.extend(chosen.map(|(index, _)| [&[index][..], &frame.payload].concat()));
        }
    }
    // Not all are sent by nodes that nothing is wrong with.
    let header = [&[1, 0, 0, 0][..], &[7; 64], &[5; 12]].concat();
    let lists: [(Command, Vec<u8>); 10] = [
        (command::SENDHEADERS2, Vec::new()),
        (command::GETHEADERS, [&[70, 18, 1, 0, 1][..], &[7; 32], &[0; 32]].concat()),
        (command::HEADERS, [&[1][..], &header, &[0]].concat()),
        (command::INV, [&[1, 29, 0, 0, 0][..], &[7; 32]].concat()),
        (command::GETDATA, [&[1, 31, 0, 0, 0][..], &[7; 32]].concat()),
        (command::NOTFOUND, [&[1, 1, 0, 0, 0][..], &[7; 32]].concat()),
        (command::CLSIG, [&[9, 0, 0, 0][..], &[7; 32], &[8; 96]].concat()),
        (command::ISDLOCK, [&[1, 1][..], &[7; 36], &[8; 32], &[9; 32], &[3; 96]].concat()),
        (
            command::ADDR,
            [&[1][..], &[1, 2, 3, 4], &[5; 8], &[0; 10], &[255, 255, 1, 2, 3, 4, 78, 31]].concat(),
        ),
        (command::ADDRV2, [&[1][..], &[1, 2, 3, 4], &[1, 1, 4, 1, 2, 3, 4, 78, 31]].concat()),
    ];
    for (command, payload) in lists {
        let chosen = (0..).zip(command::ALL).find(|(_, other)| *other == command);
        seeds.extend(chosen.map(|(index, _)| [&[index][..], &payload].concat()));
    }
    seeds.sort();
    seeds.dedup();
    seeds
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dashcore::blockdata::block::Header;

    use super::*;

    /// Found by fuzzing: the second header gives its version, parent, time and difficulty, all of which it could leave out.
    #[test]
    fn headers_that_are_not_compressed_as_far_as_they_could_be_are_understood() {
        let first = Header { version: 1, time: 5, ..*WORLD.header(0).unwrap() };
        let second = Header { prev_blockhash: first.block_hash(), ..first };
        let chosen = (0..).zip(command::ALL).find(|(_, command)| *command == command::HEADERS2).unwrap().0;
        let whole = |header: &Header| [vec![0b0011_1000], serialize(header)].concat();
        assert!(run(&[vec![chosen, 2], whole(&first), whole(&second)].concat()));
    }

    #[test]
    fn every_command_has_a_seed_that_decodes() {
        let good: BTreeSet<u8> = seeds().iter().filter(|seed| run(seed)).map(|seed| seed[0]).collect();
        let missing: Vec<_> = (0..).zip(command::ALL).filter(|(index, _)| !good.contains(index)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
