//! Quorums whose commitment is signed by the quorum and by its members.

mod commitment;
mod error;
mod verified_quorum;
mod verifier;

pub use error::{CommitmentBits, CommitmentSignature, QuorumError};
pub(crate) use verified_quorum::verify_with_key;
pub use verified_quorum::{SignatureError, VerifiedQuorum};
pub use verifier::{QuorumCandidate, QuorumVerifier};

pub use crate::bls::BlsScheme;
