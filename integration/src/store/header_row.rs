use dashcore::consensus::deserialize;
use dashcore::{BlockHash, Header};

use super::digest::digest;
use super::schema::{HEADERS, HeaderValue};
use super::{Store, StoreError};

/// What is stored of a header.
pub(super) fn header_value<'a>(height: u32, header: &'a [u8; 80], hash: &'a [u8; 32]) -> HeaderValue<'a> {
    (header, hash, digest::<u32, (&[u8; 80], &[u8; 32])>("headers", height, (header, hash)))
}

impl Store {
    /// The stored header at a height.
    ///
    /// # Errors
    /// When reading fails.
    pub fn header(&self, height: u32) -> Result<Option<Header>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = transaction.open_table(HEADERS).map_err(|source| self.failed(source))?;
            let row = table.get(height).map_err(|source| self.failed(source))?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(self.header_of(height, row.value())?.0))
        })
    }

    /// A header as it was stored, and its hash.
    pub(super) fn header_of(
        &self,
        height: u32,
        value: HeaderValue<'_>,
    ) -> Result<(Header, BlockHash), StoreError> {
        let (header, hash, _) = value;
        if value != header_value(height, header, hash) {
            return Err(self.damaged("header"));
        }
        let header = deserialize(header).map_err(|_| self.damaged("header"))?;
        Ok((header, BlockHash::from_byte_array(*hash)))
    }
}
