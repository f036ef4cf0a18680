//! Blocks and transactions, as far as list synchronisation needs them.

pub mod block;
pub mod transaction;
