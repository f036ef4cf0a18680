#![doc = include_str!("../README.md")]

pub mod blockdata;
pub mod bls_sig_utils;
pub mod consensus;
pub mod ephemerealdata;
pub mod hash_types;
pub mod merkle_tree;
pub mod network;
pub mod params;
pub mod sml;

mod bitset;
mod checkpoints;
mod fixed_seeds;

pub use bitset::BitSet;
pub use blockdata::block::Header;
pub use blockdata::transaction::Transaction;
pub use checkpoints::{Checkpoint, MalformedCheckpoint};
pub use dash_num::Arith256;
pub use hash_types::{BlockHash, ProTxHash, QuorumHash, Txid};
pub use params::{ChainParams, Network};
