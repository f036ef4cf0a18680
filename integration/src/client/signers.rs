use std::sync::Arc;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{BlockHash, QuorumHash};
use spv_masternodes::chain_lock::quorums_height;
use spv_masternodes::signing::signing_quorum;
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{ActiveQuorum, ProvenState, QuorumSet};

use super::Client;
use super::error::LookupError;
use super::quorum::{Quorum, Signer};
use crate::plan::sessions_between;

impl Client {
    /// Returns the quorum of this type that has to sign the request `request_id` at nodes whose tip is at `height`: one
    /// of those active 8 blocks below.
    ///
    /// Where no list is stored for that height, the nearest ones are enough as long as they leave no doubt.
    ///
    /// # Errors
    /// When that cannot be told from what is stored, or the quorum is not verified.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn signer(
        &self,
        llmq_type: LLMQType,
        height: u32,
        request_id: [u8; 32],
    ) -> Result<Signer, LookupError> {
        let scheme = BlsScheme::after(height, self.params());
        self.selected(llmq_type, quorums_height(height), &request_id, scheme).await
    }

    /// Returns the quorum that has to sign the ChainLock of a block at this height, in answer to the request
    /// [`ChainLock::request_id`].
    ///
    /// # Errors
    /// As for [`signer`](Self::signer).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn chain_lock_signer(&self, block_height: u32) -> Result<Signer, LookupError> {
        let request_id = ChainLock::request_id(block_height);
        self.signer(self.params().chain_locks_llmq, block_height, request_id).await
    }

    /// Returns the quorum that a Platform proof contains. It has to be active at the proof's core chain locked height,
    /// or to have been active shortly before, because Platform continues to use a quorum for a while.
    /// [`Quorum::height`](super::Quorum::height) says where it was active.
    ///
    /// # Errors
    /// When it was never active, or retired more than [`RETIRED_INTERVALS`](super::RETIRED_INTERVALS) DKG intervals before,
    /// or that cannot be told from what is stored, or the quorum is not verified.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn platform_signer(
        &self,
        quorum_hash: QuorumHash,
        core_chain_locked_height: u32,
    ) -> Result<Signer, LookupError> {
        let (llmq_type, height) = (self.params().platform_llmq, core_chain_locked_height);
        let llmq = self.llmq(llmq_type, height)?;
        let pick = |quorums: &QuorumSet| quorums.get(llmq_type, quorum_hash).cloned();
        let unclear = match self.active_at(llmq, height, pick).await {
            Ok(Some((quorum, state))) => {
                return self.usable(quorum, state, BlsScheme::after(height, self.params())).await;
            }
            Ok(None) => None,
            // It may have left between two lists.
            Err(error @ LookupError::NotStored { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        match self.lately_retired(llmq, quorum_hash, height).await {
            Err(error @ LookupError::UnknownQuorum { .. }) => Err(unclear.unwrap_or(error)),
            found => found,
        }
    }

    /// The quorum active at exactly this height that is selected for a request.
    pub(super) async fn selected(
        &self,
        llmq_type: LLMQType,
        height: u32,
        request_id: &[u8; 32],
        scheme: BlsScheme,
    ) -> Result<Signer, LookupError> {
        let llmq = self.llmq(llmq_type, height)?;
        let pick = |quorums: &QuorumSet| signing_quorum(quorums, llmq, request_id).cloned();
        let nobody = LookupError::NoQuorum { llmq_type, height };
        let (quorum, state) = self.active_at(llmq, height, pick).await?.ok_or(nobody)?;
        self.usable(quorum, state, scheme).await
    }

    /// Parameters of a kind of quorum that may sign at a height.
    pub(super) fn llmq(&self, llmq_type: LLMQType, height: u32) -> Result<&LLMQParams, LookupError> {
        if self.params().is_switched_off(llmq_type, height) {
            return Err(LookupError::SwitchedOff { llmq_type, height });
        }
        self.params().llmq(llmq_type).ok_or(LookupError::UnknownType(llmq_type))
    }

    pub(super) async fn usable(
        &self,
        quorum: ActiveQuorum,
        state: Arc<ProvenState>,
        scheme: BlsScheme,
    ) -> Result<Signer, LookupError> {
        Signer::new(self.read(move |store| Quorum::read(store, &quorum, &state)).await?, scheme)
    }

    /// What `pick` finds among the quorums of a kind that are active at a height, and a list that shows it. `pick` takes
    /// the one that comes first in some order, or the one with some name or index.
    ///
    /// Without a list for that very height, there are two ways to know all the same:
    /// - between a stored list and the height no other commitment can have been mined that matters,
    /// - the same is picked from the list below and from the one above. Then it is active all the while, and any that
    ///   would come before it was too new to have left before the list above, so it would be picked from there.
    async fn active_at(
        &self,
        llmq: &LLMQParams,
        height: u32,
        pick: impl Fn(&QuorumSet) -> Option<ActiveQuorum>,
    ) -> Result<Option<(ActiveQuorum, Arc<ProvenState>)>, LookupError> {
        if self.tip().await?.is_none_or(|(tip, _)| height > tip) {
            return Err(self.missing(height).await?);
        }
        let mut below = None;
        for neighbour in self.around(height).await? {
            let Some(state) = self.list(neighbour).await? else { continue };
            let picked = pick(state.quorums());
            if self.is_unchanged(llmq, &state, height, picked.as_ref()).await? {
                return Ok(picked.map(|quorum| (quorum, state)));
            }
            let Some(picked) = picked else { continue };
            match below {
                Some(below) if state.height() > height && below == picked.entry_hash => {
                    return Ok(Some((picked, state)));
                }
                _ => below = (state.height() < height).then_some(picked.entry_hash),
            }
        }
        Err(self.missing(height).await?)
    }

    /// Whether what is picked from the list of one height must be the same at another: every commitment that may have
    /// been mined in between, of the index that matters, was there at the beginning, or was not even at the end.
    pub(super) async fn is_unchanged(
        &self,
        llmq: &LLMQParams,
        state: &Arc<ProvenState>,
        height: u32,
        picked: Option<&ActiveQuorum>,
    ) -> Result<bool, LookupError> {
        let (after, until) = (state.height().min(height), state.height().max(height));
        let sessions: Vec<u32> = sessions_between(llmq, after, until).collect();
        if sessions.is_empty() {
            return Ok(true);
        }
        // Without rotation there are no indices; with it, nobody picked has none.
        let index = match picked.map(|quorum| quorum.entry.quorum_index) {
            Some(Some(index)) if llmq.rotated => u32::try_from(index).ok(),
            _ => (!llmq.rotated).then_some(0),
        };
        let Some(index) = index else { return Ok(false) };
        let (llmq_type, state, was_there) = (llmq.llmq_type, state.clone(), state.height() == after);
        self.read(move |store| {
            for session in sessions {
                let hash = store.block_hash(session + index)?;
                let is_there = hash.map(|hash| state.quorums().get(llmq_type, hash.into()).is_some());
                if is_there != Some(was_there) {
                    return Ok(false);
                }
            }
            // Else these are the blocks of a branch that the list is not of, and say nothing about it.
            Ok(store.block_hash(state.height())? == Some(state.block_hash()))
        })
        .await
    }

    async fn list(&self, block: Option<(u32, BlockHash)>) -> Result<Option<Arc<ProvenState>>, LookupError> {
        match block {
            Some((height, block_hash)) => self.shared.lists.get(self.place, height, block_hash).await,
            None => Ok(None),
        }
    }
}
