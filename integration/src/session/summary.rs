use std::collections::{BTreeMap, BTreeSet};

use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ProTxHash};
use serde::{Deserialize, Serialize};
use spv_masternodes::{ActiveQuorum, MasternodeList, ProvenState};

use super::end_state::EndState;
use crate::fleet::Peer;
use crate::quorums::{BestChainLock, Findings};
use crate::store::Finding;
use crate::verify::StageTotal;

/// Summary of a sync. It serialises to the object that `qrsync sync --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How the sync ended.
    #[serde(serialize_with = "end_state_name")]
    pub state: EndState,
    /// Reason if the sync did not end as `Synced`; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds after which another attempt makes sense; absent if it is not needed or cannot help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_seconds: Option<f64>,
    /// Network.
    pub network: String,
    /// Tip of the verified header chain.
    pub tip: Tip,
    /// Number of peers that have shown this tip.
    pub tip_heard: TipHeard,
    /// Height from which lists were requested.
    pub from_height: u32,
    /// Number of headers in the chain.
    pub headers: u64,
    /// Lists.
    pub lists: Lists,
    /// Masternodes of the list at the tip; absent when that list was not proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masternodes: Option<Masternodes>,
    /// Quorums.
    pub quorums: Quorums,
    /// The highest ChainLock of the chain that is verified, or the one in the tip's coinbase if it could not be verified;
    /// absent when there is none or nothing was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_lock: Option<BestChainLock>,
    /// Requests.
    pub requests: Requests,
    /// Results of recovery after failures.
    pub recovery: RecoverySummary,
    /// Totals of each stage of verification, by its name; docs/metrics.md explains them.
    pub verification: BTreeMap<&'static str, StageTotal>,
    /// Bytes.
    pub bytes: Bytes,
    /// Peers.
    pub peers: Vec<Peer>,
    /// Greatest number of requests in flight at any one peer.
    pub max_in_flight_per_peer: usize,
    /// Seconds per phase.
    pub seconds: Seconds,
}

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tip {
    /// Height.
    pub height: u32,
    /// Hash.
    pub hash: BlockHash,
    /// Time of the block according to its header, in seconds since 1970.
    pub time: u32,
}

/// Number of peers that have shown a tip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TipHeard {
    /// Number of these peers.
    pub peers: usize,
    /// Number of networks of these peers: a /16 of IPv4, a /32 of IPv6; each private address counts as one.
    pub networks: usize,
}

/// Masternode lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lists {
    /// Proven lists that are stored for the range.
    pub verified: u64,
    /// Further lists that this run downloaded to compute the members of quorums.
    pub for_members: u64,
}

/// Number of masternodes in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masternodes {
    /// All of them.
    pub count: usize,
    /// Masternodes that are not banned.
    pub valid: usize,
    /// EvoNodes, banned ones included.
    pub evo: usize,
}

impl Masternodes {
    /// Counts the masternodes of a list. `known_evo` are the EvoNodes that earlier lists show
    /// ([`Store::evo_nodes`](crate::store::Store::evo_nodes)), as the entry of a banned one may not say its type.
    pub fn of(list: &MasternodeList, known_evo: &BTreeSet<ProTxHash>) -> Self {
        let is_evo =
            |entry: &&MasternodeListEntry| entry.is_evo() || known_evo.contains(&entry.pro_reg_tx_hash);
        Self { count: list.len(), valid: list.valid_count(), evo: list.iter().filter(is_evo).count() }
    }
}

/// Quorums of a sync. Each is in a proven set; its signatures are checked separately.
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
    /// Quorums that are proven by the coinbase's merkle root: all, except that between DIP3 and DIP8 there are none.
    pub proven: u64,
    /// Quorums whose signatures verify.
    pub verified: u64,
    /// Quorums of which only their own signature could be checked, and verifies. Their members were not computed.
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

/// Numbers of requests, by kind and by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Number of `getqrinfo` sent.
    pub qrinfo: u64,
    /// Number of `getmnlistd` sent.
    pub mnlistdiff: u64,
    /// Number of `getheaders` sent.
    pub getheaders: u64,
    /// Requests that peers refused.
    pub refused: u64,
    /// Requests that were sent again after a failure.
    pub retried: u64,
    /// Requests that were sent to a second peer while the first was still busy.
    pub hedged: u64,
    /// Requests that were answered after their soft timeout.
    pub late: u64,
}

/// Work that failed at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecoverySummary {
    /// Pieces of work that failed at least once and were proven in the end.
    pub recovered: u64,
    /// Pieces of work that needed only the strategy that was chosen first.
    pub by_first_strategy: u64,
    /// Number of times that the breaker of the pool opened, because nearly everything failed.
    pub pool_openings: u64,
}

/// Traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// Received.
    pub received: u64,
    /// Bytes of answers that were not used.
    pub wasted: u64,
}

/// Seconds spent. The phases follow each other and add up to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// From start to end.
    pub total: f64,
    /// Until the first peer had completed the handshake.
    pub connect: f64,
    /// Until a chain to the tip was validated. Other peers may still be heard then, see `lists`.
    pub headers: f64,
    /// Downloading and proving lists, and waiting for the tips of peers that may have a better chain.
    pub lists: f64,
    /// Checking the signatures of quorums, and downloading the data that this needs.
    pub quorums: f64,
}

fn end_state_name<S: serde::Serializer>(state: &EndState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
