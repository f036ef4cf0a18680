use dashcore::BlockHash;
use tokio::sync::watch;

use super::Client;
use super::error::LookupError;

impl Client {
    /// Returns a receiver of height and hash of the stored tip, which is the highest block whose list is proven, now and
    /// whenever a sync or a follower stores another one; `None` as long as there is none. A slow receiver sees only the
    /// newest one. The tip that is there already counts as a change, so a loop over `changed` begins with it.
    ///
    /// After a reorganisation the tip may be lower than before, until the lists of the new branch are proven.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn tips(&self) -> Result<watch::Receiver<Option<(u32, BlockHash)>>, LookupError> {
        let mut tips = self.read(|store| store.watch_tip()).await?;
        if tips.borrow().is_some() {
            tips.mark_changed();
        }
        Ok(tips)
    }

    /// Waits until the stored tip is at this height or above, and returns the tip: from then on no lookup at the height
    /// fails with [`LookupError::AboveTip`]. Returns at once if the tip is there already. It waits for as long as no sync
    /// gets there; put a timeout around it.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait_for_height(&self, height: u32) -> Result<(u32, BlockHash), LookupError> {
        let mut tips = self.tips().await?;
        let reached = tips.wait_for(|tip| tip.is_some_and(|(tip, _)| tip >= height)).await;
        // The store, which this client holds, keeps the sender.
        let tip = reached.ok().and_then(|tip| *tip);
        tip.ok_or(LookupError::Empty)
    }
}
