use dashcore::BlockHash;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use redb::ReadableTable;
use spv_masternodes::chain_lock::VerifiedChainLock;
use tokio::sync::watch;

use super::schema::CHAIN_LOCKS;
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
        let transaction = self.read()?;
        let table = match transaction.open_table(CHAIN_LOCKS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table.map_err(|source| self.failed(source))?,
        };
        let row = table.get(BEST).map_err(|source| self.failed(source))?;
        Ok(row.map(|row| {
            let (block_height, hash, signature) = row.value();
            ChainLock {
                block_height,
                block_hash: BlockHash::from_byte_array(*hash),
                signature: BLSSignature::from_bytes(*signature),
            }
        }))
    }

    /// The highest ChainLock, now and whenever a higher one is stored.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn watch_chain_lock(&self) -> Result<watch::Receiver<Option<ChainLock>>, StoreError> {
        let best = self.chain_lock()?;
        self.best_lock.send_if_modified(|known| {
            let is_news = known.is_none() && best.is_some();
            if is_news {
                *known = best;
            }
            is_news
        });
        Ok(self.best_lock.subscribe())
    }

    /// Stores a ChainLock, unless one of a higher block is.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_chain_lock(&self, verified: &VerifiedChainLock) -> Result<(), StoreError> {
        let ChainLock { block_height, block_hash, signature } = verified.lock();
        let transaction = self.write()?;
        {
            let mut table = transaction.open_table(CHAIN_LOCKS).map_err(|source| self.failed(source))?;
            let known = table.get(BEST).map_err(|source| self.failed(source))?.map(|row| row.value().0);
            if known.is_none_or(|known| known < *block_height) {
                let row = (*block_height, block_hash.as_byte_array(), signature.as_bytes());
                table.insert(BEST, row).map_err(|source| self.failed(source))?;
            }
        }
        transaction.commit().map_err(|source| self.failed(source))?;
        self.best_lock.send_if_modified(|known| {
            let is_higher = known.as_ref().is_none_or(|known| known.block_height < *block_height);
            if is_higher {
                *known = Some(verified.lock().clone());
            }
            is_higher
        });
        Ok(())
    }
}
