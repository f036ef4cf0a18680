//! ChainLocks (DIP8; Dash Core `CChainLockSig`, chainlock/clsig.h).

use bitcoin_hashes::sha256d;

use crate::bls_sig_utils::BLSSignature;
use crate::consensus::{Decodable, DecodeError, Encodable, Reader};
use crate::hash_types::BlockHash;

/// Payload of `clsig`: a quorum's word that a block is the one at its height, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLock {
    /// Height of the block.
    pub block_height: u32,
    /// Hash of the block.
    pub block_hash: BlockHash,
    /// Recovered threshold signature of the quorum.
    pub signature: BLSSignature,
}

impl ChainLock {
    /// The id under which quorums are asked to lock a block at this height. It decides which of them signs.
    pub fn request_id(block_height: u32) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(10);
        bytes.push(5);
        bytes.extend_from_slice(b"clsig");
        block_height.consensus_encode(&mut bytes);
        sha256d::hash(&bytes).to_byte_array()
    }
}

impl Encodable for ChainLock {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.block_height.consensus_encode(out);
        self.block_hash.consensus_encode(out);
        self.signature.consensus_encode(out);
    }
}

impl Decodable for ChainLock {
    const MIN_SIZE: usize = 4 + 32 + 96;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block_height: reader.read("clsig.height")?,
            block_hash: reader.read("clsig.blockHash")?,
            signature: reader.read("clsig.signature")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{deserialize, serialize};

    #[test]
    fn a_chain_lock_round_trips() {
        let mut bytes = vec![3, 2, 1, 0];
        bytes.extend([7; 32]);
        bytes.extend([9; 96]);
        let lock: ChainLock = deserialize(&bytes).unwrap();
        assert_eq!((lock.block_height, lock.signature), (0x0001_0203, BLSSignature::from_bytes([9; 96])));
        assert_eq!(serialize(&lock), bytes);
        assert!(deserialize::<ChainLock>(&bytes[1..]).is_err());
    }
}
