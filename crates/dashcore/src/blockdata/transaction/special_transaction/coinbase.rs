//! The coinbase payload: what a block says about its masternode list and quorums (DIP4; Dash Core `CCbTx`, evo/cbtx.h).

use crate::bls_sig_utils::BLSSignature;
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_u64};
use crate::hash_types::{MerkleRootMasternodeList, MerkleRootQuorums};

/// Coinbase payload, versions 1 to 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoinbasePayload {
    /// 1 from DIP3, 2 from DIP8, 3 from v20.
    pub version: u16,
    /// Height of the block.
    pub height: i32,
    /// Root of the masternode list after this block.
    pub merkle_root_masternode_list: MerkleRootMasternodeList,
    /// Root of the active final commitments after this block; from version 2.
    pub merkle_root_quorums: Option<MerkleRootQuorums>,
    /// Best ChainLock known to the miner and the credit pool; from version 3.
    pub chain_lock: Option<BestChainLock>,
}

/// The part of the coinbase payload that version 3 adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestChainLock {
    /// The locked height is the block's height - 1 - this.
    pub best_cl_height_diff: u64,
    /// Signature of that ChainLock; all zero when there is none.
    pub best_cl_signature: BLSSignature,
    /// Balance of the asset-lock credit pool, in duffs.
    pub asset_locked_amount: i64,
}

impl Encodable for CoinbasePayload {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        self.height.consensus_encode(out);
        self.merkle_root_masternode_list.consensus_encode(out);
        if let Some(root) = &self.merkle_root_quorums {
            root.consensus_encode(out);
        }
        if let Some(chain_lock) = &self.chain_lock {
            encode_compact_u64(chain_lock.best_cl_height_diff, out);
            chain_lock.best_cl_signature.consensus_encode(out);
            chain_lock.asset_locked_amount.consensus_encode(out);
        }
    }
}

impl Decodable for CoinbasePayload {
    const MIN_SIZE: usize = 38;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let version: u16 = reader.read("cbTx.version")?;
        if !(1..=3).contains(&version) {
            return Err(reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(version) }));
        }
        let height = reader.read("cbTx.height")?;
        let merkle_root_masternode_list = reader.read("cbTx.merkleRootMNList")?;
        let merkle_root_quorums =
            if version >= 2 { Some(reader.read("cbTx.merkleRootQuorums")?) } else { None };
        let chain_lock = if version >= 3 {
            Some(BestChainLock {
                best_cl_height_diff: reader.field("cbTx.bestCLHeightDiff").compact_size()?,
                best_cl_signature: reader.read("cbTx.bestCLSignature")?,
                asset_locked_amount: reader.read("cbTx.creditPoolBalance")?,
            })
        } else {
            None
        };
        Ok(Self { version, height, merkle_root_masternode_list, merkle_root_quorums, chain_lock })
    }
}
