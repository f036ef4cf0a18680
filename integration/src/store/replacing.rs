use std::path::Path;
use std::sync::Arc;

use super::aside::set_aside;
use super::opening::{MEMORY, create, create_in_memory, guarded};
use super::{Store, StoreError, metrics};

impl Store {
    /// Sets the damaged database aside, which is logged with the reason, and goes on with one that is empty but for the best
    /// ChainLock, which stays in force. Whoever holds this
    /// handle does so too; what is being read or written meanwhile is done with the old one.
    ///
    /// # Errors
    /// When the file cannot be renamed, or another one cannot be made.
    pub(crate) fn start_anew(&self, reason: &StoreError) -> Result<(), StoreError> {
        let mut backing = self.backing.write();
        let anew = if self.path == Path::new(MEMORY) {
            tracing::error!(error = %reason, "the database is damaged; syncing anew");
            metrics::set_aside();
            create_in_memory(&self.network)?
        } else {
            set_aside(&self.path, reason)?;
            guarded(&self.path, || create(&self.path, &self.network))?
        };
        *backing = Arc::new(anew);
        drop(backing);
        self.save_known_chain_lock()?;
        self.tell_tip()
    }
}
