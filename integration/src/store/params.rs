use dashcore::ChainParams;
use redb::{Key, TableDefinition, Value, WriteTransaction};

use super::schema::{CHAIN_LOCKS, META, META_PARAMS, QUORUMS, SNAPSHOTS};
use super::{Store, StoreError};
use crate::config::NetworkParams;

impl Store {
    /// The parameters of the network with which the data were made, as far as they differ from what its name stands for;
    /// `None` of data that were made before that was noted.
    ///
    /// # Errors
    /// When reading fails.
    pub fn network_params(&self) -> Result<Option<NetworkParams>, StoreError> {
        let text = self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(META).map_err(|source| self.failed(source))?;
            let row = table.get(META_PARAMS).map_err(|source| self.failed(source))?;
            Ok(row.map(|row| row.value().to_owned()))
        })?;
        let parsed = text.map(|text| toml::from_str(&text)).transpose();
        parsed.map_err(|_| self.damaged("parameters of the network"))
    }

    /// Notes the parameters of the network. Where the data were made with others, what was found with them is forgotten: which
    /// quorums verify, snapshots that were computed, and ChainLocks.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn keep_params(&self, params: &ChainParams) -> Result<(), StoreError> {
        let (before, now) = (self.network_params()?, NetworkParams::of(params));
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        // A structure of texts and numbers can be written as TOML.
        let Ok(text) = toml::to_string(&now) else { return Ok(()) };
        self.contained(|| {
            let transaction = self.write()?;
            {
                let mut meta = transaction.open_table(META).map_err(|source| self.failed(source))?;
                meta.insert(META_PARAMS, text.as_str()).map_err(|source| self.failed(source))?;
                if before.is_some() {
                    self.clear(&transaction, QUORUMS)?;
                    self.clear(&transaction, SNAPSHOTS)?;
                    self.clear(&transaction, CHAIN_LOCKS)?;
                }
            }
            transaction.commit().map_err(|source| self.failed(source))
        })?;
        if before.is_some() {
            self.best_lock.send_replace(None);
            tracing::warn!(
                "the parameters of the network have changed: quorums and ChainLocks are checked again"
            );
        }
        Ok(())
    }

    /// Removes all rows of a table.
    fn clear<K: Key + 'static, V: Value + 'static>(
        &self,
        transaction: &WriteTransaction,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), StoreError> {
        let mut table = transaction.open_table(table).map_err(|source| self.failed(source))?;
        table.retain(|_, _| false).map_err(|source| self.failed(source))
    }
}
