use std::fmt;

use dashcore::ProTxHash;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::sml::llmq_type::LLMQType;

/// Why a quorum's commitment is not verified.
///
/// A commitment from a [`ProvenState`](crate::ProvenState) is the chain's own: then the members are wrong, which is to
/// say that a snapshot is, or the base height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// The network has no such kind of quorum.
    #[error("quorum type {0} does not exist on this network")]
    UnknownType(LLMQType),
    /// The commitment is of another version than its kind and height ask for.
    #[error("the commitment has version {got}, but {expected} is required")]
    WrongVersion {
        /// Version that is due.
        expected: u16,
        /// Version of the commitment.
        got: u16,
    },
    /// No quorum with this index has its base block at this height.
    #[error("a quorum {} cannot have its base block at height {base_height}", with(*index))]
    WrongIndex {
        /// Index in the commitment.
        index: Option<i16>,
        /// Height in blocks.
        base_height: u32,
    },
    /// The commitment has another number of bits than its kind has members.
    #[error("the commitment has {got} {bits}, but the quorum size is {expected}")]
    WrongBitCount {
        /// Which bits.
        bits: CommitmentBits,
        /// Size of quorums of this kind.
        expected: u32,
        /// Number of bits.
        got: usize,
    },
    /// Too few bits are set.
    #[error("the commitment has {got} {bits}, but at least {min} are required")]
    TooFewSet {
        /// Which bits.
        bits: CommitmentBits,
        /// Fewest that make a quorum.
        min: u32,
        /// Number of bits that are set.
        got: usize,
    },
    /// A bit is set for which there is no member.
    #[error("the commitment marks member number {index} of {members} in its {bits}")]
    NoSuchMember {
        /// Which bits.
        bits: CommitmentBits,
        /// Position of the first such bit.
        index: usize,
        /// Number of members.
        members: usize,
    },
    /// The commitment has no verification vector.
    #[error("the commitment has no verification vector")]
    NoVerificationVector,
    /// The quorum's public key is not a point on the curve.
    #[error("quorum public key {0} is not a valid key")]
    MalformedPublicKey(BLSPublicKey),
    /// The operator key of a member who signed is not a point on the curve.
    #[error("operator key {key} of masternode {member} is not a valid key")]
    MalformedOperatorKey {
        /// The member.
        member: ProTxHash,
        /// Its operator's key.
        key: BLSPublicKey,
    },
    /// A signature is not a point on the curve.
    #[error("{which} {signature} is not a valid encoding")]
    MalformedSignature {
        /// Which signature.
        which: CommitmentSignature,
        /// Its bytes.
        signature: BLSSignature,
    },
    /// A signature is not one of this commitment by its quorum or its members.
    #[error("{which} is wrong")]
    WrongSignature {
        /// Which signature. Where both are wrong, the quorum's.
        which: CommitmentSignature,
        /// What should have been signed.
        commitment_hash: [u8; 32],
    },
}

/// One of a commitment's two bit sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitmentBits {
    /// Members that signed the commitment.
    Signers,
    /// Members that took part validly.
    ValidMembers,
}

impl fmt::Display for CommitmentBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signers => "signers",
            Self::ValidMembers => "valid members",
        })
    }
}

/// One of a commitment's two signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitmentSignature {
    /// By the quorum's own key: `quorumSig`.
    Quorum,
    /// By the operators of the members: `membersSig`.
    Members,
}

impl fmt::Display for CommitmentSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quorum => "quorum signature",
            Self::Members => "members' signature",
        })
    }
}

fn with(index: Option<i16>) -> String {
    index.map_or_else(|| "without an index".to_owned(), |index| format!("with index {index}"))
}
