use dashcore::BlockHash;
use redb::ReadableTable;

use super::schema::{HEADERS, HeaderValue, LIST_BLOCKS};
use super::{Store, StoreError};
use crate::chain::HeaderChain;

/// Headers above the highest proven list. They are validated, and of a chain whose lists may turn out to be served by
/// nobody: they save a download and are believed no further.
impl Store {
    /// Stores the headers of `chain`, unless another branch is stored with its lists, or a chain that reaches further.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub(crate) fn save_ahead(&self, chain: &HeaderChain) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            let highest = {
                let lists = transaction.open_table(LIST_BLOCKS).map_err(|source| self.failed(source))?;
                let last = lists.last().map_err(|source| self.failed(source))?;
                last.map(|(height, row)| self.listed(height.value(), row.value()))
                    .transpose()?
                    .map(|(height, _)| height)
            };
            if let Some(highest) = highest
                && self.stored_hash(&transaction, highest)? != chain.hash(highest)
            {
                return Ok(());
            }
            self.extend_headers(&transaction, chain, chain.tip_height())?;
            transaction.commit().map_err(|source| self.failed(source))
        })
    }

    /// `chain` continued by what is stored above it; as it is where nothing continues it.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn with_ahead(&self, chain: HeaderChain) -> Result<HeaderChain, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let headers = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            match self.last_common(&headers, &chain)? {
                // Another branch, or less than there is.
                Some(common) if common < chain.tip_height() => Ok(chain),
                _ => self.continued(chain, &headers),
            }
        })
    }

    fn continued(
        &self,
        mut chain: HeaderChain,
        rows: &impl ReadableTable<u32, HeaderValue<'static>>,
    ) -> Result<HeaderChain, StoreError> {
        for row in rows.range(chain.tip_height().saturating_add(1)..).map_err(|source| self.failed(source))? {
            let (height, value) = row.map_err(|source| self.failed(source))?;
            let (header, hash) = self.header_of(height.value(), value.value())?;
            #[expect(clippy::disallowed_methods, reason = "only headers of validated chains are stored")]
            let linked = chain.restore(header, hash);
            // What is stored may be of another start.
            if linked.is_err() {
                break;
            }
        }
        Ok(chain)
    }

    /// The highest block of `chain` that is in `rows`, which are of one chain.
    pub(super) fn last_common(
        &self,
        rows: &impl ReadableTable<u32, HeaderValue<'static>>,
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
