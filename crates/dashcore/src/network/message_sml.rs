//! `getmnlistd` and `mnlistdiff` (DIP4; Dash Core `CSimplifiedMNListDiff`, evo/smldiff.h).

use crate::blockdata::transaction::Transaction;
use crate::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use crate::bls_sig_utils::BLSSignature;
use crate::consensus::{
    Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size, encode_vec,
};
use crate::hash_types::{BlockHash, ProTxHash, QuorumHash, TxMerkleNode};
use crate::merkle_tree::PartialMerkleTree;
use crate::sml::llmq_type::LLMQType;
use crate::sml::masternode_list_entry::MasternodeListEntry;

/// `getmnlistd`: asks for what changed from one block's list to another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GetMnListDiff {
    /// Block whose list the asker has; zero or the genesis hash for the empty list.
    pub base_block_hash: BlockHash,
    /// Block whose list is wanted; not below the base.
    pub block_hash: BlockHash,
}

impl Encodable for GetMnListDiff {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.base_block_hash.consensus_encode(out);
        self.block_hash.consensus_encode(out);
    }
}

impl Decodable for GetMnListDiff {
    const MIN_SIZE: usize = 64;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            base_block_hash: reader.read("getmnlistd.baseBlockHash")?,
            block_hash: reader.read("getmnlistd.blockHash")?,
        })
    }
}

/// `mnlistdiff`: changes of masternodes and quorums between two blocks, with the proof of the new block's coinbase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MnListDiff {
    /// Always 1.
    pub version: u16,
    /// The base, exactly as it was asked for.
    pub base_block_hash: BlockHash,
    /// The block; zero when that block is below DIP3.
    pub block_hash: BlockHash,
    /// Number of transactions in the block.
    pub total_transactions: u32,
    /// Hashes of the partial merkle tree, depth first.
    pub merkle_hashes: Vec<TxMerkleNode>,
    /// Packed flags of the partial merkle tree.
    pub merkle_flags: Vec<u8>,
    /// The block's coinbase.
    pub coinbase_tx: Transaction,
    /// Masternodes that left the list, unordered.
    pub deleted_masternodes: Vec<ProTxHash>,
    /// Masternodes that joined or changed, unordered.
    pub new_masternodes: Vec<MasternodeListEntry>,
    /// Quorums that are no longer active, ascending by type and hash.
    pub deleted_quorums: Vec<DeletedQuorum>,
    /// Quorums that became active, ascending by type and hash.
    pub new_quorums: Vec<QuorumEntry>,
    /// ChainLock signatures from which the members of the new quorums are computed; empty before v20.
    pub quorums_chainlock_signatures: Vec<QuorumCLSigObject>,
}

impl MnListDiff {
    const VERSION: u16 = 1;

    /// The proof that the coinbase is in the block.
    pub fn partial_merkle_tree(&self) -> PartialMerkleTree<'_> {
        PartialMerkleTree {
            total_transactions: self.total_transactions,
            hashes: &self.merkle_hashes,
            flags: &self.merkle_flags,
        }
    }

    /// Base and block of an encoded diff, without decoding the rest.
    ///
    /// # Errors
    /// When the payload is shorter than its fixed first part or of another version.
    pub fn peek(payload: &[u8]) -> Result<GetMnListDiff, DecodeError> {
        let mut reader = Reader::new(payload);
        Self::decode_version(&mut reader)?;
        Ok(GetMnListDiff {
            base_block_hash: reader.read("mnlistdiff.baseBlockHash")?,
            block_hash: reader.read("mnlistdiff.blockHash")?,
        })
    }

    fn decode_version(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
        let start = reader.position();
        let version: u16 = reader.read("mnlistdiff.nVersion")?;
        if version != Self::VERSION {
            return Err(reader.error_at(start, DecodeErrorKind::of_version(version, Self::VERSION)));
        }
        Ok(version)
    }
}

impl Encodable for MnListDiff {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        self.base_block_hash.consensus_encode(out);
        self.block_hash.consensus_encode(out);
        self.total_transactions.consensus_encode(out);
        encode_vec(&self.merkle_hashes, out);
        encode_compact_size(self.merkle_flags.len(), out);
        out.extend_from_slice(&self.merkle_flags);
        self.coinbase_tx.consensus_encode(out);
        encode_vec(&self.deleted_masternodes, out);
        encode_vec(&self.new_masternodes, out);
        encode_vec(&self.deleted_quorums, out);
        encode_vec(&self.new_quorums, out);
        encode_vec(&self.quorums_chainlock_signatures, out);
    }
}

impl Decodable for MnListDiff {
    const MIN_SIZE: usize = 2 + 32 + 32 + 4 + 1 + 1 + Transaction::MIN_SIZE + 5;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: Self::decode_version(reader)?,
            base_block_hash: reader.read("mnlistdiff.baseBlockHash")?,
            block_hash: reader.read("mnlistdiff.blockHash")?,
            total_transactions: reader.read("mnlistdiff.totalTransactions")?,
            merkle_hashes: reader.vec("mnlistdiff.merkleHashes")?,
            merkle_flags: reader.field("mnlistdiff.merkleFlags").var_bytes()?.to_vec(),
            coinbase_tx: Transaction::consensus_decode(reader)?,
            deleted_masternodes: reader.vec("mnlistdiff.deletedMNs")?,
            new_masternodes: reader.vec("mnlistdiff.mnList")?,
            deleted_quorums: reader.vec("mnlistdiff.deletedQuorums")?,
            new_quorums: reader.vec("mnlistdiff.newQuorums")?,
            quorums_chainlock_signatures: reader.vec("mnlistdiff.quorumsCLSigs")?,
        })
    }
}

/// Names a quorum that is no longer active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeletedQuorum {
    /// Kind.
    pub llmq_type: LLMQType,
    /// Hash of the base block.
    pub quorum_hash: QuorumHash,
}

impl Encodable for DeletedQuorum {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.llmq_type.consensus_encode(out);
        self.quorum_hash.consensus_encode(out);
    }
}

impl Decodable for DeletedQuorum {
    const MIN_SIZE: usize = 33;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            llmq_type: reader.read("deletedQuorum.llmqType")?,
            quorum_hash: reader.read("deletedQuorum.quorumHash")?,
        })
    }
}

/// A ChainLock signature and the new quorums whose members depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumCLSigObject {
    /// The signature; zero when the work block's coinbase has none.
    pub signature: BLSSignature,
    /// Ascending indexes into [`MnListDiff::new_quorums`].
    pub index_set: Vec<u16>,
}

impl Encodable for QuorumCLSigObject {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.signature.consensus_encode(out);
        encode_vec(&self.index_set, out);
    }
}

impl Decodable for QuorumCLSigObject {
    const MIN_SIZE: usize = 97;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let signature = reader.read("quorumsCLSigs.signature")?;
        let start = reader.position();
        let index_set: Vec<u16> = reader.vec("quorumsCLSigs.indexes")?;
        if !index_set.is_sorted_by(|a, b| a < b) {
            return Err(reader.error_at(start, DecodeErrorKind::OutOfOrder));
        }
        Ok(Self { signature, index_set })
    }
}
