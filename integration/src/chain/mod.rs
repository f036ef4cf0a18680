//! The header chain: what a valid header is, and how much work stands behind it. Pure: no peers, no store.

mod block;
mod blocks;
mod difficulty;
mod hashing;
mod header_chain;

pub(crate) use block::{Block, BlockId};
pub(crate) use hashing::hash_all;
pub use header_chain::{HeaderChain, HeaderError};
