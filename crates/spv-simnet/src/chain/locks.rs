use std::collections::VecDeque;

use bitcoin_hashes::sha256d;
use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::consensus::{Encodable, deserialize, serialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;

use crate::world::World;

/// Locks of a kind that a node remembers to serve.
const MAX_REMEMBERED: usize = 64;

/// The newest locks of a kind that a node has announced, by the hash that names them on the wire.
#[derive(Debug)]
pub(crate) struct AnnouncedLocks<L> {
    /// Oldest first.
    locks: VecDeque<([u8; 32], L)>,
}

impl<L> Default for AnnouncedLocks<L> {
    fn default() -> Self {
        Self { locks: VecDeque::new() }
    }
}

impl<L: Encodable> AnnouncedLocks<L> {
    /// Remembers a lock; gives its name.
    pub(crate) fn remember(&mut self, lock: L) -> [u8; 32] {
        let name = sha256d::hash(&serialize(&lock)).to_byte_array();
        if self.get(&name).is_none() {
            if self.locks.len() == MAX_REMEMBERED {
                self.locks.pop_front();
            }
            self.locks.push_back((name, lock));
        }
        name
    }

    /// The lock of this name.
    pub(crate) fn get(&self, name: &[u8; 32]) -> Option<&L> {
        self.locks.iter().find(|(known, _)| known == name).map(|(_, lock)| lock)
    }
}

impl World {
    /// The ChainLock of the block at `height`, which the coinbase of the next block carries; `None` where quorums have not
    /// locked it in time for that, and for the last block.
    pub fn chain_lock(&self, height: u32) -> Option<ChainLock> {
        let next = height.checked_add(1).filter(|&next| next <= self.tip())?;
        let coinbase = self.coinbases().get(next).ok()?;
        let payload: CoinbasePayload = deserialize(&coinbase.transaction.extra_payload).ok()?;
        let best = payload.chain_lock?;
        let locks_parent = best.best_cl_height_diff == 0 && !best.best_cl_signature.is_zeroed();
        let block_hash = self.block_hash(height).filter(|_| locks_parent)?;
        Some(ChainLock { block_height: height, block_hash, signature: best.best_cl_signature })
    }
}
