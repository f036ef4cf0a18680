use dashcore::BlockHash;
use dashcore::consensus::deserialize;
use redb::{ReadableTable, TableError};

use super::schema::{AHEAD, HEADERS};
use super::{Store, StoreError};
use crate::chain::HeaderChain;

/// Headers that are validated, of a chain whose lists are not proven. They save a download and are believed no further.
impl Store {
    /// Keeps what `chain` has beyond the stored chain, instead of what was kept before.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_ahead(&self, chain: &HeaderChain) -> Result<(), StoreError> {
        let transaction = self.write()?;
        {
            let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let stored = headers.last().map_err(|source| self.failed(source))?;
            let stored =
                stored.map(|(height, row)| (height.value(), BlockHash::from_byte_array(*row.value().1)));
            let is_of_chain = |&(height, hash): &(u32, BlockHash)| chain.hash(height) == Some(hash);
            let base = stored.filter(is_of_chain).map_or(chain.start_height(), |(height, _)| height);
            let mut ahead = transaction.open_table(AHEAD).map_err(|source| self.failed(source))?;
            let first =
                ahead.first().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
            let unchanged = match first {
                Some(first) if first <= base + 1 => self.last_common(&ahead, chain)?,
                _ => None,
            };
            let from = unchanged.map_or(0, |height| height + 1);
            ahead.retain_in(from.., |_, _| false).map_err(|source| self.failed(source))?;
            for height in from.max(base + 1)..=chain.tip_height() {
                if let (Some(header), Some(hash)) = (chain.header(height), chain.hash(height)) {
                    let row = (&header.to_bytes(), hash.as_byte_array());
                    ahead.insert(height, row).map_err(|source| self.failed(source))?;
                }
            }
        }
        transaction.commit().map_err(|source| self.failed(source))
    }

    /// `chain` continued by what was kept of a chain with the same blocks; as it is where nothing continues it.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn with_ahead(&self, chain: HeaderChain) -> Result<HeaderChain, StoreError> {
        let transaction = self.read()?;
        let ahead = match transaction.open_table(AHEAD) {
            Ok(ahead) => ahead,
            Err(TableError::TableDoesNotExist(_)) => return Ok(chain),
            Err(source) => return Err(self.failed(source)),
        };
        let Some(common) = self.last_common(&ahead, &chain)? else {
            return self.continued(chain.clone(), &ahead, chain.tip_height());
        };
        match chain.truncated(common) {
            Some(shared) => self.continued(shared, &ahead, common),
            None => Ok(chain),
        }
    }

    fn continued(
        &self,
        mut chain: HeaderChain,
        rows: &impl ReadableTable<u32, (&'static [u8; 80], &'static [u8; 32])>,
        tip: u32,
    ) -> Result<HeaderChain, StoreError> {
        for row in rows.range(tip.saturating_add(1)..).map_err(|source| self.failed(source))? {
            let (_, value) = row.map_err(|source| self.failed(source))?;
            let (header, hash) = value.value();
            let header = deserialize(header).map_err(|_| self.damaged("header"))?;
            #[expect(clippy::disallowed_methods, reason = "only headers of validated chains are kept")]
            let linked = chain.restore(header, BlockHash::from_byte_array(*hash));
            // What was kept may be of another start.
            if linked.is_err() {
                break;
            }
        }
        Ok(chain)
    }

    /// The highest block of `chain` that is in `rows`, which are of one chain.
    pub(super) fn last_common(
        &self,
        rows: &impl ReadableTable<u32, (&'static [u8; 80], &'static [u8; 32])>,
        chain: &HeaderChain,
    ) -> Result<Option<u32>, StoreError> {
        let first = rows.first().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
        let last = rows.last().map_err(|source| self.failed(source))?.map(|(height, _)| height.value());
        let is_common = |height: u32| {
            let row = rows.get(height).map_err(|source| self.failed(source))?;
            let stored = row.map(|row| BlockHash::from_byte_array(*row.value().1));
            Ok::<_, StoreError>(stored.is_some_and(|hash| chain.hash(height) == Some(hash)))
        };
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let (mut low, mut high) = (first.max(chain.start_height()), last.min(chain.tip_height()));
        if low > high || !is_common(low)? {
            return Ok(None);
        }
        // Chains that share a block share all before it.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if is_common(middle)? { low = middle } else { high = middle - 1 }
        }
        Ok(Some(low))
    }
}
