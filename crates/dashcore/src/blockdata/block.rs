//! Block headers.

use dash_num::{Arith256, CompactTarget};
use dash_pow::X11;
use dash_types::Numeric;
use digest::Digest;

use crate::consensus::{Decodable, DecodeError, Encodable, Reader};
use crate::hash_types::{BlockHash, TxMerkleNode};

/// An 80-byte block header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Block version, also used for version-bits signalling.
    pub version: i32,
    /// Hash of the parent.
    pub prev_blockhash: BlockHash,
    /// Root of the transaction merkle tree.
    pub merkle_root: TxMerkleNode,
    /// Unix time in seconds.
    pub time: u32,
    /// Target in compact form.
    pub bits: u32,
    /// Nonce.
    pub nonce: u32,
}

impl Header {
    /// Size on the wire, in bytes.
    pub const SIZE: usize = 80;

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(self.prev_blockhash.as_byte_array());
        bytes[36..68].copy_from_slice(self.merkle_root.as_byte_array());
        bytes[68..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.bits.to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// X11 hash of the header. Takes some microseconds: callers keep the result.
    pub fn block_hash(&self) -> BlockHash {
        BlockHash::from_byte_array(X11::digest(self.to_bytes()).into())
    }

    /// The target that the hash, read as a little-endian number, must not exceed; `None` when `bits` encodes a
    /// negative, zero or overflowing number.
    pub fn target(&self) -> Option<Arith256> {
        let decoded = CompactTarget::new(self.bits).expand();
        let valid = !decoded.negative && !decoded.overflow && decoded.value != Arith256::ZERO;
        valid.then_some(decoded.value)
    }

    /// Whether `hash`, the header's own hash, meets the target that the header claims.
    pub fn meets_target(&self, hash: BlockHash) -> bool {
        self.target().is_some_and(|target| Arith256::from_lendian(hash.to_byte_array()) <= target)
    }
}

impl Encodable for Header {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
}

impl Decodable for Header {
    const MIN_SIZE: usize = Self::SIZE;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.read("nVersion")?,
            prev_blockhash: reader.read("hashPrevBlock")?,
            merkle_root: reader.read("hashMerkleRoot")?,
            time: reader.read("nTime")?,
            bits: reader.read("nBits")?,
            nonce: reader.read("nNonce")?,
        })
    }
}
