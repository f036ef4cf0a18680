use dashcore::BlockHash;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use redb::ReadableTable;
use spv_masternodes::chain_lock::VerifiedChainLock;
use tokio::sync::watch;

use super::digest::digest;
use super::schema::{CHAIN_LOCKS, ChainLockValue};
use super::{Store, StoreError};

/// The one key of the table.
const BEST: u8 = 0;

impl Store {
    /// The highest ChainLock that a proven quorum signed; `None` before the first. The block may be of a branch that is not
    /// the stored one.
    ///
    /// # Errors
    /// When reading fails.
    pub fn chain_lock(&self) -> Result<Option<ChainLock>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = match transaction.open_table(CHAIN_LOCKS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                table => table.map_err(|source| self.failed(source))?,
            };
            self.best_of(&table)
        })
    }

    /// The highest ChainLock, now and whenever there is a higher one.
    ///
    /// # Errors
    /// When reading fails.
    pub fn watch_chain_lock(&self) -> Result<watch::Receiver<Option<ChainLock>>, StoreError> {
        if let Some(best) = self.chain_lock()? {
            self.tell_chain_lock(&best);
        }
        Ok(self.best_lock.subscribe())
    }

    /// Shows a lock to all receivers if it is higher than the one that they have; returns whether it is.
    pub(crate) fn tell_chain_lock(&self, lock: &ChainLock) -> bool {
        self.best_lock.send_if_modified(|known| {
            let is_higher = known.as_ref().is_none_or(|known| known.block_height < lock.block_height);
            if is_higher {
                *known = Some(lock.clone());
            }
            is_higher
        })
    }

    /// Stores a ChainLock, unless one of a higher block is.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_chain_lock(&self, verified: &VerifiedChainLock) -> Result<(), StoreError> {
        let lock = verified.lock();
        if self.chain_lock()?.is_none_or(|known| known.block_height < lock.block_height) {
            self.write_chain_lock(lock)?;
        }
        self.tell_chain_lock(lock);
        Ok(())
    }

    /// Stores the lock that receivers see, which an empty database that takes the place of a damaged one lacks.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(super) fn save_known_chain_lock(&self) -> Result<(), StoreError> {
        let known = self.best_lock.borrow().clone();
        known.map_or(Ok(()), |known| self.write_chain_lock(&known))
    }

    fn write_chain_lock(&self, lock: &ChainLock) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            {
                let mut table = transaction.open_table(CHAIN_LOCKS).map_err(|source| self.failed(source))?;
                if self.best_of(&table)?.is_some_and(|known| known.block_height >= lock.block_height) {
                    return Ok(());
                }
                let ChainLock { block_height, block_hash, signature } = lock;
                let value = (*block_height, block_hash.as_byte_array(), signature.as_bytes());
                let seal = digest::<u8, ChainLockValue<'_>>("chain_locks", BEST, value);
                table.insert(BEST, (value, seal)).map_err(|source| self.failed(source))?;
            }
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    fn best_of(
        &self,
        table: &impl ReadableTable<u8, (ChainLockValue<'static>, u64)>,
    ) -> Result<Option<ChainLock>, StoreError> {
        let row = table.get(BEST).map_err(|source| self.failed(source))?;
        let Some(row) = row else { return Ok(None) };
        let (value, seal) = row.value();
        if seal != digest::<u8, ChainLockValue<'_>>("chain_locks", BEST, value) {
            return Err(self.damaged("ChainLock"));
        }
        let (block_height, hash, signature) = value;
        let block_hash = BlockHash::from_byte_array(*hash);
        Ok(Some(ChainLock { block_height, block_hash, signature: BLSSignature::from_bytes(*signature) }))
    }
}

#[cfg(test)]
mod tests {
    use dashcore::{ChainParams, Network};

    use super::*;

    #[test]
    fn receivers_see_the_highest_lock_until_the_parameters_of_the_network_change() {
        let params = ChainParams::new(Network::Regtest);
        let store = Store::in_memory(&params.network).unwrap();
        store.keep_params(&params).unwrap();
        let seen = store.watch_chain_lock().unwrap();
        let height = || seen.borrow().as_ref().map(|lock| lock.block_height);
        let lock = |block_height| ChainLock {
            block_height,
            block_hash: BlockHash::from_byte_array([1; 32]),
            signature: BLSSignature::default(),
        };
        for (told, is_news, best) in [(5, true, 5), (4, false, 5), (5, false, 5), (6, true, 6)] {
            assert_eq!(store.tell_chain_lock(&lock(told)), is_news, "{told}");
            assert_eq!(height(), Some(best));
        }
        store.keep_params(&params).unwrap();
        assert_eq!(height(), Some(6), "they are the same");
        let others = ChainParams { chain_locks_llmq: params.rotated().llmq_type, ..params };
        store.keep_params(&others).unwrap();
        assert_eq!(height(), None);
    }
}
