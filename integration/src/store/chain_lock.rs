use dashcore::BlockHash;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;
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
            let row = table.get(BEST).map_err(|source| self.failed(source))?;
            let Some(row) = row else { return Ok(None) };
            let (value, seal) = row.value();
            if seal != digest::<u8, ChainLockValue<'_>>("chain_locks", BEST, value) {
                return Err(self.damaged("ChainLock"));
            }
            let (block_height, hash, signature) = value;
            let block_hash = BlockHash::from_byte_array(*hash);
            Ok(Some(ChainLock { block_height, block_hash, signature: BLSSignature::from_bytes(*signature) }))
        })
    }

    /// The highest ChainLock, now and whenever a higher one is stored.
    ///
    /// # Errors
    /// When reading fails.
    pub fn watch_chain_lock(&self) -> Result<watch::Receiver<Option<ChainLock>>, StoreError> {
        if let Some(best) = self.chain_lock()? {
            self.tell(&best);
        }
        Ok(self.best_lock.subscribe())
    }

    /// Stores a ChainLock, unless one of a higher block is.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_chain_lock(&self, verified: &VerifiedChainLock) -> Result<(), StoreError> {
        let lock = verified.lock();
        if self.chain_lock()?.is_some_and(|known| known.block_height >= lock.block_height) {
            return Ok(());
        }
        self.contained(|| {
            let transaction = self.write()?;
            {
                let mut table = transaction.open_table(CHAIN_LOCKS).map_err(|source| self.failed(source))?;
                let ChainLock { block_height, block_hash, signature } = lock;
                let value = (*block_height, block_hash.as_byte_array(), signature.as_bytes());
                let seal = digest::<u8, ChainLockValue<'_>>("chain_locks", BEST, value);
                table.insert(BEST, (value, seal)).map_err(|source| self.failed(source))?;
            }
            transaction.commit().map_err(|source| self.failed(source))
        })?;
        self.tell(lock);
        Ok(())
    }

    fn tell(&self, lock: &ChainLock) {
        self.best_lock.send_if_modified(|known| {
            let is_higher = known.as_ref().is_none_or(|known| known.block_height < lock.block_height);
            if is_higher {
                *known = Some(lock.clone());
            }
            is_higher
        });
    }
}
