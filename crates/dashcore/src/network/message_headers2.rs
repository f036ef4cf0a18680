//! Header synchronisation in compressed form (DIP25; Dash Core `CompressibleBlockHeader`, primitives/block.h).
//!
//! What a header has in common with those before it in the same message is left out, which takes about half of its 80 bytes.

use crate::blockdata::block::Header;
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size};
use crate::hash_types::BlockHash;
use crate::network::message_blockdata::MAX_HEADERS;

/// Most headers in one `headers2` message, between two nodes that speak [`LONG_HEADERS2_VERSION`] or later.
pub const MAX_HEADERS2: usize = 8000;

/// From this protocol version of both sides on, a `headers2` has up to [`MAX_HEADERS2`] headers instead of [`MAX_HEADERS`]
/// (Dash Core `INCREASE_MAX_HEADERS2_VERSION`, version.h).
pub const LONG_HEADERS2_VERSION: i32 = 70_235;

/// Most headers in one `headers2` between two nodes of which the older one speaks `common_version`; as many mean that there
/// may be more.
pub const fn max_headers2(common_version: i32) -> usize {
    if common_version >= LONG_HEADERS2_VERSION { MAX_HEADERS2 } else { MAX_HEADERS }
}

/// `headers2`: up to [`MAX_HEADERS2`] headers, usually consecutive.
///
/// Encoding takes an X11 hash per header and decoding as well; [`encode_chain`](Self::encode_chain) takes none, and
/// [`CompressedHeaders`] defers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers2Message(pub Vec<Header>);

impl Headers2Message {
    /// The payload for headers of which each is the parent of the next one. That they are is not checked, so it takes no
    /// hash.
    pub fn encode_chain(headers: &[Header]) -> Vec<u8> {
        let mut payload = Vec::new();
        encode_all(headers, |_, _| true, &mut payload);
        payload
    }
}

impl Encodable for Headers2Message {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        encode_all(&self.0, |parent, header| parent.block_hash() == header.prev_blockhash, out);
    }
}

impl Decodable for Headers2Message {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let compressed = CompressedHeaders::read(reader, MAX_HEADERS2)?;
        Ok(Self(compressed.into_hashed().map(|(header, _)| header).collect()))
    }
}

/// A `headers2` in which nothing is wrong, with the parents still to be filled in that were left out. That takes the hash of
/// each header before the next one is known, so it is a matter of one core and of some microseconds per header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressedHeaders(Vec<Compressed>);

/// A header, the parent of which may have to be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Compressed {
    header: Header,
    is_parent_given: bool,
}

impl CompressedHeaders {
    /// Decodes a payload of at most `limit` headers; see [`max_headers2`]. Takes no hash.
    ///
    /// # Errors
    /// When the payload is no valid `headers2`, or has more headers.
    pub fn decode(payload: &[u8], limit: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let compressed = Self::read(&mut reader, limit)?;
        reader.finish()?;
        Ok(compressed)
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The block that the first header follows; `None` where there are no headers.
    pub fn parent(&self) -> Option<BlockHash> {
        // The first one's is always given.
        self.0.first().map(|first| first.header.prev_blockhash)
    }

    /// How many headers at the beginning are these, which follow the same [parent](Self::parent) and each other. Takes no
    /// hash: what stands on the same parent and has the same fields is the same header.
    pub fn count_equal<'a>(&self, chain: impl IntoIterator<Item = &'a Header>) -> usize {
        let is_equal = |(compressed, known): &(&Compressed, &Header)| {
            let Compressed { mut header, is_parent_given } = **compressed;
            if !is_parent_given {
                header.prev_blockhash = known.prev_blockhash;
            }
            header == **known
        };
        self.0.iter().zip(chain).take_while(is_equal).count()
    }

    /// Keeps the first `count` headers.
    pub fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// Leaves out the first `count` headers, the last of which has this hash. Takes no hash.
    pub fn skip(&mut self, count: usize, hash: BlockHash) {
        self.0.drain(..count.min(self.0.len()));
        if let Some(first) = self.0.first_mut().filter(|first| !first.is_parent_given) {
            first.header.prev_blockhash = hash;
            first.is_parent_given = true;
        }
    }

    /// The headers in order, each with its hash, which is taken when the iterator comes to it.
    pub fn into_hashed(self) -> impl Iterator<Item = (Header, BlockHash)> {
        let mut parent = BlockHash::all_zeros();
        self.0.into_iter().map(move |Compressed { mut header, is_parent_given }| {
            if !is_parent_given {
                header.prev_blockhash = parent;
            }
            parent = header.block_hash();
            (header, parent)
        })
    }

    fn read(reader: &mut Reader<'_>, limit: usize) -> Result<Self, DecodeError> {
        let start = reader.position();
        let count = reader.field("headers2").length(SHORTEST_HEADER)?;
        if count > limit {
            let kind = DecodeErrorKind::LengthTooLarge { length: count as u64, limit };
            return Err(reader.error_at(start, kind));
        }
        let mut versions = RecentVersions::default();
        let mut headers: Vec<Compressed> = Vec::with_capacity(count);
        for _ in 0..count {
            let previous = headers.last().map(|previous| &previous.header);
            headers.push(decode_header(reader, previous, &mut versions)?);
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

fn encode_all(headers: &[Header], is_parent: impl Fn(&Header, &Header) -> bool, out: &mut Vec<u8>) {
    encode_compact_size(headers.len(), out);
    let mut versions = RecentVersions::default();
    let mut previous: Option<&Header> = None;
    for header in headers {
        let follows = previous.is_some_and(|previous| is_parent(previous, header));
        encode_header(header, previous, follows, &mut versions, out);
        previous = Some(header);
    }
}

fn encode_header(
    header: &Header,
    previous: Option<&Header>,
    follows: bool,
    versions: &mut RecentVersions,
    out: &mut Vec<u8>,
) {
    let flags_at = out.len();
    let mut flags = versions.place_of(header.version);
    out.push(0);
    if flags == 0 {
        header.version.consensus_encode(out);
    }
    if !follows {
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
) -> Result<Compressed, DecodeError> {
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
    let is_parent_given = flags & PREV_BLOCKHASH_GIVEN != 0;
    let prev_blockhash = match is_parent_given {
        true => reader.read("headers2.hashPrevBlock")?,
        false => BlockHash::all_zeros(),
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
    let nonce = reader.read("headers2.nNonce")?;
    let header = Header { version, prev_blockhash, merkle_root, time, bits, nonce };
    Ok(Compressed { header, is_parent_given })
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
    use crate::hash_types::TxMerkleNode;

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
            let hashes: Vec<_> = headers.iter().map(Header::block_hash).collect();
            let message = Headers2Message(headers);
            let payload = serialize(&message);
            let compressed = CompressedHeaders::decode(&payload, MAX_HEADERS2).unwrap();
            prop_assert_eq!(compressed.len(), message.0.len());
            prop_assert_eq!(compressed.is_empty(), message.0.is_empty());
            prop_assert_eq!(compressed.parent(), message.0.first().map(|first| first.prev_blockhash));
            let hashed: (Vec<_>, Vec<_>) = compressed.into_hashed().unzip();
            prop_assert_eq!((&hashed.0, hashed.1), (&message.0, hashes));
            prop_assert_eq!(deserialize::<Headers2Message>(&payload), Ok(message));
        }

        #[test]
        fn a_part_is_found_and_cut_out_without_its_hashes(
            headers in headers(), at in any::<prop::sample::Index>(), end in any::<prop::sample::Index>(),
        ) {
            let mut chain = headers;
            for at in 1..chain.len() {
                chain[at].prev_blockhash = chain[at - 1].block_hash();
            }
            prop_assume!(!chain.is_empty());
            let payload = Headers2Message::encode_chain(&chain);
            let mut compressed = CompressedHeaders::decode(&payload, MAX_HEADERS2).unwrap();
            prop_assert_eq!(compressed.count_equal(&chain), chain.len());
            let at = at.index(chain.len());
            let mut other = chain.clone();
            other[at].nonce ^= 1;
            prop_assert_eq!(compressed.count_equal(&other), at);
            let end = at + 1 + end.index(chain.len() - at);
            compressed.truncate(end);
            compressed.skip(at, chain[at].prev_blockhash);
            prop_assert_eq!(compressed.parent(), Some(chain[at].prev_blockhash));
            let hashed: Vec<_> = compressed.into_hashed().collect();
            let expected: Vec<_> = chain[at..end].iter().map(|header| (*header, header.block_hash())).collect();
            prop_assert_eq!(hashed, expected);
        }

        #[test]
        fn a_chain_is_encoded_alike_without_a_hash(headers in headers()) {
            let mut chain = headers;
            for at in 1..chain.len() {
                chain[at].prev_blockhash = chain[at - 1].block_hash();
            }
            prop_assert_eq!(Headers2Message::encode_chain(&chain), serialize(&Headers2Message(chain)));
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
    fn headers_on_another_parent_are_not_equal() {
        let first = header(1, BlockHash::from_byte_array([1; 32]), 5, 5);
        let second = header(1, BlockHash::from_byte_array([2; 32]), 5, 5);
        let payload = serialize(&Headers2Message(vec![first, second]));
        let compressed = CompressedHeaders::decode(&payload, MAX_HEADERS2).unwrap();
        let chain = [first, Header { prev_blockhash: first.block_hash(), ..second }];
        assert_eq!(compressed.count_equal(&chain), 1);
        assert_eq!(compressed.count_equal(&[second]), 0);
    }

    #[test]
    fn the_number_of_headers_is_bounded_by_the_common_version() {
        let headers = vec![header(1, BlockHash::all_zeros(), 5, 5); MAX_HEADERS2 + 1];
        for (version, limit) in [(70_230, 2_000), (70_234, 2_000), (70_235, 8_000), (70_240, 8_000)] {
            assert_eq!(max_headers2(version), limit);
            let decoded = |count: usize| {
                CompressedHeaders::decode(&Headers2Message::encode_chain(&headers[..count]), limit)
            };
            assert_eq!(decoded(limit).unwrap().len(), limit);
            let error = decoded(limit + 1).unwrap_err();
            assert_eq!((error.offset, error.field), (0, "headers2"));
            assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: limit as u64 + 1, limit });
        }
        let payload = Headers2Message::encode_chain(&headers);
        assert!(deserialize::<Headers2Message>(&payload).is_err());
        let trailing = CompressedHeaders::decode(&[0, 0], MAX_HEADERS2).unwrap_err();
        assert_eq!(trailing.kind, DecodeErrorKind::TrailingBytes { remaining: 1 });
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
