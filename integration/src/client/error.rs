use std::sync::Arc;

use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, ProTxHash, QuorumHash};
use spv_masternodes::verification::SignatureError;

use crate::config::ConfigError;
use crate::store::{Finding, StoreError};

/// Why a client cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a lookup failed. The message says what to do next.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No list is stored.
    #[error("no list is stored yet; run a sync first (`qrsync sync`)")]
    Empty,
    /// The height is below all that is stored.
    #[error(
        "height {height} is below the lowest stored list, that of height {start}; sync further back \
         (`qrsync sync --from {height}`)"
    )]
    BelowStart {
        /// Requested height.
        height: u32,
        /// Height of the lowest stored list.
        start: u32,
    },
    /// The height is above the stored chain.
    #[error("height {height} is above the stored tip at height {tip}; sync again (`qrsync sync`)")]
    AboveTip {
        /// Height asked for.
        height: u32,
        /// Height of the stored tip.
        tip: u32,
    },
    /// There are lists below and above, but none for this height, and those that there are do not tell.
    #[error(
        "no list is stored for height {height}; the nearest one is for height {nearest} \
         (`qrsync sync --from HEIGHT` brings those of all cycles)"
    )]
    NotStored {
        /// Height asked for.
        height: u32,
        /// Height of the nearest stored list.
        nearest: u32,
    },
    /// The list has no such masternode. The list is proven, so there is none.
    #[error(
        "no masternode {pro_tx_hash} at height {height}; `qrsync masternodes --height {height}` lists all"
    )]
    UnknownMasternode {
        /// The requested masternode.
        pro_tx_hash: ProTxHash,
        /// Height of the list.
        height: u32,
    },
    /// No such quorum is active at this height, which is proven.
    #[error(
        "no active quorum of type {llmq_type} with hash {quorum_hash} at height {height}; \
         `qrsync quorums` lists all at stored heights"
    )]
    UnknownQuorum {
        /// Kind of quorum.
        llmq_type: LLMQType,
        /// The requested quorum.
        quorum_hash: QuorumHash,
        /// Height of the lookup.
        height: u32,
    },
    /// The quorum has left the active set so long ago that nobody signs with it any more.
    #[error(
        "quorum {quorum_hash} of type {llmq_type} has retired: the last stored list in which it is active is that of height \
         {last_active}, which is too far below height {height} for it to sign there"
    )]
    Retired {
        /// Kind of quorum.
        llmq_type: LLMQType,
        /// The quorum asked for.
        quorum_hash: QuorumHash,
        /// Height at which it was looked for.
        height: u32,
        /// Height of the last stored list in which it is active.
        last_active: u32,
    },
    /// The network no longer uses this quorum type.
    #[error("quorums of type {llmq_type} sign nothing at height {height}: the network has switched them off")]
    SwitchedOff {
        /// Kind of quorum.
        llmq_type: LLMQType,
        /// Height at which it would sign.
        height: u32,
    },
    /// It is proven that no quorum that could sign is active at this height.
    #[error("no quorum of type {llmq_type} that could sign this was active at height {height}")]
    NoQuorum {
        /// Kind of quorum.
        llmq_type: LLMQType,
        /// Height whose active quorums would sign.
        height: u32,
    },
    /// The network has no such quorum type.
    #[error("quorum type {0} does not exist on this network; `qrsync quorums` shows those that do")]
    UnknownType(LLMQType),
    /// The quorum is active, but its signatures do not both verify, so its key is not to be relied on.
    #[error(
        "quorum {quorum_hash} of type {llmq_type} is not verified ({}); {}",
        finding_name(*finding), next_step(*finding)
    )]
    QuorumUnverified {
        /// Kind of quorum.
        llmq_type: LLMQType,
        /// The quorum.
        quorum_hash: QuorumHash,
        /// Result of its check; `None` if it was never checked.
        finding: Option<Finding>,
    },
    /// The block that names a cycle is not in the stored chain.
    #[error(
        "block {cycle_hash} is not in the stored chain; sync again, or further back (`qrsync sync --from HEIGHT`)"
    )]
    UnknownCycle {
        /// The block.
        cycle_hash: BlockHash,
    },
    /// The block that is said to begin a cycle does not.
    #[error(
        "block {cycle_hash} at height {height} is not the first block of a cycle; cycles begin every {interval} blocks"
    )]
    NoCycle {
        /// The block.
        cycle_hash: BlockHash,
        /// Its height.
        height: u32,
        /// Length of a cycle in blocks.
        interval: u32,
    },
    /// A sync that is running may bring what is missing.
    #[error("{missing}; a sync that is running now may bring it")]
    Syncing {
        /// What is missing.
        missing: Box<Self>,
    },
    /// Too many lookups are running.
    #[error("{limit} lookups are already running; wait for some, or raise client.max_lookups")]
    Busy {
        /// The configured limit.
        limit: usize,
    },
    /// The database failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl LookupError {
    /// Returns the name of what happened, as in answers of the service.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::BelowStart { .. } => "below_start",
            Self::AboveTip { .. } => "above_tip",
            Self::NotStored { .. } => "not_stored",
            Self::UnknownMasternode { .. } => "unknown_masternode",
            Self::UnknownQuorum { .. } => "unknown_quorum",
            Self::Retired { .. } => "retired",
            Self::SwitchedOff { .. } => "switched_off",
            Self::NoQuorum { .. } => "no_quorum",
            Self::UnknownType(_) => "unknown_type",
            Self::QuorumUnverified { .. } => "quorum_unverified",
            Self::UnknownCycle { .. } => "unknown_cycle",
            Self::NoCycle { .. } => "no_cycle",
            Self::Busy { .. } => "busy",
            Self::Syncing { missing } => missing.kind(),
            Self::Store(_) => "store",
        }
    }

    /// Returns what is missing: the error itself, but for [`Syncing`](Self::Syncing).
    pub fn missing(&self) -> &Self {
        match self {
            Self::Syncing { missing } => missing.missing(),
            error => error,
        }
    }

    /// Tells whether the same lookup may succeed later, without another configuration: after the next sync, with the
    /// next block, or when there is less to do.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Empty
            | Self::AboveTip { .. }
            | Self::UnknownCycle { .. }
            | Self::Syncing { .. }
            | Self::Busy { .. } => true,
            // What was never looked at is below what syncs of this configuration look at, unless one is running.
            Self::QuorumUnverified { finding, .. } => {
                !matches!(finding, None | Some(Finding::SignedByQuorum | Finding::NoRoot))
            }
            _ => false,
        }
    }
}

impl LookupError {
    /// Whether there are lists around the height, but not that of the height itself.
    pub(super) fn is_not_stored(&self) -> bool {
        matches!(self.missing(), Self::NotStored { .. })
    }

    /// Wraps the error in [`Syncing`](Self::Syncing) if a sync is running that may bring what is missing.
    pub(super) fn may_pass(self, is_syncing: bool) -> Self {
        match self {
            missing @ (Self::BelowStart { .. }
            | Self::NotStored { .. }
            | Self::UnknownMasternode { .. }
            | Self::UnknownQuorum { .. }
            | Self::QuorumUnverified { finding: None, .. }
            | Self::Retired { .. })
                if is_syncing =>
            {
                Self::Syncing { missing: Box::new(missing) }
            }
            error => error,
        }
    }
}

impl From<StoreError> for LookupError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// Why a lock is not verified.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The lock cannot be checked, because the quorum that has to sign it is not known. The lock may be valid.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The lock contradicts a verified ChainLock: its block is on a branch that the network has abandoned.
    #[error("block {locked} at height {height} is locked: the lock is of an abandoned branch")]
    Abandoned {
        /// Height of both blocks.
        height: u32,
        /// The locked block at that height.
        locked: BlockHash,
    },
    /// An InstantSend lock has a version that is not known here, and the signature does not cover it.
    #[error("the lock has version {version}, which this version of the client does not know")]
    UnknownVersion {
        /// Its version.
        version: u8,
    },
    /// An InstantSend lock is of no transaction, spends nothing, or spends an output twice.
    #[error("the lock is wrong: no transaction spends these inputs")]
    Form,
    /// The required quorum did not sign the lock.
    #[error("the lock is wrong: {0}")]
    Signature(#[from] SignatureError),
}

fn finding_name(finding: Option<Finding>) -> &'static str {
    finding.map_or("never checked", Finding::as_str)
}

fn next_step(finding: Option<Finding>) -> &'static str {
    match finding {
        None => {
            "sync further back (--from), or again with the signatures of quorums (not --skip-quorum-signatures)"
        }
        Some(Finding::SignedByQuorum) => {
            "its members are from below the stored headers: sync further back (--from)"
        }
        Some(Finding::NoRoot) => "before DIP8 no coinbase tells which quorums there are",
        Some(finding) if finding.is_failure() => "sync again, with other peers",
        Some(_) => "sync again, so that what is missing is asked for anew",
    }
}
