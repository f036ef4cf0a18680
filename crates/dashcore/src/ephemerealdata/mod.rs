//! What quorums sign while blocks and transactions are new.

pub mod chain_lock;
pub mod instant_lock;
