//! The header chain: what a valid header is, and how much work stands behind it. Pure: no peers, no store.

mod block;
mod blocks;
mod difficulty;
mod hashing;
mod header_chain;
mod work_block;

pub(crate) use block::{Block, BlockId};
pub(crate) use hashing::hash_all;
pub use header_chain::{HeaderChain, HeaderError};
pub(crate) use work_block::{WORK_BLOCK_OFFSET, is_work_block};
