use std::net::SocketAddr;

use serde::Serialize;

use super::peer_report::PeerReport;
use crate::counted;

/// One peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Requests sent to it.
    pub requests: u64,
    /// Requests that it refused.
    pub refused: u64,
    /// Requests that failed for another reason.
    pub failed: u64,
    /// Smoothed round-trip time in milliseconds; absent when it was never measured.
    pub rtt_ms: Option<f64>,
    /// Most requests that it had at one time.
    pub max_in_flight: usize,
    /// Answers that were shown to be wrong, mostly by another copy that verifies; part of `failed`. Answers that do not
    /// verify from anybody are nobody's fault.
    pub invalid: u64,
    /// Requests that timed out; part of `failed`.
    pub timeouts: u64,
    /// Longest time from a request to knowing that it was refused, in milliseconds; absent without refusals.
    pub slowest_refusal_ms: Option<f64>,
    /// What stood against it, in words; absent when nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, report: &PeerReport) -> Self {
        Self {
            address,
            requests: report.requests,
            refused: report.refused,
            failed: report.failed,
            rtt_ms: report.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            max_in_flight: report.max_in_flight,
            invalid: report.invalid,
            timeouts: report.timeouts,
            slowest_refusal_ms: report.slowest_refusal.map(|after| after.as_secs_f64() * 1e3),
            remark: remark(report),
        }
    }
}

fn remark(report: &PeerReport) -> Option<String> {
    let mut remarks = Vec::new();
    if report.refused > 0 && report.accepted == 0 {
        remarks.push(match report.refused {
            1 => "refused the only request for a list".to_owned(),
            refused => format!("refused all {refused} requests for lists"),
        });
    }
    if report.invalid > 0 {
        remarks.push(format!("sent {}", counted(report.invalid, "wrong answer")));
    }
    if report.timeouts > 0 {
        remarks.push(format!("left {} unanswered", counted(report.timeouts, "request")));
    }
    if let Some(height) = report.set_aside_from {
        remarks.push(format!("offers a branch from height {height} on whose lists nobody serves"));
    }
    if let Some(height) = report.contradicts_lock {
        remarks.push(format!("offers a chain that contradicts the ChainLock of block {height}"));
    }
    if report.wrong_locks > 0 {
        remarks.push(format!("sent {}", counted(report.wrong_locks, "wrong lock")));
    }
    remarks.extend(report.other_chain.map(|chain| chain.to_string()));
    remarks.extend(report.trouble.clone());
    if !report.connected && remarks.is_empty() {
        remarks.push("has not answered handshake and first ping yet".to_owned());
    }
    (!remarks.is_empty()).then(|| remarks.join("; "))
}
