use std::sync::Arc;

use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{BlockHash, QuorumHash};
use spv_masternodes::chain_lock::quorums_height;
use spv_masternodes::signing::signing_quorum;
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{ActiveQuorum, ProvenState, QuorumSet};

use super::Client;
use super::error::{LockError, LookupError};
use super::quorum::{Quorum, Signer};

impl Client {
    /// The quorum of this kind that nodes whose tip is at `height` ask to sign the request `request_id`: one of those
    /// active 8 blocks further down.
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

    /// The quorum that has to sign the ChainLock of a block at this height, in answer to the request
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

    /// Checks a ChainLock; gives the quorum that signed it. A valid lock of another block than the stored one at its
    /// height means that the stored chain is not the network's.
    ///
    /// # Errors
    /// When the lock is wrong, or it cannot be told from what is stored who has to sign it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn verify_chain_lock(&self, lock: &ChainLock) -> Result<Signer, LockError> {
        let signer = self.chain_lock_signer(lock.block_height).await?;
        let request_id = ChainLock::request_id(lock.block_height);
        signer.verify(&request_id, lock.block_hash.as_byte_array(), &lock.signature)?;
        Ok(signer)
    }

    /// The quorum that Platform names in a proof, which has to be active at the proof's core chain locked height.
    ///
    /// # Errors
    /// When it was not active there, that cannot be told from what is stored, or the quorum is not verified.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn platform_signer(
        &self,
        quorum_hash: QuorumHash,
        core_chain_locked_height: u32,
    ) -> Result<Signer, LookupError> {
        let (llmq_type, height) = (self.params().platform_llmq, core_chain_locked_height);
        let llmq = self.llmq(llmq_type)?;
        let pick = |quorums: &QuorumSet| quorums.get(llmq_type, quorum_hash).cloned();
        let unknown = LookupError::UnknownQuorum { llmq_type, quorum_hash, height };
        let (quorum, state) = self.active_at(llmq, height, pick).await?.ok_or(unknown)?;
        self.usable(quorum, state, BlsScheme::after(height, self.params())).await
    }

    /// The quorum active at exactly this height that is selected for a request.
    pub(super) async fn selected(
        &self,
        llmq_type: LLMQType,
        height: u32,
        request_id: &[u8; 32],
        scheme: BlsScheme,
    ) -> Result<Signer, LookupError> {
        let llmq = self.llmq(llmq_type)?;
        let pick = |quorums: &QuorumSet| signing_quorum(quorums, llmq, request_id).cloned();
        let nobody = LookupError::NoQuorum { llmq_type, height };
        let (quorum, state) = self.active_at(llmq, height, pick).await?.ok_or(nobody)?;
        self.usable(quorum, state, scheme).await
    }

    fn llmq(&self, llmq_type: LLMQType) -> Result<&LLMQParams, LookupError> {
        self.params().llmq(llmq_type).ok_or(LookupError::UnknownType(llmq_type))
    }

    async fn usable(
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
    /// Without a list for that very height, there are three ways to know all the same:
    /// - no commitment of this kind can be mined between a stored list and the height,
    /// - the list below has the commitment of the newest session of which one can be mined by then, so that nothing
    ///   changes before the next session's,
    /// - it is picked from the list below and from the one above alike. Then it is active all the while, and any that
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
        let [below, above] = self.around(height).await?;
        let mut picked_below = None;
        if let Some(state) = self.list(below).await? {
            let picked = pick(state.quorums());
            if next_mined(llmq, state.height()) > height
                || self.has_newest(llmq, height, state.quorums(), picked.as_ref()).await?
            {
                return Ok(picked.map(|quorum| (quorum, state)));
            }
            picked_below = picked.map(|quorum| (quorum, state));
        }
        let Some(state) = self.list(above).await? else { return Err(self.missing(height).await?) };
        let picked = pick(state.quorums());
        if next_mined(llmq, height) > state.height() {
            return Ok(picked.map(|quorum| (quorum, state)));
        }
        match (picked_below, picked) {
            (Some((below, state)), Some(above)) if below.entry_hash == above.entry_hash => {
                Ok(Some((below, state)))
            }
            _ => Err(self.missing(height).await?),
        }
    }

    async fn list(&self, block: Option<(u32, BlockHash)>) -> Result<Option<Arc<ProvenState>>, LookupError> {
        match block {
            Some((height, block_hash)) => self.shared.lists.get(height, block_hash).await,
            None => Ok(None),
        }
    }

    /// Whether the commitment is in this list that would be the next to change what is picked at `height`: that of the
    /// newest session of which one can be mined by then. Each session has one, or one of each index.
    async fn has_newest(
        &self,
        llmq: &LLMQParams,
        height: u32,
        quorums: &QuorumSet,
        picked: Option<&ActiveQuorum>,
    ) -> Result<bool, LookupError> {
        let index = match picked.map(|quorum| quorum.entry.quorum_index) {
            Some(Some(index)) if llmq.rotated => u32::try_from(index).ok(),
            _ => (!llmq.rotated).then_some(0),
        };
        let session = height.checked_sub(llmq.mining_window_start).map(|at| at - at % llmq.dkg_interval);
        let Some((session, index)) = session.zip(index) else { return Ok(false) };
        let base_block = self.read(move |store| store.block_hash(session + index)).await?;
        Ok(base_block.is_some_and(|hash| quorums.get(llmq.llmq_type, hash.into()).is_some()))
    }
}

/// The lowest height above `height` at which a commitment of this kind can be mined.
fn next_mined(llmq: &LLMQParams, height: u32) -> u32 {
    let next = height + 1;
    let position = next % llmq.dkg_interval;
    if position < llmq.mining_window_start {
        next + (llmq.mining_window_start - position)
    } else if position <= llmq.mining_window_end {
        next
    } else {
        next + (llmq.dkg_interval - position) + llmq.mining_window_start
    }
}

#[cfg(test)]
mod tests {
    use dashcore::{ChainParams, Network};

    use super::*;

    #[test]
    fn commitments_are_mined_in_their_window() {
        let params = ChainParams::new(Network::Dash);
        // Every 288 blocks, from the 20th to the 28th.
        let llmq = params.llmq(LLMQType(2)).unwrap();
        for (height, next) in
            [(0, 20), (18, 20), (19, 20), (20, 21), (27, 28), (28, 308), (287, 308), (288, 308)]
        {
            assert_eq!(next_mined(llmq, height), next, "after {height}");
        }
    }
}
