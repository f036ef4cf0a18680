use dashcore::consensus::deserialize;
use dashcore::{BlockHash, ChainParams, Header};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::digest::digest;
use super::schema::ANCESTORS;
use super::{Store, StoreError};
use crate::chain::HeaderChain;

impl Store {
    /// Stores the headers below the start of this chain that are known, where more are than before. [`save_chain`](Self::save_chain)
    /// does so too.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_ancestry(&self, chain: &HeaderChain) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            self.write_ancestry(&transaction, chain)?;
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    pub(super) fn write_ancestry(
        &self,
        transaction: &WriteTransaction,
        chain: &HeaderChain,
    ) -> Result<(), StoreError> {
        let Some((_, lowest)) = chain.below().last() else { return Ok(()) };
        let mut table = transaction.open_table(ANCESTORS).map_err(|source| self.failed(source))?;
        if table.get(lowest.as_byte_array()).map_err(|source| self.failed(source))?.is_some() {
            return Ok(());
        }
        table.retain(|_, _| false).map_err(|source| self.failed(source))?;
        for (header, hash) in chain.below() {
            let (hash, header) = (hash.as_byte_array(), &header.to_bytes());
            table.insert(hash, (header, sealed(hash, header))).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// A chain that starts with a stored block, with what is stored of the headers below it.
    pub(super) fn stored_start(
        &self,
        transaction: &ReadTransaction,
        params: &ChainParams,
        height: u32,
        header: Header,
        hash: BlockHash,
    ) -> Result<HeaderChain, StoreError> {
        let damaged = || self.damaged("start of the header chain");
        let by_hash_alone = params.checkpoint_at(height).is_some_and(|known| known.header.is_none());
        let mut chain = if by_hash_alone {
            HeaderChain::from_hash_checkpoint(params, height, header).map_err(|_| damaged())?
        } else {
            HeaderChain::starting_at_or_below(params, height)
        };
        if chain.start_height() != height || chain.tip_hash() != hash {
            return Err(damaged());
        }
        let table = match transaction.open_table(ANCESTORS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(chain),
            Err(source) => return Err(self.failed(source)),
        };
        while let Some(missing) = chain.missing_below() {
            let row = table.get(missing.as_byte_array()).map_err(|source| self.failed(source))?;
            let Some(row) = row else { break };
            let ((header, seal), damaged) = (row.value(), || self.damaged("ancestor of the header chain"));
            if seal != sealed(missing.as_byte_array(), header) {
                return Err(damaged());
            }
            let header = deserialize(header).map_err(|_| damaged())?;
            // There is nothing above the start yet that could turn out to be wrong.
            if chain.supply_below(header, missing) != Ok(true) {
                return Err(damaged());
            }
        }
        Ok(chain)
    }
}

fn sealed(hash: &[u8; 32], header: &[u8; 80]) -> u64 {
    digest::<&[u8; 32], &[u8; 80]>("ancestors", hash, header)
}
