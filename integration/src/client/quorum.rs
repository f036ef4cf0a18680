use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::{BlockHash, ProTxHash};
use spv_masternodes::signing::{sign_hash, verify_signature};
use spv_masternodes::verification::{BlsScheme, SignatureError};
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::error::LookupError;
use crate::store::{Finding, QuorumRow, Store, StoreError};

/// A quorum that is active at a block; [`proof`](Self::proof) tells what is proven of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quorum {
    /// Its final commitment. [`proof`](Self::proof) tells whether its key may be used.
    pub entry: Arc<QuorumEntry>,
    /// Height of its base block; `None` if that is below the stored headers.
    pub base_height: Option<u32>,
    /// Result of the check of its signatures; `None` if there was no check.
    pub finding: Option<Finding>,
    /// Its members in order; empty unless verified.
    pub members: Vec<ProTxHash>,
    /// Height of the list that proves it active.
    pub height: u32,
    /// Block of that list.
    pub block_hash: BlockHash,
}

/// Level of proof of a quorum. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum QuorumProof {
    /// No coinbase commits to the quorum, as between DIP3 and DIP8. It comes from a peer and nothing proves it.
    Unproven,
    /// Its commitment is in the set whose root a coinbase commits to.
    Active,
    /// Its own key signed its commitment. Its members were not computed.
    SignedByQuorum,
    /// Its own key and its members signed its commitment, so its key may be used. Its members were also computed from
    /// snapshots that a peer sent and that cannot be recomputed. The signature confirms the members that signed, but
    /// not the others.
    VerifiedBySigners,
    /// Its own key and its members signed its commitment, and its members were computed from proven lists alone.
    Verified,
}

impl QuorumProof {
    /// Tells whether its key may be used.
    pub fn is_usable(self) -> bool {
        self >= Self::VerifiedBySigners
    }

    /// Returns the name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Active => "active",
            Self::SignedByQuorum => "signed_by_quorum",
            Self::VerifiedBySigners => "verified_by_signers",
            Self::Verified => "verified",
        }
    }
}

impl Quorum {
    /// Returns the level of proof.
    pub fn proof(&self) -> QuorumProof {
        match self.finding {
            Some(Finding::Verified) => QuorumProof::Verified,
            Some(Finding::VerifiedBySigners) => QuorumProof::VerifiedBySigners,
            Some(Finding::SignedByQuorum) => QuorumProof::SignedByQuorum,
            Some(Finding::NoRoot) => QuorumProof::Unproven,
            _ => QuorumProof::Active,
        }
    }

    pub(super) fn read(
        store: &Store,
        quorum: &ActiveQuorum,
        state: &ProvenState,
    ) -> Result<Self, StoreError> {
        let entry = quorum.entry.clone();
        let base_height = store.height_of(&entry.quorum_hash.into())?;
        let mut row = store.quorum(entry.llmq_type, entry.quorum_hash, quorum.entry_hash)?;
        // The row of a checked quorum goes in the same commit as its base block, so it cannot be there without it. The height
        // is read first, so that a reorganisation between the two reads does not look like damage.
        let checked_at = row.as_ref().map(QuorumRow::base_height).filter(|height| *height > 0);
        if checked_at.is_some_and(|height| base_height != Some(height)) {
            return Err(store.damaged("height of a block"));
        }
        let mut finding = row.as_ref().map(QuorumRow::finding);
        if !state.are_quorums_proven() {
            // Whatever is known of the commitment, that it is active here is not.
            (row, finding) = (None, Some(Finding::NoRoot));
        }
        Ok(Self {
            base_height,
            finding,
            members: row.map(|row| row.members().to_vec()).unwrap_or_default(),
            height: state.height(),
            block_hash: state.block_hash(),
            entry,
        })
    }
}

/// A verified quorum that has to sign something. Only a [`Client`](super::Client) creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    quorum: Quorum,
    scheme: BlsScheme,
}

impl Signer {
    /// Returns the quorum. Its [proof](Quorum::proof) always [is usable](QuorumProof::is_usable).
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Returns the key with which it signs, in the encoding of its commitment.
    pub fn public_key(&self) -> BLSPublicKey {
        self.quorum.entry.quorum_public_key
    }

    /// Its members in order.
    pub fn members(&self) -> &[ProTxHash] {
        &self.quorum.members
    }

    /// Returns the hash that it signs when it answers the request `request_id` with `message_hash`.
    pub fn sign_hash(&self, request_id: &[u8; 32], message_hash: &[u8; 32]) -> [u8; 32] {
        let entry = &self.quorum.entry;
        sign_hash(entry.llmq_type, entry.quorum_hash, request_id, message_hash)
    }

    /// Checks a signature that answers the request `request_id` with `message_hash`. This takes a few milliseconds.
    ///
    /// # Errors
    /// When the signature is malformed or wrong.
    pub fn verify(
        &self,
        request_id: &[u8; 32],
        message_hash: &[u8; 32],
        signature: &BLSSignature,
    ) -> Result<(), SignatureError> {
        verify_signature(&self.quorum.entry, request_id, message_hash, signature, self.scheme)
    }

    /// Whether both are the same quorum, wherever that is shown to be active.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.quorum.entry == other.quorum.entry
    }

    pub(super) fn new(quorum: Quorum, scheme: BlsScheme) -> Result<Self, LookupError> {
        if quorum.proof().is_usable() {
            return Ok(Self { quorum, scheme });
        }
        let QuorumEntry { llmq_type, quorum_hash, .. } = *quorum.entry;
        Err(LookupError::QuorumUnverified { llmq_type, quorum_hash, finding: quorum.finding })
    }
}

/// The first of these that signed `message_hash` in answer to a request.
pub(super) fn first_that_signed(
    signers: Vec<Signer>,
    request_id: &[u8; 32],
    message_hash: &[u8; 32],
    signature: &BLSSignature,
) -> Result<Signer, SignatureError> {
    let mut wrong = SignatureError::Wrong;
    for signer in signers {
        match signer.verify(request_id, message_hash, signature) {
            Ok(()) => return Ok(signer),
            Err(error) => wrong = error,
        }
    }
    Err(wrong)
}
