//! Quorums of proven lists: what their check needs, who their members are, and whether their signatures verify.

mod chain_lock;
mod chain_locks;
mod evidence;
pub(crate) mod metrics;
mod prove;
mod states;
mod survey;

pub use chain_lock::BestChainLock;
pub(crate) use chain_lock::{LockVerdict, coinbase_lock, verify_tip_lock};
pub(crate) use chain_locks::ChainLocks;
pub(crate) use prove::{Prover, Proving};
pub(crate) use survey::{Candidate, Findings, Survey};

#[cfg(test)]
mod mainnet_tests;
