use std::sync::Arc;

use blst::min_pk::PublicKey;
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::BLSSignature;

use crate::bls::BlsScheme;
use crate::members::Members;
use crate::signing::{SignatureError, sign_hash, verify_with_key};

/// A quorum whose commitment its own key and its members' operators signed. Only a
/// [`QuorumVerifier`](super::QuorumVerifier) makes one.
///
/// The signatures prove the key, and the members who signed. They do not tell those members' order, and say nothing
/// about members who did not sign: of a rotated quorum these are as good as the snapshots, which
/// [`Evidence::check_snapshot`](crate::members::Evidence::check_snapshot) proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedQuorum {
    entry: Arc<QuorumEntry>,
    base_height: u32,
    members: Members,
    public_key: PublicKey,
}

impl VerifiedQuorum {
    /// Its final commitment.
    pub fn entry(&self) -> &Arc<QuorumEntry> {
        &self.entry
    }

    /// Height of its base block.
    pub fn base_height(&self) -> u32 {
        self.base_height
    }

    /// Its members in order.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Checks that the quorum signed `message_hash` in answer to the request `request_id`, as it signs InstantSend
    /// locks, ChainLocks and Platform's blocks. The scheme is [`BlsScheme::after`] the height at which it signed,
    /// whatever the scheme of its commitment.
    ///
    /// # Errors
    /// When the signature is malformed or wrong.
    pub fn verify_signature(
        &self,
        request_id: &[u8; 32],
        message_hash: &[u8; 32],
        signature: &BLSSignature,
        scheme: BlsScheme,
    ) -> Result<(), SignatureError> {
        let hash = sign_hash(self.entry.llmq_type, self.entry.quorum_hash, request_id, message_hash);
        verify_with_key(self.public_key, hash, signature, scheme)
    }

    pub(super) fn new(
        entry: Arc<QuorumEntry>,
        base_height: u32,
        members: Members,
        public_key: PublicKey,
    ) -> Self {
        Self { entry, base_height, members, public_key }
    }
}
