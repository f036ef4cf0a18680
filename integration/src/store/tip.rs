use dashcore::BlockHash;
use tokio::sync::watch;

use super::{Store, StoreError};

impl Store {
    /// Height and hash of the highest block whose list is stored, now and whenever another block takes its place.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn watch_tip(&self) -> Result<watch::Receiver<Option<(u32, BlockHash)>>, StoreError> {
        self.tell_tip()?;
        Ok(self.tips.subscribe())
    }

    /// Shows the tip to all receivers, if it is another one than they have.
    pub(super) fn tell_tip(&self) -> Result<(), StoreError> {
        // Whoever has read an older tip must not show it after a newer one.
        let _in_order = self.telling_tip.lock();
        let tip = self.tip()?;
        self.tips.send_if_modified(|known| std::mem::replace(known, tip) != tip);
        Ok(())
    }
}
