/// A stage of verification, of lists first, then of quorums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Answers from bytes to diffs.
    Decode,
    /// Lists: the coinbase's proof, and the hashes of all changed entries.
    Check,
    /// Lists: applied to their base, and both roots compared.
    Apply,
    /// Lists written by durable transactions.
    Store,
    /// Quorums looked at, for what their check needs.
    Survey,
    /// Quorums: members computed, reading lists included.
    Members,
    /// Quorums: the members' aggregate key, and both signatures, in batches.
    Signatures,
    /// Quorums without members: their own signature alone.
    QuorumSignature,
    /// ChainLocks.
    ChainLock,
}

impl Stage {
    pub(super) const ALL: [Self; 9] = [
        Self::Decode,
        Self::Check,
        Self::Apply,
        Self::Store,
        Self::Survey,
        Self::Members,
        Self::Signatures,
        Self::QuorumSignature,
        Self::ChainLock,
    ];

    /// Name in JSON and as a metric label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Check => "check",
            Self::Apply => "apply",
            Self::Store => "store",
            Self::Survey => "survey",
            Self::Members => "members",
            Self::Signatures => "signatures",
            Self::QuorumSignature => "quorum_signature",
            Self::ChainLock => "chain_lock",
        }
    }
}
