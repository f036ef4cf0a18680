//! Final commitments of quorums (DIP6; Dash Core `CFinalCommitment`, llmq/commitment.h).

use bitcoin_hashes::sha256d;

use crate::bitset::BitSet;
use crate::bls_sig_utils::{BLSPublicKey, BLSSignature};
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader};
use crate::hash_types::{QuorumHash, QuorumVVecHash};
use crate::sml::llmq_type::LLMQType;

/// A final commitment, versions 1 to 4: 1 legacy, 2 legacy with index, 3 basic, 4 basic with index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumEntry {
    /// 1 to 4.
    pub version: u16,
    /// Kind of quorum.
    pub llmq_type: LLMQType,
    /// Hash of the quorum's base block.
    pub quorum_hash: QuorumHash,
    /// Position within the cycle; only on rotated quorums (versions 2 and 4).
    pub quorum_index: Option<i16>,
    /// Members that signed the commitment.
    pub signers: BitSet,
    /// Members that took part validly in the DKG.
    pub valid_members: BitSet,
    /// The quorum's public key.
    pub quorum_public_key: BLSPublicKey,
    /// Hash of the verification vector.
    pub quorum_vvec_hash: QuorumVVecHash,
    /// `quorumSig`: recovered threshold signature of the commitment hash.
    pub threshold_sig: BLSSignature,
    /// `membersSig`: aggregate of the signers' operator signatures.
    pub all_commitment_aggregated_signature: BLSSignature,
}

impl QuorumEntry {
    const NEWEST_VERSION: u16 = 4;

    /// SHA-256d of the whole encoding: the leaf of the quorum merkle tree.
    pub fn entry_hash(&self) -> [u8; 32] {
        // Of mainnet's kinds none is longer.
        let mut bytes = Vec::with_capacity(512);
        self.consensus_encode(&mut bytes);
        sha256d::hash(&bytes).to_byte_array()
    }

    /// Whether commitments of this version carry an index, i.e. belong to a rotated quorum.
    const fn version_has_index(version: u16) -> bool {
        matches!(version, 2 | 4)
    }
}

impl Encodable for QuorumEntry {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        self.llmq_type.consensus_encode(out);
        self.quorum_hash.consensus_encode(out);
        if let Some(index) = self.quorum_index {
            index.consensus_encode(out);
        }
        self.signers.consensus_encode(out);
        self.valid_members.consensus_encode(out);
        self.quorum_public_key.consensus_encode(out);
        self.quorum_vvec_hash.consensus_encode(out);
        self.threshold_sig.consensus_encode(out);
        self.all_commitment_aggregated_signature.consensus_encode(out);
    }
}

impl Decodable for QuorumEntry {
    const MIN_SIZE: usize = 2 + 1 + 32 + 1 + 1 + 48 + 32 + 96 + 96;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let version: u16 = reader.read("commitment.nVersion")?;
        if !(1..=Self::NEWEST_VERSION).contains(&version) {
            return Err(reader.error_at(start, DecodeErrorKind::of_version(version, Self::NEWEST_VERSION)));
        }
        let llmq_type = reader.read("commitment.llmqType")?;
        let quorum_hash = reader.read("commitment.quorumHash")?;
        let quorum_index = if Self::version_has_index(version) {
            Some(reader.read("commitment.quorumIndex")?)
        } else {
            None
        };
        Ok(Self {
            version,
            llmq_type,
            quorum_hash,
            quorum_index,
            signers: reader.read("commitment.signers")?,
            valid_members: reader.read("commitment.validMembers")?,
            quorum_public_key: reader.read("commitment.quorumPublicKey")?,
            quorum_vvec_hash: reader.read("commitment.quorumVvecHash")?,
            threshold_sig: reader.read("commitment.quorumSig")?,
            all_commitment_aggregated_signature: reader.read("commitment.membersSig")?,
        })
    }
}
