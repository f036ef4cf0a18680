//! The header chain: what a valid header is, and how much work stands behind it. Pure: no peers, no store.

mod ancestry;
mod block;
mod blocks;
mod difficulty;
mod hashing;
mod header_chain;
mod header_error;
mod past;
mod rules;

pub(crate) use block::{Block, BlockId};
pub(crate) use hashing::hash_all;
pub use header_chain::HeaderChain;
pub use header_error::HeaderError;

#[cfg(test)]
mod real_headers_tests;
#[cfg(test)]
mod start_tests;
