use std::sync::Arc;

use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::{BlockHash, ProTxHash};
use spv_masternodes::signing::{sign_hash, verify_signature};
use spv_masternodes::verification::{BlsScheme, SignatureError};
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::error::LookupError;
use crate::store::{Finding, QuorumRow, Store, StoreError};

/// A quorum that is active at a block; see [`proof`](Self::proof) for how far that is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quorum {
    /// Its final commitment. Proven to be the chain's; see [`proof`](Self::proof) for whether to rely on its key.
    pub entry: Arc<QuorumEntry>,
    /// Height of its base block; `None` where that is below the stored headers.
    pub base_height: Option<u32>,
    /// What the check of its signatures found; `None` when there was none.
    pub finding: Option<Finding>,
    /// Its members in order; empty unless verified.
    pub members: Vec<ProTxHash>,
    /// Height of the list that proves it active.
    pub height: u32,
    /// Block of that list.
    pub block_hash: BlockHash,
}

/// How far a quorum is proven. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum QuorumProof {
    /// No coinbase commits to it, as between DIP3 and DIP8. It is the word of whoever sent it.
    Unproven,
    /// Its commitment is in the set whose root a coinbase commits to.
    Active,
    /// Its own key signed its commitment. Who its members are was not computed.
    SignedByQuorum,
    /// Its own key and its members signed its commitment, so its key is usable. Which members there are also follows from
    /// snapshots on a peer's word; those who signed are confirmed by their signature, the others are not.
    VerifiedBySigners,
    /// The same, and its members follow from proven lists alone.
    Verified,
}

impl QuorumProof {
    /// Whether its key is usable.
    pub fn is_usable(self) -> bool {
        self >= Self::VerifiedBySigners
    }

    /// Name, as in JSON.
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
    /// How far it is proven.
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
        let mut row = store.quorum(entry.llmq_type, entry.quorum_hash, quorum.entry_hash)?;
        let mut finding = row.as_ref().map(QuorumRow::finding);
        if !state.are_quorums_proven() {
            // Whatever is known of the commitment, that it is active here is not.
            (row, finding) = (None, Some(Finding::NoRoot));
        }
        Ok(Self {
            base_height: store.height_of(&entry.quorum_hash.into())?,
            finding,
            members: row.map(|row| row.members().to_vec()).unwrap_or_default(),
            height: state.height(),
            block_hash: state.block_hash(),
            entry,
        })
    }
}

/// A verified quorum that has to sign something. Only a [`Client`](super::Client) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    quorum: Quorum,
    scheme: BlsScheme,
}

impl Signer {
    /// The quorum, whose [proof](Quorum::proof) [is usable](QuorumProof::is_usable), always.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The key that it signs with, in the encoding of its commitment.
    pub fn public_key(&self) -> BLSPublicKey {
        self.quorum.entry.quorum_public_key
    }

    /// Its members in order.
    pub fn members(&self) -> &[ProTxHash] {
        &self.quorum.members
    }

    /// What it signs when it answers the request `request_id` with `message_hash`.
    pub fn sign_hash(&self, request_id: &[u8; 32], message_hash: &[u8; 32]) -> [u8; 32] {
        let entry = &self.quorum.entry;
        sign_hash(entry.llmq_type, entry.quorum_hash, request_id, message_hash)
    }

    /// Checks that it answered the request `request_id` with `message_hash`. Takes a few milliseconds.
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

    pub(super) fn new(quorum: Quorum, scheme: BlsScheme) -> Result<Self, LookupError> {
        if quorum.proof().is_usable() {
            return Ok(Self { quorum, scheme });
        }
        let QuorumEntry { llmq_type, quorum_hash, .. } = *quorum.entry;
        Err(LookupError::QuorumUnverified { llmq_type, quorum_hash, finding: quorum.finding })
    }
}
