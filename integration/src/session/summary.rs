use std::collections::BTreeMap;

use dashcore::BlockHash;
use serde::Serialize;
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::end_state::EndState;
use crate::fleet::Peer;
use crate::quorums::{BestChainLock, Findings};
use crate::store::Finding;
use crate::verify::StageTotal;

/// What a sync did; serialises to the object that `qrsync sync --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How it ended.
    #[serde(serialize_with = "end_state_name")]
    pub state: EndState,
    /// What was wrong; absent when it ended as `Synced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds after which another try makes sense; absent where there is no need or no use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_seconds: Option<f64>,
    /// Network.
    pub network: String,
    /// Tip of the verified header chain.
    pub tip: Tip,
    /// How many peers have shown this tip.
    pub tip_heard: TipHeard,
    /// Height from which lists were wanted.
    pub from_height: u32,
    /// Headers held.
    pub headers: u64,
    /// Lists.
    pub lists: Lists,
    /// Quorums.
    pub quorums: Quorums,
    /// The highest ChainLock of the chain that is verified, or the one in the tip's coinbase if it could not be verified;
    /// absent when there is none or nothing was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_lock: Option<BestChainLock>,
    /// Requests.
    pub requests: Requests,
    /// What became of failures.
    pub recovery: RecoverySummary,
    /// What each stage of verification did, by its name; docs/metrics.md explains them.
    pub verification: BTreeMap<&'static str, StageTotal>,
    /// Bytes.
    pub bytes: Bytes,
    /// Peers.
    pub peers: Vec<Peer>,
    /// Most requests that any peer had at one time.
    pub max_in_flight_per_peer: usize,
    /// Where the time went.
    pub seconds: Seconds,
}

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tip {
    /// Height.
    pub height: u32,
    /// Hash.
    pub hash: BlockHash,
    /// When the block was made, as its header says, in seconds since 1970.
    pub time: u32,
}

/// From how many peers a tip was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TipHeard {
    /// Peers that have shown it.
    pub peers: usize,
    /// Networks that these are in: a /16 of IPv4, a /32 of IPv6; each address where it is private.
    pub networks: usize,
}

/// Masternode lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lists {
    /// Proven lists that are stored for the range.
    pub verified: u64,
    /// Further lists that this run downloaded because members of quorums follow from them.
    pub for_members: u64,
}

/// Quorums. Every one of them is in a proven set; whether its signatures verify is a matter of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Quorums {
    /// Quorums active anywhere in the range, or where no start height was given at the tip and at the heights that decide
    /// who signs its last ChainLocks, whose signatures verify; those checked by an earlier run included.
    pub verified: u64,
    /// Quorums of these that are wrong: a signature, the commitment, or the members.
    pub failed: u64,
    /// Quorums of these that are not verified, by reason.
    pub not_verified: BTreeMap<&'static str, u64>,
    /// Quorums that this run checked.
    pub checked: u64,
    /// Quorums active at the tip, by kind.
    pub by_type: BTreeMap<u8, QuorumsOfType>,
}

/// Quorums of one kind that are active at the tip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QuorumsOfType {
    /// Proven by the coinbase's merkle root: all of them, but between DIP3 and DIP8 none.
    pub proven: u64,
    /// Quorums whose signatures verify.
    pub verified: u64,
    /// Quorums of which only their own signature could be checked, and verifies; who their members are is not computed.
    pub signed_by_quorum: u64,
    /// Quorums that are wrong.
    pub failed: u64,
}

impl Quorums {
    /// Counts what was found in the range, and the active quorums of `tip`.
    pub(crate) fn new(findings: &Findings, checked: u64, tip: Option<&ProvenState>) -> Self {
        let mut quorums = Self { checked, ..Self::default() };
        for finding in findings.values() {
            quorums.verified += u64::from(finding.is_verified());
            quorums.failed += u64::from(finding.is_failure());
            if !finding.is_verified() {
                *quorums.not_verified.entry(finding.as_str()).or_default() += 1;
            }
        }
        let are_proven = tip.is_some_and(ProvenState::are_quorums_proven);
        for ActiveQuorum { entry, .. } in tip.iter().flat_map(|tip| tip.quorums().iter()) {
            let of_type = quorums.by_type.entry(entry.llmq_type.0).or_default();
            let finding = findings.get(&(entry.llmq_type, entry.quorum_hash));
            of_type.proven += u64::from(are_proven);
            of_type.verified += u64::from(finding.is_some_and(|finding| finding.is_verified()));
            of_type.signed_by_quorum += u64::from(finding == Some(&Finding::SignedByQuorum));
            of_type.failed += u64::from(finding.is_some_and(|finding| finding.is_failure()));
        }
        quorums
    }

    /// Quorums that may sign now and are wrong.
    pub(super) fn failed_at_tip(&self) -> u64 {
        self.by_type.values().map(|of_type| of_type.failed).sum()
    }
}

/// Requests sent and what happened to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// `getqrinfo` sent.
    pub qrinfo: u64,
    /// `getmnlistd` sent.
    pub mnlistdiff: u64,
    /// `getheaders` sent.
    pub getheaders: u64,
    /// Refused by peers.
    pub refused: u64,
    /// Made again after a failure.
    pub retried: u64,
    /// Sent to a second peer while the first was still busy.
    pub hedged: u64,
    /// Answered after their soft timeout.
    pub late: u64,
}

/// Work that failed at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecoverySummary {
    /// Requests' worth of work that failed at least once and was proven in the end.
    pub recovered: u64,
    /// Those that needed no other strategy than the first that was chosen.
    pub by_first_strategy: u64,
    /// Times that nearly everything failed, so that nothing but single probes was sent for a while.
    pub pool_openings: u64,
}

/// Traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// Received.
    pub received: u64,
    /// Received in answers that were not used.
    pub wasted: u64,
}

/// Seconds spent. The phases follow each other and add up to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// From start to end.
    pub total: f64,
    /// Until a peer had answered the handshake.
    pub connect: f64,
    /// Until a chain to the tip was validated. Other peers may still be heard then, see `lists`.
    pub headers: f64,
    /// On lists, and on hearing peers that may know a better chain, which goes on beside.
    pub lists: f64,
    /// On quorums: their signatures, and what had to be downloaded for them.
    pub quorums: f64,
}

fn end_state_name<S: serde::Serializer>(state: &EndState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
