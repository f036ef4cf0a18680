//! Hash newtypes. All hold the *internal* byte order of the wire; `Display` and `FromStr` use the order in which
//! Dash Core's RPC prints the hash (reversed for SHA-256d hashes).

use bitcoin_hashes::{hash_newtype, hash160, impl_hex_for_newtype, impl_serde_for_newtype, sha256d};

macro_rules! hashes {
    ($($(#[$doc:meta])* $name:ident($inner:path);)+) => {
        hash_newtype! {
            $($(#[$doc])* pub struct $name($inner);)+
        }
        impl_hex_for_newtype!($($name),+);
        impl_serde_for_newtype!($($name),+);
        $(
            impl $name {
                /// The hash whose bytes are all zero, which the protocol uses for "none".
                pub const fn all_zeros() -> Self {
                    Self::from_byte_array([0; <$inner as bitcoin_hashes::Hash>::LEN])
                }

                /// Whether every byte is zero.
                pub fn is_null(&self) -> bool {
                    self.as_byte_array().iter().all(|&byte| byte == 0)
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    Self::all_zeros()
                }
            }

            impl crate::consensus::Encodable for $name {
                fn consensus_encode(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(self.as_byte_array());
                }
            }

            impl crate::consensus::Decodable for $name {
                const MIN_SIZE: usize = <$inner as bitcoin_hashes::Hash>::LEN;

                fn consensus_decode(
                    reader: &mut crate::consensus::Reader<'_>,
                ) -> Result<Self, crate::consensus::DecodeError> {
                    Ok(Self::from_byte_array(reader.array()?))
                }
            }
        )+
    };
}

hashes! {
    /// X11 hash of a block header.
    BlockHash(sha256d::Hash);
    /// SHA-256d of a serialised transaction.
    Txid(sha256d::Hash);
    /// Node of a block's transaction merkle tree; its root stands in the header.
    TxMerkleNode(sha256d::Hash);
    /// Hash of the transaction that registered a masternode; names the masternode for its whole life.
    ProTxHash(sha256d::Hash);
    /// Hash of the block at which a masternode's registration was confirmed.
    ConfirmedHash(sha256d::Hash);
    /// Hash of the block at which a quorum's DKG session started; with the type it names the quorum.
    QuorumHash(sha256d::Hash);
    /// Hash of a quorum's verification vector.
    QuorumVVecHash(sha256d::Hash);
    /// Merkle root over a simplified masternode list, as the coinbase commits to it.
    MerkleRootMasternodeList(sha256d::Hash);
    /// Merkle root over the active final commitments, as the coinbase commits to it.
    MerkleRootQuorums(sha256d::Hash);
    /// Merkle root over a block's asset unlocks, as the coinbase commits to it from v24 on.
    MerkleRootAssetUnlocks(sha256d::Hash);
    /// RIPEMD-160 of SHA-256 of a public key.
    PubkeyHash(hash160::Hash);
}

impl From<Txid> for TxMerkleNode {
    fn from(txid: Txid) -> Self {
        Self::from_byte_array(txid.to_byte_array())
    }
}

impl From<BlockHash> for QuorumHash {
    fn from(block_hash: BlockHash) -> Self {
        Self::from_byte_array(block_hash.to_byte_array())
    }
}

impl From<QuorumHash> for BlockHash {
    fn from(quorum_hash: QuorumHash) -> Self {
        Self::from_byte_array(quorum_hash.to_byte_array())
    }
}
