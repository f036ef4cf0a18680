//! Who the members of a quorum are, computed from proven lists.

mod compute;
mod cycle;
mod error;
mod evidence;
mod modifier;
mod needs;
mod new_quarter;
mod old_quarter;
mod quarter;
mod ranking;
mod session;
mod used;

use std::fmt;
use std::sync::Arc;

pub use cycle::Cycle;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
pub use error::MembersError;
pub use evidence::Evidence;
pub use needs::Needs;

use crate::masternode_list::HashedEntry;

/// The members of a quorum in the order that its commitment's bits count, each as the list had it from which the
/// member was taken. A clone copies one pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Members(Arc<[Arc<HashedEntry>]>);

impl Members {
    /// The member at this position.
    pub fn get(&self, position: usize) -> Option<&MasternodeListEntry> {
        self.0.get(position).map(|member| &member.entry)
    }

    /// All members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &MasternodeListEntry> + DoubleEndedIterator {
        self.0.iter().map(|member| &member.entry)
    }

    /// Number of members; at most the size of the quorum's kind.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn new(members: Vec<Arc<HashedEntry>>) -> Self {
        Self(members.into())
    }
}

/// The names tell members apart; hundreds of entries would hide everything else.
impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|member| member.pro_reg_tx_hash)).finish()
    }
}
