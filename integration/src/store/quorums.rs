use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ProTxHash, QuorumHash};
use spv_masternodes::verification::VerifiedQuorum;

use super::digest::digest;
use super::schema::QUORUMS;
use super::{Store, StoreError};

/// The stored result of the check of a quorum. It says that the quorum is verified only if it was made from a
/// [`VerifiedQuorum`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumRow {
    llmq_type: LLMQType,
    quorum_hash: QuorumHash,
    base_height: u32,
    entry_hash: [u8; 32],
    finding: Finding,
    members: Vec<ProTxHash>,
}

impl QuorumRow {
    /// Both signatures of a quorum verify, against members that follow from proven lists alone.
    pub(crate) fn verified(quorum: &VerifiedQuorum) -> Self {
        Self::of_verified(quorum, Finding::Verified)
    }

    /// Both signatures of a quorum verify, against members that also follow from snapshots on a peer's word.
    pub(crate) fn verified_by_signers(quorum: &VerifiedQuorum) -> Self {
        Self::of_verified(quorum, Finding::VerifiedBySigners)
    }

    fn of_verified(quorum: &VerifiedQuorum, finding: Finding) -> Self {
        let members = quorum.members().iter().map(|member| member.pro_reg_tx_hash).collect();
        Self::new(quorum.entry(), quorum.base_height(), finding, members)
    }

    /// A quorum whose signatures do not verify, or not both, or cannot be checked. `base_height` is 0 where that is not
    /// known.
    pub(crate) fn unverified(entry: &QuorumEntry, base_height: u32, why: Unverified) -> Self {
        Self::new(entry, base_height, why.into(), Vec::new())
    }

    fn new(entry: &QuorumEntry, base_height: u32, finding: Finding, members: Vec<ProTxHash>) -> Self {
        Self {
            llmq_type: entry.llmq_type,
            quorum_hash: entry.quorum_hash,
            base_height,
            entry_hash: entry.entry_hash(),
            finding,
            members,
        }
    }

    /// Kind of quorum.
    pub fn llmq_type(&self) -> LLMQType {
        self.llmq_type
    }

    /// Its hash: that of its base block.
    pub fn quorum_hash(&self) -> QuorumHash {
        self.quorum_hash
    }

    /// Height of its base block; 0 where that is not known.
    pub fn base_height(&self) -> u32 {
        self.base_height
    }

    /// Hash of the commitment that was checked; the row holds for no other commitment.
    pub fn entry_hash(&self) -> [u8; 32] {
        self.entry_hash
    }

    /// What was found.
    pub fn finding(&self) -> Finding {
        self.finding
    }

    /// Members in order; empty unless verified.
    pub fn members(&self) -> &[ProTxHash] {
        &self.members
    }

    /// Any row whatever, as nothing but a test of the store may make one.
    #[cfg(test)]
    pub(crate) fn made_up(
        entry: &QuorumEntry,
        base_height: u32,
        finding: Finding,
        members: Vec<ProTxHash>,
    ) -> Self {
        Self::new(entry, base_height, finding, members)
    }
}

/// Why a quorum is not verified: every [`Finding`] that does not claim it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// See [`Finding::SignedByQuorum`].
    SignedByQuorum,
    /// See [`Finding::MissingList`].
    MissingList,
    /// See [`Finding::MissingSnapshot`].
    MissingSnapshot,
    /// See [`Finding::WrongMembers`].
    WrongMembers,
    /// See [`Finding::WrongCommitment`].
    WrongCommitment,
    /// See [`Finding::WrongSignature`].
    WrongSignature,
}

impl From<Unverified> for Finding {
    fn from(why: Unverified) -> Self {
        match why {
            Unverified::SignedByQuorum => Self::SignedByQuorum,
            Unverified::MissingList => Self::MissingList,
            Unverified::MissingSnapshot => Self::MissingSnapshot,
            Unverified::WrongMembers => Self::WrongMembers,
            Unverified::WrongCommitment => Self::WrongCommitment,
            Unverified::WrongSignature => Self::WrongSignature,
        }
    }
}

/// Result of the check of a quorum's signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Finding {
    /// Both signatures verify, with members that were computed from proven lists alone.
    Verified,
    /// Both signatures verify, with members that were also computed from snapshots that a peer sent and that cannot be
    /// recomputed. The signatures confirm the key and the members that signed.
    VerifiedBySigners,
    /// Its own key signed its commitment. Nothing else can be checked: its base block is below the stored headers, so
    /// its members cannot be computed. Mainnet keeps quorums of type 1 that are years old.
    SignedByQuorum,
    /// A masternode list that is needed to compute its members could not be downloaded.
    MissingList,
    /// A snapshot that is needed to compute its members could not be downloaded.
    MissingSnapshot,
    /// The snapshots from which its members would be computed are malformed, or such a quorum cannot exist.
    WrongMembers,
    /// The commitment is malformed, or does not fit the members.
    WrongCommitment,
    /// A signature is wrong.
    WrongSignature,
    /// No coinbase commits to the quorum, as between DIP3 and DIP8. It comes from a peer, and nothing was checked.
    NoRoot,
}

impl Finding {
    /// Whether both signatures verify, the quorum's own and that of its members.
    pub const fn is_verified(self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedBySigners)
    }

    /// Tells whether something is wrong, as opposed to missing.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::WrongMembers | Self::WrongCommitment | Self::WrongSignature)
    }

    /// Returns the name, as in JSON and as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::VerifiedBySigners => "verified_by_signers",
            Self::SignedByQuorum => "signed_by_quorum",
            Self::MissingList => "missing_list",
            Self::MissingSnapshot => "missing_snapshot",
            Self::WrongMembers => "wrong_members",
            Self::WrongCommitment => "wrong_commitment",
            Self::WrongSignature => "wrong_signature",
            Self::NoRoot => "no_root",
        }
    }

    pub(crate) const ALL: [Self; 9] = [
        Self::Verified,
        Self::VerifiedBySigners,
        Self::SignedByQuorum,
        Self::MissingList,
        Self::MissingSnapshot,
        Self::WrongMembers,
        Self::WrongCommitment,
        Self::WrongSignature,
        Self::NoRoot,
    ];
}

impl Store {
    /// Stores what was found about quorums in one durable transaction, in place of what was known before.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_quorums(&self, rows: &[QuorumRow]) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            {
                let mut table = transaction.open_table(QUORUMS).map_err(|source| self.failed(source))?;
                for row in rows {
                    let members: Vec<u8> =
                        row.members.iter().flat_map(|name| *name.as_byte_array()).collect();
                    let value = (row.base_height, &row.entry_hash, row.finding as u8, members.as_slice());
                    let name = name(row.llmq_type, row.quorum_hash);
                    table
                        .insert(&name, (value, sealed(&name, value)))
                        .map_err(|source| self.failed(source))?;
                }
            }
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    /// What is known of a quorum; `None` when it was never looked at, or with another commitment.
    ///
    /// # Errors
    /// When reading fails.
    pub fn quorum(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
        entry_hash: [u8; 32],
    ) -> Result<Option<QuorumRow>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(QUORUMS).map_err(|source| self.failed(source))?;
            let row = table.get(&name(llmq_type, quorum_hash)).map_err(|source| self.failed(source))?;
            let Some(row) = row else { return Ok(None) };
            let (value, seal) = row.value();
            if seal != sealed(&name(llmq_type, quorum_hash), value) {
                return Err(self.damaged("quorum"));
            }
            let (base_height, checked, code, members) = value;
            if *checked != entry_hash {
                return Ok(None);
            }
            let (members, rest) = members.as_chunks::<32>();
            let finding = Finding::ALL.get(usize::from(code)).filter(|_| rest.is_empty());
            let &finding = finding.ok_or_else(|| self.damaged("quorum"))?;
            let members = members.iter().map(|name| ProTxHash::from_byte_array(*name)).collect();
            Ok(Some(QuorumRow { llmq_type, quorum_hash, base_height, entry_hash, finding, members }))
        })
    }
}

fn sealed(name: &[u8; 33], value: (u32, &[u8; 32], u8, &[u8])) -> u64 {
    digest::<&[u8; 33], (u32, &[u8; 32], u8, &[u8])>("quorums", name, value)
}

fn name(llmq_type: LLMQType, quorum_hash: QuorumHash) -> [u8; 33] {
    let mut name = [llmq_type.0; 33];
    name[1..].copy_from_slice(quorum_hash.as_byte_array());
    name
}
