use std::fmt;
use std::time::{Duration, Instant};

use dashcore::BlockHash;
use spv_recovery::FailureKind;

use crate::counted;
use crate::wire::RequestKind;

/// What became of an answer or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer to a request of this kind was valid and useful: lists that are proven, headers that add work.
    Accepted(RequestKind),
    /// The answer to a request of this kind did not verify. Whose fault that is, nobody knows yet.
    Invalid(RequestKind),
    /// An earlier answer that was malformed or did not verify is the peer's fault: another copy verifies.
    Refuted,
    /// The answer to a request of this kind was accepted, and proves wrong after all.
    Disproved(RequestKind),
    /// The request failed in this way.
    Failed(FailureKind),
}

/// What a peer did during a sync.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PeerReport {
    /// Requests sent to it.
    pub(crate) requests: u64,
    /// Answers other than headers that were valid and useful.
    pub(crate) accepted: u64,
    /// Requests that it refused.
    pub(crate) refused: u64,
    /// Requests that brought nothing for another reason: timeouts, disconnections, wrong answers.
    pub(crate) failed: u64,
    /// Answers that were shown to be wrong; part of `failed`.
    pub(crate) invalid: u64,
    /// Requests that it did not answer in time; part of `failed`.
    pub(crate) timeouts: u64,
    /// Longest time from a request to knowing that it was refused.
    pub(crate) slowest_refusal: Option<Duration>,
    /// Smoothed round-trip time.
    pub(crate) rtt: Option<Duration>,
    /// Most requests in flight at one time.
    pub(crate) max_in_flight: usize,
    /// Height of the first block of a branch that it offers and whose lists nobody serves.
    pub(crate) set_aside_from: Option<u32>,
    /// Height of a ChainLock that a chain which it has shown contradicts.
    pub(crate) contradicts_lock: Option<u32>,
    /// ChainLocks and InstantSend locks that it sent and that their quorum did not sign.
    pub(crate) wrong_locks: u64,
    /// In which way the chain that it has shown is not the one that was synced.
    pub(crate) other_chain: Option<OtherChain>,
    /// Whether it was ever usable.
    pub(crate) connected: bool,
    /// Why the last connection could not be made or ended.
    pub(crate) trouble: Option<String>,
    /// Attempts to connect that failed in a row.
    pub(crate) connect_failures: u32,
    /// When the last connection on which it was usable ended; `None` before that, and while there is another.
    pub(crate) left_at: Option<Instant>,
}

impl PeerReport {
    pub(crate) fn record(&mut self, outcome: Outcome) {
        match outcome {
            // A node that refuses all else may still serve headers.
            Outcome::Accepted(RequestKind::GetHeaders) => {}
            Outcome::Accepted(_) => self.accepted += 1,
            Outcome::Disproved(_) => {
                self.accepted = self.accepted.saturating_sub(1);
                self.failed += 1;
                self.invalid += 1;
            }
            Outcome::Failed(FailureKind::Refused) => self.refused += 1,
            // Headers show by themselves that they are wrong; of lists only another copy does.
            Outcome::Invalid(RequestKind::GetHeaders) => {
                self.failed += 1;
                self.invalid += 1;
            }
            Outcome::Invalid(_) => self.failed += 1,
            Outcome::Refuted => self.invalid += 1,
            Outcome::Failed(FailureKind::Timeout) => {
                self.failed += 1;
                self.timeouts += 1;
            }
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}

/// In which way the chain that a peer has shown is not the one that was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherChain {
    /// It is the same, and ends far below.
    Behind { height: u32, tip: u32 },
    /// It leaves ours at a block, and has less work.
    Branch { fork: u32, height: u32, hash: BlockHash },
    /// The peer claims more than it has shown.
    Withheld { claimed: u32, shown: Option<u32> },
    /// Its headers are ahead of our clock, and those of others are not.
    Ahead,
    /// The peer has hardly any chain, as it says itself.
    Syncing { claimed: u32 },
}

impl fmt::Display for OtherChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { height, tip } => {
                write!(f, "its chain ends at height {height}, {} behind", counted(tip - height, "block"))
            }
            Self::Branch { fork, height, hash } => write!(
                f,
                "it is on another chain, with less work, that leaves ours after height {fork} and ends with {hash} at \
                 height {height}"
            ),
            Self::Withheld { claimed, shown: Some(shown) } => {
                write!(f, "claims height {claimed} and has shown no valid headers above {shown}")
            }
            Self::Withheld { claimed, shown: None } => {
                write!(f, "claims height {claimed} and has shown no valid headers")
            }
            Self::Ahead => {
                f.write_str("sends headers that are more than two hours ahead of this machine's clock")
            }
            Self::Syncing { claimed } => {
                write!(f, "claims height {claimed}: it may still be downloading the chain itself")
            }
        }
    }
}
