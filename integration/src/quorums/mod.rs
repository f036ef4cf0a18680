//! Quorums of proven lists: what their check needs, who their members are, and whether their signatures verify.

mod chain_lock;
mod evidence;
pub(crate) mod metrics;
mod prove;
mod sessions;
mod states;
mod survey;

pub use chain_lock::TipLock;
pub(crate) use chain_lock::verify_tip_lock;
pub(crate) use prove::{Prover, Proving};
pub(crate) use sessions::sessions_between;
pub(crate) use survey::{Candidate, Findings, Survey};

#[cfg(test)]
mod mainnet_tests;
