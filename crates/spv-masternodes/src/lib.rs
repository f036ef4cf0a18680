#![doc = include_str!("../README.md")]

mod bls;
pub mod chain_lock;
mod checked_diff;
mod error;
mod masternode_list;
pub mod members;
mod proven_state;
mod qrinfo;
mod quorum_set;
pub mod signing;
pub mod verification;

pub use checked_diff::{BlockRef, CheckedDiff};
pub use error::ProofError;
pub use masternode_list::MasternodeList;
pub use proven_state::ProvenState;
pub use qrinfo::{DiffRole, ResolveError, RoledDiff, resolve};
pub use quorum_set::{ActiveQuorum, QuorumSet};
