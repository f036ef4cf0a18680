use std::collections::BTreeSet;
use std::sync::Arc;

use dashcore::QuorumHash;
use dashcore::sml::llmq_type::LLMQParams;
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::Client;
use super::error::LookupError;
use super::lookups::{At, LISTS_SEARCHED};
use super::quorum::Signer;
use crate::plan::RETIRED_INTERVALS;

impl Client {
    /// Returns the verified quorums that may have signed a Platform proof with this core chain locked height: first those
    /// that are active in the highest stored list at or below it, ordered by raw hash, then those that have left the
    /// active set not more than [`RETIRED_INTERVALS`] DKG intervals before, the last that left first. Quorums that are
    /// not verified are left out.
    ///
    /// # Errors
    /// When no list is stored at or below the height, or the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn platform_signers(&self, core_chain_locked_height: u32) -> Result<Vec<Signer>, LookupError> {
        let (llmq_type, height) = (self.params().platform_llmq, core_chain_locked_height);
        let llmq = self.llmq(llmq_type, height)?;
        let scheme = BlsScheme::after(height, self.params());
        let newest = self.state(At::AtOrBelow(height)).await?;
        // A quorum is active for more than an interval, so one list of each shows all of them. It left at the first
        // stored list without it, so the list below the earliest such height counts too.
        let intervals = (0..=RETIRED_INTERVALS).map(|count| height.saturating_sub(count * llmq.dkg_interval));
        let earliest = height.saturating_sub(RETIRED_INTERVALS * llmq.dkg_interval + 1);
        let mut seen = newest.height() + 1;
        let (mut signers, mut known) = (Vec::new(), BTreeSet::new());
        for at in intervals.chain([earliest]) {
            let state = match self.state(At::AtOrBelow(at)).await {
                Ok(state) => state,
                Err(LookupError::BelowStart { .. } | LookupError::Empty) => break,
                Err(error) => return Err(error),
            };
            if state.height() >= seen {
                continue;
            }
            seen = state.height();
            let found: Vec<ActiveQuorum> = state.quorums().of_type(llmq_type).cloned().collect();
            for quorum in found {
                if known.insert(quorum.entry.quorum_hash) {
                    match self.usable(quorum, state.clone(), scheme).await {
                        Ok(signer) => signers.push(signer),
                        Err(LookupError::QuorumUnverified { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(signers)
    }

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
