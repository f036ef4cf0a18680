//! Quorums whose commitment is signed by the quorum and by its members.

mod commitment;
mod error;
mod verified_quorum;
mod verifier;

pub use error::{CommitmentBits, CommitmentSignature, QuorumError};
pub use verified_quorum::VerifiedQuorum;
pub use verifier::{QuorumCandidate, QuorumVerifier};

pub use crate::bls::BlsScheme;
pub use crate::signing::SignatureError;
