use bitcoin_hashes::sha256d;
use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::consensus::{deserialize, serialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;

use crate::world::World;

/// ChainLocks that a node remembers to serve.
const MAX_REMEMBERED: usize = 16;

/// The newest ChainLocks that a node has announced, by the hash that names them on the wire.
#[derive(Debug, Default)]
pub(crate) struct AnnouncedLocks {
    /// Oldest first.
    locks: Vec<([u8; 32], ChainLock)>,
}

impl AnnouncedLocks {
    /// Remembers a lock; gives its name.
    pub(crate) fn remember(&mut self, lock: ChainLock) -> [u8; 32] {
        let name = sha256d::hash(&serialize(&lock)).to_byte_array();
        if self.get(&name).is_none() {
            if self.locks.len() == MAX_REMEMBERED {
                self.locks.remove(0);
            }
            self.locks.push((name, lock));
        }
        name
    }

    /// The lock of this name.
    pub(crate) fn get(&self, name: &[u8; 32]) -> Option<&ChainLock> {
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
