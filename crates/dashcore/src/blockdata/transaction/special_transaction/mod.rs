//! Payloads of special transactions.

pub mod coinbase;
pub mod quorum_commitment;
