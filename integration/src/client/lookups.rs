use std::sync::Arc;

use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ProTxHash, QuorumHash};
use spv_masternodes::ProvenState;

use super::Client;
use super::error::LookupError;
use super::quorum::Quorum;
use crate::progress::Phase;
use crate::store::blocking;
use crate::store::{Store, StoreError};

/// Which stored list a lookup uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// The highest stored list.
    #[default]
    Newest,
    /// The highest stored list that is not above this height.
    AtOrBelow(u32),
    /// The list of exactly this height.
    Height(u32),
}

impl From<u32> for At {
    fn from(height: u32) -> Self {
        Self::Height(height)
    }
}

/// A masternode in a proven list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Masternode {
    /// Its entry in the list.
    pub entry: MasternodeListEntry,
    /// Whether it is an EvoNode. The entry of a revoked EvoNode no longer contains its type, but earlier lists did.
    pub is_evo: bool,
    /// Height of the list.
    pub height: u32,
    /// Block of the list.
    pub block_hash: BlockHash,
}

impl Client {
    /// Returns height and hash of the tip of the stored header chain; `None` before the first sync.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn tip(&self) -> Result<Option<(u32, BlockHash)>, LookupError> {
        self.read(Store::tip).await
    }

    /// Returns the heights at which lists are stored, ascending.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn stored_heights(&self) -> Result<Vec<u32>, LookupError> {
        let lists = self.read(Store::lists).await?;
        Ok(lists.into_iter().map(|(height, _)| height).collect())
    }

    /// Returns the masternode list and the active quorums, proven by the roots in their block's coinbase.
    ///
    /// # Errors
    /// When there is no such list, or the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn state(&self, at: impl Into<At>) -> Result<Arc<ProvenState>, LookupError> {
        let at = at.into();
        let is_syncing = self.is_syncing();
        let mut missing = LookupError::Empty;
        for _ in 0..ATTEMPTS {
            let (height, block_hash) = match at {
                At::Newest => self.newest_at_or_below(u32::MAX, is_syncing).await?,
                At::AtOrBelow(height) => self.newest_at_or_below(height, is_syncing).await?,
                At::Height(height) => {
                    let [at_or_below, _] = self.around(height).await?;
                    match at_or_below.filter(|(found, _)| *found == height) {
                        Some(found) => found,
                        None => return Err(self.missing(height, is_syncing).await?),
                    }
                }
            };
            if let Some(state) = self.shared.lists.get(self.place, height, block_hash).await? {
                return Ok(state);
            }
            missing = self.missing(height, is_syncing).await?;
        }
        Err(missing)
    }

    /// Returns a masternode of a proven list, by the transaction that registered it.
    ///
    /// # Errors
    /// When there is no such list, or the list has no such masternode, or the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn masternode(
        &self,
        pro_tx_hash: ProTxHash,
        at: impl Into<At>,
    ) -> Result<Masternode, LookupError> {
        let at = at.into();
        let may_change = self.may_change(at);
        let state = self.state(at).await?;
        let (height, block_hash) = (state.height(), state.block_hash());
        let entry = state.masternodes().get(&pro_tx_hash).cloned();
        let unknown = LookupError::UnknownMasternode { pro_tx_hash, height };
        let entry = entry.ok_or_else(|| unknown.may_pass(may_change))?;
        let is_evo =
            entry.is_evo() || self.read(move |store| store.evo_nodes(height)).await?.contains(&pro_tx_hash);
        Ok(Masternode { entry, is_evo, height, block_hash })
    }

    /// Returns the quorums that are active at a stored height, ordered by type and raw hash. It is proven that they are
    /// active; [`Quorum::proof`](super::Quorum::proof) tells what else is proven of each.
    ///
    /// # Errors
    /// When there is no such list, or the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn quorums(&self, at: impl Into<At>) -> Result<Vec<Quorum>, LookupError> {
        let state = self.state(at).await?;
        self.read(move |store| {
            state.quorums().iter().map(|quorum| Quorum::read(store, quorum, &state)).collect()
        })
        .await
    }

    /// Returns a quorum that is active at a stored height.
    ///
    /// # Errors
    /// When there is no such list, or no such quorum is active there, or the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn quorum(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
        at: impl Into<At>,
    ) -> Result<Quorum, LookupError> {
        if self.params().llmq(llmq_type).is_none() {
            return Err(LookupError::UnknownType(llmq_type));
        }
        let at = at.into();
        let may_change = self.may_change(at);
        let state = self.state(at).await?;
        let unknown = LookupError::UnknownQuorum { llmq_type, quorum_hash, height: state.height() };
        let quorum = state.quorums().get(llmq_type, quorum_hash).cloned();
        let quorum = quorum.ok_or_else(|| unknown.may_pass(may_change))?;
        self.read(move |store| Quorum::read(store, &quorum, &state)).await
    }

    /// Height and block of the nearest stored lists at or below, and at or above a height.
    pub(super) async fn around(&self, height: u32) -> Result<[Option<(u32, BlockHash)>; 2], LookupError> {
        self.read(move |store| store.lists_around(height)).await
    }

    /// Why no list is stored for a height. A sync that was running when the lookup began may have stored some meanwhile.
    pub(super) async fn missing(&self, height: u32, was_syncing: bool) -> Result<LookupError, LookupError> {
        let [below, above] = self.around(height).await?;
        let tip = self.tip().await?.map_or(0, |(tip, _)| tip);
        let missing = match (below, above) {
            _ if height > tip && (below.is_some() || above.is_some()) => {
                LookupError::AboveTip { height, tip }
            }
            (None, None) => LookupError::Empty,
            (None, Some((start, _))) => LookupError::BelowStart { height, start },
            (Some((nearest, _)), None) => LookupError::NotStored { height, nearest },
            (Some((below, _)), Some((above, _))) => {
                let nearest = if height - below <= above - height { below } else { above };
                LookupError::NotStored { height, nearest }
            }
        };
        Ok(missing.may_pass(was_syncing || self.is_syncing()))
    }

    /// Whether another list may be the one that is meant, once a running sync has brought it.
    fn may_change(&self, at: At) -> bool {
        !matches!(at, At::Height(_)) && self.is_syncing()
    }

    /// Whether a sync of this handle is bringing lists or proving quorums now. A follower that waits for a block is not.
    pub(super) fn is_syncing(&self) -> bool {
        let progress = self.shared.progress.lock().clone();
        progress.is_some_and(|progress| {
            !matches!(progress.watch().borrow().phase, Phase::Following | Phase::Done)
        })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, LookupError> {
        Ok(blocking(self.place, self.store(), self.params(), |store, _| read(store)).await?)
    }

    async fn newest_at_or_below(
        &self,
        height: u32,
        was_syncing: bool,
    ) -> Result<(u32, BlockHash), LookupError> {
        match self.around(height).await? {
            [Some(found), _] => Ok(found),
            [None, Some((start, _))] => Err(LookupError::BelowStart { height, start }.may_pass(was_syncing)),
            [None, None] => Err(LookupError::Empty),
        }
    }
}

/// Each further attempt takes a reorganisation of the chain between looking up the block and reading its list.
const ATTEMPTS: u32 = 3;
