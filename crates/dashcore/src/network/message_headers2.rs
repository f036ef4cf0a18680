//! Header synchronisation in compressed form (DIP25; Dash Core `CompressibleBlockHeader`, primitives/block.h).
//!
//! What a header has in common with those before it in the same message is left out, which takes about half of its 80 bytes.

use crate::blockdata::block::Header;
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size};

/// Most headers in one `headers2` message. Peers below protocol 70235 send at most 2000.
pub const MAX_HEADERS2: usize = 8000;

/// `headers2`: up to [`MAX_HEADERS2`] headers, usually consecutive.
///
/// Decoding takes an X11 hash per header whose parent is left out. The hash is then found in `prev_blockhash` of the next
/// header, and that the two are linked need not be checked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers2Message(pub Vec<Header>);

impl Encodable for Headers2Message {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        encode_compact_size(self.0.len(), out);
        let mut versions = RecentVersions::default();
        let mut previous = None;
        for header in &self.0 {
            encode_header(header, previous, &mut versions, out);
            previous = Some(header);
        }
    }
}

impl Decodable for Headers2Message {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let count = reader.field("headers2").length(SHORTEST_HEADER)?;
        if count > MAX_HEADERS2 {
            let kind = DecodeErrorKind::LengthTooLarge { length: count as u64, limit: MAX_HEADERS2 };
            return Err(reader.error_at(start, kind));
        }
        let mut versions = RecentVersions::default();
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            headers.push(decode_header(reader, headers.last(), &mut versions)?);
        }
        Ok(Self(headers))
    }
}

/// Flags, merkle root, time difference and nonce.
const SHORTEST_HEADER: usize = 1 + 32 + 2 + 4;

/// 0 for a version that is given in full, else its place among the recent ones, counted from 1.
const VERSION_BITS: u8 = 0b0000_0111;
const PREV_BLOCKHASH_GIVEN: u8 = 0b0000_1000;
const TIME_GIVEN: u8 = 0b0001_0000;
const BITS_GIVEN: u8 = 0b0010_0000;
/// What has to be given where there is no header before.
const ALL_GIVEN: u8 = PREV_BLOCKHASH_GIVEN | TIME_GIVEN | BITS_GIVEN;

fn encode_header(
    header: &Header,
    previous: Option<&Header>,
    versions: &mut RecentVersions,
    out: &mut Vec<u8>,
) {
    let flags_at = out.len();
    let mut flags = versions.place_of(header.version);
    out.push(0);
    if flags == 0 {
        header.version.consensus_encode(out);
    }
    if previous.is_none_or(|previous| previous.block_hash() != header.prev_blockhash) {
        flags |= PREV_BLOCKHASH_GIVEN;
        header.prev_blockhash.consensus_encode(out);
    }
    header.merkle_root.consensus_encode(out);
    match previous.and_then(|previous| time_difference(previous.time, header.time)) {
        Some(difference) => difference.consensus_encode(out),
        None => {
            flags |= TIME_GIVEN;
            header.time.consensus_encode(out);
        }
    }
    if previous.is_none_or(|previous| previous.bits != header.bits) {
        flags |= BITS_GIVEN;
        header.bits.consensus_encode(out);
    }
    header.nonce.consensus_encode(out);
    out[flags_at] = flags;
    versions.use_now(header.version);
}

fn time_difference(from: u32, to: u32) -> Option<i16> {
    i16::try_from(i64::from(to) - i64::from(from)).ok()
}

fn decode_header(
    reader: &mut Reader<'_>,
    previous: Option<&Header>,
    versions: &mut RecentVersions,
) -> Result<Header, DecodeError> {
    let start = reader.position();
    let flags: u8 = reader.read("headers2.flags")?;
    let unknown = reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(flags) });
    let all_given = flags & ALL_GIVEN == ALL_GIVEN;
    if flags & !(VERSION_BITS | ALL_GIVEN) != 0 || (previous.is_none() && !all_given) {
        return Err(unknown);
    }
    let version = match flags & VERSION_BITS {
        0 => reader.read("headers2.nVersion")?,
        place => versions.at(place).ok_or(unknown)?,
    };
    versions.use_now(version);
    let prev_blockhash = match previous {
        Some(previous) if flags & PREV_BLOCKHASH_GIVEN == 0 => previous.block_hash(),
        _ => reader.read("headers2.hashPrevBlock")?,
    };
    let merkle_root = reader.read("headers2.hashMerkleRoot")?;
    let time = match previous {
        Some(previous) if flags & TIME_GIVEN == 0 => {
            let start = reader.position();
            let difference: i16 = reader.read("headers2.nTimeOffset")?;
            let kind = DecodeErrorKind::UnknownValue { value: i64::from(difference) };
            let time = previous.time.checked_add_signed(difference.into());
            time.ok_or_else(|| reader.error_at(start, kind))?
        }
        _ => reader.read("headers2.nTime")?,
    };
    let bits = match previous {
        Some(previous) if flags & BITS_GIVEN == 0 => previous.bits,
        _ => reader.read("headers2.nBits")?,
    };
    Ok(Header { version, prev_blockhash, merkle_root, time, bits, nonce: reader.read("headers2.nNonce")? })
}

/// The last seven different versions, most recently used first.
#[derive(Default)]
struct RecentVersions(Vec<i32>);

impl RecentVersions {
    const CAPACITY: usize = 7;

    /// Place of a version, counted from 1; 0 when it is not among them.
    fn place_of(&self, version: i32) -> u8 {
        (1..).zip(&self.0).find(|(_, recent)| **recent == version).map_or(0, |(place, _)| place)
    }

    fn at(&self, place: u8) -> Option<i32> {
        self.0.get(usize::from(place) - 1).copied()
    }

    fn use_now(&mut self, version: i32) {
        self.0.retain(|recent| *recent != version);
        self.0.insert(0, version);
        self.0.truncate(Self::CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::consensus::{deserialize, serialize};
    use crate::hash_types::{BlockHash, TxMerkleNode};

    fn header(version: i32, prev_blockhash: BlockHash, time: u32, bits: u32) -> Header {
        Header { version, prev_blockhash, merkle_root: TxMerkleNode::all_zeros(), time, bits, nonce: 5 }
    }

    /// Mostly consecutive headers with few versions, now and then a jump in time or to another chain.
    fn headers() -> impl Strategy<Value = Vec<Header>> {
        let step = (0..10_i32, -40_000..40_000_i64, 0..3_u32, 0..5_u8, any::<[u8; 32]>(), any::<u32>());
        vec(step, 0..30).prop_map(|steps| {
            let mut headers: Vec<Header> = Vec::new();
            for (version, later, bits, other_chain, noise, nonce) in steps {
                let (parent, time) = match headers.last() {
                    Some(last) if other_chain > 0 => (last.block_hash(), last.time),
                    last => (BlockHash::from_byte_array(noise), last.map_or(1_700_000_000, |last| last.time)),
                };
                headers.push(Header {
                    merkle_root: TxMerkleNode::from_byte_array(noise),
                    nonce,
                    ..header(version, parent, u32::try_from(i64::from(time) + later).unwrap(), bits)
                });
            }
            headers
        })
    }

    proptest! {
        #[test]
        fn compression_loses_nothing(headers in headers()) {
            let message = Headers2Message(headers);
            prop_assert_eq!(deserialize::<Headers2Message>(&serialize(&message)), Ok(message));
        }

        #[test]
        fn arbitrary_bytes_are_decoded_or_refused(
            message in headers().prop_map(Headers2Message), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let mut bytes = serialize(&message);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(decoded) = deserialize::<Headers2Message>(&bytes) {
                // Not every valid form is the shortest one, so it is the headers that are the same again.
                prop_assert_eq!(deserialize::<Headers2Message>(&serialize(&decoded)), Ok(decoded));
            }
        }
    }

    #[test]
    fn only_what_differs_is_sent() {
        let first = header(1, BlockHash::all_zeros(), 1_000, 9);
        let second = header(1, first.block_hash(), 1_000 - 2, 9);
        let third = header(2, second.block_hash(), 998 + 32_768, 9);
        let fourth = header(1, BlockHash::all_zeros(), third.time, 8);
        let bytes = serialize(&Headers2Message(vec![first, second, third, fourth]));
        let (one, two) = (1 + 81, 1 + 81 + 39);
        assert_eq!((bytes[0], bytes[1]), (4, 0b11_1000));
        assert_eq!(bytes[one], 0b00_0001);
        assert_eq!(bytes[one + 33..one + 35], (-2_i16).to_le_bytes());
        assert_eq!(bytes[two], 0b01_0000);
        assert_eq!(bytes[two + 1 + 4 + 32 + 4 + 4], 0b10_1010);
    }

    #[test]
    fn a_header_cannot_refer_to_what_is_not_there() {
        for (flags, rest) in [
            (0b01_1000, 80), // no parent, yet no bits
            (0b10_1000, 80),
            (0b11_0000, 80),
            (0b11_1001, 80),  // no recent versions
            (0b111_1000, 80), // reserved bit
        ] {
            let mut bytes = vec![1, flags];
            bytes.extend(vec![0; rest]);
            let error = deserialize::<Headers2Message>(&bytes).unwrap_err();
            assert_eq!((error.offset, error.field), (1, "headers2.flags"));
            assert_eq!(error.kind, DecodeErrorKind::UnknownValue { value: i64::from(flags) });
        }
    }

    #[test]
    fn the_eighth_last_version_is_forgotten() {
        let versions: Vec<i32> = (0..8).chain([7, 1, 0]).collect();
        let headers = versions.iter().map(|&version| header(version, BlockHash::all_zeros(), 0, 0));
        let bytes = serialize(&Headers2Message(headers.collect()));
        let mut places = Vec::new();
        let mut at = 1;
        while at < bytes.len() {
            let flags = bytes[at];
            places.push(flags & VERSION_BITS);
            let size =
                |bit: u8, given: usize, else_size: usize| if flags & bit > 0 { given } else { else_size };
            let version = if flags & VERSION_BITS == 0 { 4 } else { 0 };
            at += 1 + version + size(PREV_BLOCKHASH_GIVEN, 32, 0) + 32;
            at += size(TIME_GIVEN, 4, 2) + size(BITS_GIVEN, 4, 0) + 4;
        }
        assert_eq!(places, [0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 0]);
    }
}
