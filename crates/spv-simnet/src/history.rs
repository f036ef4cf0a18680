//! What a chain did, block by block.

mod coinbases;
mod genesis;
mod masternode_history;
mod quorum_history;

use std::collections::BTreeMap;

use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::{BlockHash, ChainParams, Header};

pub(crate) use coinbases::{CoinbaseProof, Coinbases};
pub(crate) use genesis::genesis_coinbase;
pub(crate) use masternode_history::MasternodeHistory;
pub(crate) use quorum_history::{MinedQuorum, QuorumHistory};

/// All of a chain but its coinbases.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) params: ChainParams,
    /// From height 0 to the tip.
    pub(crate) headers: Vec<Header>,
    /// Those of the headers.
    pub(crate) hashes: Vec<BlockHash>,
    pub(crate) masternodes: MasternodeHistory,
    pub(crate) quorums: QuorumHistory,
    /// By base height of the cycle.
    pub(crate) snapshots: BTreeMap<u32, QuorumSnapshot>,
}
