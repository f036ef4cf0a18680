//! The coinbase payload: what a block says about its masternode list and quorums (DIP4; Dash Core `CCbTx`, evo/cbtx.h).

use crate::bls_sig_utils::BLSSignature;
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_u64};
use crate::hash_types::{MerkleRootAssetUnlocks, MerkleRootMasternodeList, MerkleRootQuorums};

/// Coinbase payload, versions 1 to 4, and of later ones what they can be expected to begin with: each version so far has
/// appended to the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoinbasePayload {
    /// 1 from DIP3, 2 from DIP8, 3 from v20, 4 from v24.
    pub version: u16,
    /// Height of the block.
    pub height: i32,
    /// Root of the masternode list after this block.
    pub merkle_root_masternode_list: MerkleRootMasternodeList,
    /// Root of the active final commitments after this block; from version 2.
    pub merkle_root_quorums: Option<MerkleRootQuorums>,
    /// Best ChainLock known to the miner and the credit pool; from version 3.
    pub chain_lock: Option<BestChainLock>,
    /// Root of the block's withdrawals from the credit pool; of version 4.
    pub merkle_root_asset_unlocks: Option<MerkleRootAssetUnlocks>,
    /// What a version above 4 carries behind its credit pool, as it came; empty up to version 4.
    pub unknown: Vec<u8>,
}

impl CoinbasePayload {
    /// The newest version of which every field is known.
    pub const NEWEST_VERSION: u16 = 4;

    /// Whether rules made it that are newer than what is known here.
    pub const fn is_of_later_version(&self) -> bool {
        self.version > Self::NEWEST_VERSION
    }
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
        if let Some(root) = &self.merkle_root_asset_unlocks {
            root.consensus_encode(out);
        }
        out.extend_from_slice(&self.unknown);
    }
}

impl Decodable for CoinbasePayload {
    const MIN_SIZE: usize = 38;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let version: u16 = reader.read("cbTx.version")?;
        if version == 0 {
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
        let merkle_root_asset_unlocks = if version == Self::NEWEST_VERSION {
            Some(reader.read("cbTx.merkleRootAssetUnlocks")?)
        } else {
            None
        };
        let unknown = if version > Self::NEWEST_VERSION {
            let length = reader.remaining();
            reader.field("cbTx.unknown").bytes(length)?.to_vec()
        } else {
            Vec::new()
        };
        Ok(Self {
            version,
            height,
            merkle_root_masternode_list,
            merkle_root_quorums,
            chain_lock,
            merkle_root_asset_unlocks,
            unknown,
        })
    }
}
