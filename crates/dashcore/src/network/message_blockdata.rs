//! Header synchronisation and announcements.

use crate::blockdata::block::Header;
use crate::consensus::{
    Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size, encode_vec,
};
use crate::hash_types::BlockHash;

/// Most headers in one `headers` message; fewer mean that the sender's tip is reached.
pub const MAX_HEADERS: usize = 2000;

/// Most entries of an `inv`, `getdata` or `notfound` (Dash Core `MAX_INV_SZ`, net_processing.h).
pub(super) const MAX_INVENTORY: usize = 50_000;

/// `inv` type of a block (Dash Core `MSG_BLOCK`, protocol.h).
const BLOCK: u32 = 2;

/// `inv` type of a ChainLock (Dash Core `MSG_CLSIG`, protocol.h).
const CHAIN_LOCK: u32 = 29;

/// `inv` type of an InstantSend lock (Dash Core `MSG_ISDLOCK`, protocol.h).
const INSTANT_LOCK: u32 = 31;

/// Most hashes in a locator (Dash Core `MAX_LOCATOR_SZ`, net_processing.cpp).
const MAX_LOCATOR: usize = 101;

/// `getheaders` and `getheaders2`: asks for the headers that follow the newest known hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetHeadersMessage {
    /// Read and ignored by the receiver.
    pub version: u32,
    /// Known blocks, newest first.
    pub locator_hashes: Vec<BlockHash>,
    /// Last header wanted; zero for as many as fit.
    pub stop_hash: BlockHash,
}

impl Encodable for GetHeadersMessage {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        encode_vec(&self.locator_hashes, out);
        self.stop_hash.consensus_encode(out);
    }
}

impl Decodable for GetHeadersMessage {
    const MIN_SIZE: usize = 37;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.read("getheaders.version")?,
            locator_hashes: reader.vec_up_to("getheaders.locator", MAX_LOCATOR)?,
            stop_hash: reader.read("getheaders.stop")?,
        })
    }
}

/// `headers`: up to [`MAX_HEADERS`] consecutive headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadersMessage(pub Vec<Header>);

impl Encodable for HeadersMessage {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        encode_compact_size(self.0.len(), out);
        for header in &self.0 {
            header.consensus_encode(out);
            out.push(0);
        }
    }
}

impl Decodable for HeadersMessage {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let count = reader.field("headers").length(Header::SIZE + 1)?;
        if count > MAX_HEADERS {
            let kind = DecodeErrorKind::LengthTooLarge { length: count as u64, limit: MAX_HEADERS };
            return Err(reader.error_at(start, kind));
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            headers.push(Header::consensus_decode(reader)?);
            let start = reader.position();
            // Each header is followed by the (always zero) number of its transactions.
            let transactions: u8 = reader.read("headers.transactions")?;
            if transactions != 0 {
                let kind = DecodeErrorKind::UnknownValue { value: i64::from(transactions) };
                return Err(reader.error_at(start, kind));
            }
        }
        Ok(Self(headers))
    }
}

/// One entry of an `inv`, something that the sender has, or of a `getdata`, something that it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inventory {
    /// A block.
    Block(BlockHash),
    /// A ChainLock, by the SHA-256d of its `clsig`.
    ChainLock([u8; 32]),
    /// An InstantSend lock, by the SHA-256d of its `isdlock`.
    InstantLock([u8; 32]),
    /// Anything else.
    Unknown {
        /// Its type (Dash Core `GetDataMsg`, protocol.h).
        inv_type: u32,
        /// Its hash.
        hash: [u8; 32],
    },
}

impl Encodable for Inventory {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        let (inv_type, hash) = match self {
            Self::Block(hash) => (BLOCK, *hash.as_byte_array()),
            Self::ChainLock(hash) => (CHAIN_LOCK, *hash),
            Self::InstantLock(hash) => (INSTANT_LOCK, *hash),
            Self::Unknown { inv_type, hash } => (*inv_type, *hash),
        };
        inv_type.consensus_encode(out);
        out.extend(hash);
    }
}

impl Decodable for Inventory {
    const MIN_SIZE: usize = 36;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let inv_type = reader.read("inv.type")?;
        let hash = reader.field("inv.hash").array()?;
        Ok(match inv_type {
            BLOCK => Self::Block(BlockHash::from_byte_array(hash)),
            CHAIN_LOCK => Self::ChainLock(hash),
            INSTANT_LOCK => Self::InstantLock(hash),
            _ => Self::Unknown { inv_type, hash },
        })
    }
}
