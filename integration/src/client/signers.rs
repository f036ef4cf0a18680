use std::sync::Arc;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{BlockHash, QuorumHash};
use spv_masternodes::chain_lock::quorums_height;
use spv_masternodes::signing::{select_signer, signing_quorum};
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{ActiveQuorum, ProvenState, QuorumSet};

use super::Client;
use super::error::LookupError;
use super::quorum::{Quorum, Signer};
use crate::plan::sessions_between;
use crate::store::StoreError;

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

    /// Returns the quorums that may have to sign the ChainLock of a block at this height, the likelier one first. One,
    /// but for a height at which a commitment may have been mined or not: there it takes the list of that very height to
    /// tell, and nodes accept the signature of one of the two.
    ///
    /// # Errors
    /// As for [`signer`](Self::signer).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn chain_lock_signers(&self, block_height: u32) -> Result<Vec<Signer>, LookupError> {
        let (signers, error) = self.chain_lock_candidates(block_height).await?;
        match error {
            Some(error) if signers.is_empty() => Err(error),
            _ => Ok(signers),
        }
    }

    /// Also says why one is not among them.
    pub(super) async fn chain_lock_candidates(
        &self,
        block_height: u32,
    ) -> Result<(Vec<Signer>, Option<LookupError>), LookupError> {
        let unclear = match self.chain_lock_signer(block_height).await {
            Ok(signer) => return Ok((vec![signer], None)),
            Err(error) if error.is_not_stored() => error,
            Err(error) => return Err(error),
        };
        let request_id = ChainLock::request_id(block_height);
        let llmq = *self.llmq(self.params().chain_locks_llmq, block_height)?;
        let either = self.either_of(&llmq, quorums_height(block_height), &request_id).await?;
        if either.is_empty() {
            return Err(unclear);
        }
        let scheme = BlsScheme::after(block_height, self.params());
        let (mut signers, mut first_error) = (Vec::new(), None);
        for (quorum, state) in either {
            match self.usable(quorum, state, scheme).await {
                Ok(signer) => signers.push(signer),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Ok((signers, first_error))
    }

    /// Returns the quorum of this type and name, if it may sign at a height: it is active there, or was active shortly
    /// before. [`Quorum::height`](super::Quorum::height) says where it was active last.
    ///
    /// # Errors
    /// As for [`platform_signer`](Self::platform_signer).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn named_signer(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
        height: u32,
    ) -> Result<Signer, LookupError> {
        let is_syncing = self.is_syncing();
        let llmq = self.llmq(llmq_type, height)?;
        let pick = |quorums: &QuorumSet| quorums.get(llmq_type, quorum_hash).cloned();
        let unclear = match self.active_at(llmq, height, pick).await {
            Ok(Some((quorum, state))) => {
                return self.usable(quorum, state, BlsScheme::after(height, self.params())).await;
            }
            Ok(None) => None,
            // It may have left between two lists.
            Err(error) if error.is_not_stored() => Some(error),
            Err(error) => return Err(error),
        };
        match self.lately_retired(llmq, quorum_hash, height).await {
            Err(error @ LookupError::UnknownQuorum { .. }) => {
                Err(unclear.unwrap_or_else(|| error.may_pass(is_syncing)))
            }
            Err(error) => Err(error.may_pass(is_syncing)),
            found => found,
        }
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
        self.named_signer(self.params().platform_llmq, quorum_hash, core_chain_locked_height).await
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

    /// The quorums that are selected for a request in the nearest stored lists below and above a height.
    pub(super) async fn selected_nearby(
        &self,
        llmq: &LLMQParams,
        height: u32,
        request_id: &[u8; 32],
        scheme: BlsScheme,
    ) -> Result<Vec<Result<Signer, LookupError>>, LookupError> {
        let mut found = Vec::new();
        for neighbour in self.around(height).await? {
            let Some(state) = self.list(neighbour).await? else { continue };
            if let Some(quorum) = signing_quorum(state.quorums(), llmq, request_id).cloned() {
                found.push(self.usable(quorum, state, scheme).await);
            }
        }
        Ok(found)
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
        let is_syncing = self.is_syncing();
        let quorum = self.read(move |store| Quorum::read(store, &quorum, &state)).await?;
        Signer::new(quorum, scheme).map_err(|error| error.may_pass(is_syncing))
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
        let is_syncing = self.is_syncing();
        if self.tip().await?.is_none_or(|(tip, _)| height > tip) {
            return Err(self.missing(height, is_syncing).await?);
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
        Err(self.missing(height, is_syncing).await?)
    }

    /// The quorums of a kind that does not rotate which may be selected for a request at a height between two lists: the
    /// window of at most one session is open there, whose commitment was mined by then or was not. None where the lists do
    /// not tell even that.
    async fn either_of(
        &self,
        llmq: &LLMQParams,
        height: u32,
        request_id: &[u8; 32],
    ) -> Result<Vec<(ActiveQuorum, Arc<ProvenState>)>, LookupError> {
        let [below, above] = self.around(height).await?;
        let (Some(below), Some(above)) = (self.list(below).await?, self.list(above).await?) else {
            return Ok(Vec::new());
        };
        let sessions: Vec<u32> = sessions_between(llmq, below.height(), above.height()).collect();
        // Where as many may be active, the list above has all that were mined since the one below.
        if llmq.rotated || sessions.len() > llmq.signing_active_quorum_count as usize {
            return Ok(Vec::new());
        }
        let (llmq, request_id) = (*llmq, *request_id);
        self.read(move |store| {
            let mut active = Vec::new();
            for quorum in below.quorums().of_type(llmq.llmq_type) {
                let base = store.height_of(&quorum.entry.quorum_hash.into())?;
                active.push((base, quorum.clone(), below.clone()));
            }
            active.sort_by_key(|(base, ..)| *base);
            let mut open = None;
            for base in sessions {
                let hash = store.block_hash(base)?;
                let quorum = hash.and_then(|hash| above.quorums().get(llmq.llmq_type, hash.into()));
                let is_new = |quorum: &&ActiveQuorum| {
                    below.quorums().get(llmq.llmq_type, quorum.entry.quorum_hash).is_none()
                };
                let Some(quorum) = quorum.filter(is_new) else { continue };
                let mined = (Some(base), quorum.clone(), above.clone());
                match height {
                    height if height >= base + llmq.mining_window_end => active.push(mined),
                    height if height >= base + llmq.mining_window_start => open = Some(mined),
                    _ => {}
                }
            }
            let with_open: Vec<_> = active.iter().cloned().chain(open).collect();
            let mut either: Vec<(ActiveQuorum, Arc<ProvenState>)> = Vec::new();
            for set in [with_open, active] {
                let surplus = set.len().saturating_sub(llmq.signing_active_quorum_count as usize);
                let set = &set[surplus..];
                let selected = select_signer(set.iter().map(|(_, quorum, _)| quorum), &llmq, &request_id);
                let found =
                    selected.and_then(|selected| set.iter().find(|(_, quorum, _)| quorum == selected));
                let Some((_, quorum, state)) = found else { return Ok(Vec::new()) };
                if either.iter().all(|(known, _)| known.entry_hash != quorum.entry_hash) {
                    either.push((quorum.clone(), state.clone()));
                }
            }
            // Else these are blocks of a branch that the lists are not of.
            let is_of_chain = |state: &Arc<ProvenState>| {
                Ok::<_, StoreError>(store.block_hash(state.height())? == Some(state.block_hash()))
            };
            Ok(if is_of_chain(&below)? && is_of_chain(&above)? { either } else { Vec::new() })
        })
        .await
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
