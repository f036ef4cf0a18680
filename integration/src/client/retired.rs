use std::sync::Arc;

use dashcore::QuorumHash;
use dashcore::sml::llmq_type::LLMQParams;
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::Client;
use super::error::LookupError;
use super::lookups::LISTS_SEARCHED;
use super::quorum::Signer;
use crate::plan::RETIRED_INTERVALS;

impl Client {
    /// A quorum that has left the active set before `height`, but so lately that it may still sign: not more than
    /// [`RETIRED_INTERVALS`] DKG intervals ago, as far as the stored lists show.
    pub(super) async fn lately_retired(
        &self,
        llmq: &LLMQParams,
        quorum_hash: QuorumHash,
        height: u32,
    ) -> Result<Signer, LookupError> {
        let llmq_type = llmq.llmq_type;
        let unknown = LookupError::UnknownQuorum { llmq_type, quorum_hash, height };
        let base = self.read(move |store| store.height_of(&quorum_hash.into())).await?;
        let Some(base) = base else { return Err(unknown) };
        let heights = self.stored_heights().await?;
        let above: Vec<u32> =
            heights.into_iter().filter(|stored| (base + 1..=height).contains(stored)).collect();
        let mut first = None;
        for (index, &stored) in above.iter().enumerate().take(LISTS_SEARCHED) {
            if self.active_in(llmq, quorum_hash, stored).await?.is_some() {
                first = Some(index);
                break;
            }
        }
        let Some(mut last) = first else { return Err(unknown) };
        // It is active without a break.
        let mut gone = above.len();
        while gone - last > 1 {
            let middle = last + (gone - last) / 2;
            match self.active_in(llmq, quorum_hash, above[middle]).await? {
                Some(_) => last = middle,
                None => gone = middle,
            }
        }
        let last_active = above[last];
        // It left at this height or before.
        let left = above.get(gone).copied().unwrap_or(last_active);
        if height > left.saturating_add(RETIRED_INTERVALS * llmq.dkg_interval) {
            return Err(LookupError::Retired { llmq_type, quorum_hash, height, last_active });
        }
        let (quorum, state) = self.active_in(llmq, quorum_hash, last_active).await?.ok_or(unknown)?;
        self.usable(quorum, state, BlsScheme::after(height, self.params())).await
    }

    async fn active_in(
        &self,
        llmq: &LLMQParams,
        quorum_hash: QuorumHash,
        height: u32,
    ) -> Result<Option<(ActiveQuorum, Arc<ProvenState>)>, LookupError> {
        let state = self.state(height).await?;
        let quorum = state.quorums().get(llmq.llmq_type, quorum_hash).cloned();
        Ok(quorum.map(|quorum| (quorum, state)))
    }
}
