use std::time::Duration;

use dashcore::BlockHash;

use crate::counted;
use crate::headers::{HeaderDownloadError, clock_remark};
use crate::lists::DownloadFailure;

/// What keeps a sync from being complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Shortfall {
    /// Lists could not be had.
    #[error(transparent)]
    Lists(#[from] DownloadFailure),
    /// Headers could not be had.
    #[error(transparent)]
    Headers(HeaderDownloadError),
    /// The chain ends before the first list.
    #[error(
        "there are no masternode lists up to height {height}; the peers may still be syncing themselves: try again later, \
         or add peers with --peer"
    )]
    NoLists {
        /// Height of the tip.
        height: u32,
    },
    /// No peer has the tip that is stored.
    #[error(
        "no peer has shown the tip at height {height}; they are behind: try again later, or add peers with --peer"
    )]
    Unconfirmed {
        /// Height of the tip.
        height: u32,
    },
    /// Nobody has the stored chain, and peers are on another one with less work.
    #[error(
        "no peer has the stored chain, which ends at height {height} with {hash}; peers ({peers}) are on another one with \
         less work, which leaves it after height {fork} and ends at height {their_height} with {their_hash}; add peers \
         with --peer, or, if theirs is the right chain, sync into another --data-dir"
    )]
    OtherChain {
        /// Height of the stored chain's tip.
        height: u32,
        /// Hash of the stored chain's tip.
        hash: BlockHash,
        /// Height of the tip of the other chain; where there are several, of the one with the most work.
        their_height: u32,
        /// Its hash.
        their_hash: BlockHash,
        /// Height of the last block that both chains have.
        fork: u32,
        /// How many peers have shown the tip of the other chain.
        peers: usize,
    },
    /// Nobody has the chain with the locked block, and peers are on another one.
    #[error(
        "no peer has the chain that the ChainLock of block {locked_height} ({locked_hash}) requires; peers ({peers}) \
         are on another one, which leaves it after height {fork} and ends at height {their_height} with {their_hash}; \
         every node of the network refuses that one: add peers with --peer, or, where the network was started anew, sync \
         into another --data-dir"
    )]
    ContradictedLock {
        /// Height of the locked block.
        locked_height: u32,
        /// Hash of the locked block.
        locked_hash: BlockHash,
        /// Height of the tip of the other chain; where there are several, of the one with the most work.
        their_height: u32,
        /// Its hash.
        their_hash: BlockHash,
        /// Height of the last block that both chains have.
        fork: u32,
        /// How many peers have shown the tip of the other chain.
        peers: usize,
    },
    /// The newest block was made long ago.
    #[error(
        "the newest block that peers have, at height {height}, was made {} min ago, more than the {} min of \
         max_tip_age: the peers are behind, or this machine's clock is wrong{}; add peers with --peer",
        age.as_secs() / 60, limit.as_secs() / 60, clock_remark(*.peers_ahead)
    )]
    StaleTip {
        /// Height of the tip.
        height: u32,
        /// Time since its block was made.
        age: Duration,
        /// The configured limit.
        limit: Duration,
        /// Seconds that most peers' clocks are ahead of ours, as they say.
        peers_ahead: i64,
    },
    /// Quorums that may sign now do not verify, whoever serves what their members follow from.
    #[error(
        "{} at the tip {} wrong, as the signatures show; where the network's quorum parameters are not the usual ones, check \
         --llmq-params and --activation",
        counted(*.quorums, "active quorum"),
        if *.quorums == 1 { "is" } else { "are" }
    )]
    WrongQuorums {
        /// How many.
        quorums: u64,
    },
}

impl Shortfall {
    /// Height of a list that could not be had of the chain that was tried.
    pub(super) fn failed_at(&self) -> Option<u32> {
        match self {
            Self::Lists(failure) => failure.height(),
            _ => None,
        }
    }
}
