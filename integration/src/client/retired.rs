use std::collections::BTreeSet;
use std::sync::Arc;

use dashcore::QuorumHash;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{ActiveQuorum, ProvenState};

use super::Client;
use super::error::LookupError;
use super::lookups::At;
use super::quorum::{Quorum, Signer};
use crate::plan::RETIRED_INTERVALS;

/// Where a quorum was active, as far as the stored lists show.
struct LastActive {
    quorum: ActiveQuorum,
    /// The highest list in which it is active.
    state: Arc<ProvenState>,
    /// Height of the next stored list, in which the quorum is no longer active; `None` if no list is stored above.
    gone: Option<u32>,
}

impl Client {
    /// Returns a quorum by its name, active or retired: as in the highest stored list in which it is active. Its
    /// [`height`](Quorum::height) says when that was.
    ///
    /// # Errors
    /// When no stored list has it, or the store fails. Where lists are not stored that would have it,
    /// [`LookupError::BelowStart`] or [`NotStored`](LookupError::NotStored) says so.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn find_quorum(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
    ) -> Result<Quorum, LookupError> {
        let llmq = *self.params().llmq(llmq_type).ok_or(LookupError::UnknownType(llmq_type))?;
        let is_syncing = self.is_syncing();
        let (tip, _) = self.tip().await?.ok_or(LookupError::Empty)?;
        let found = self.last_active(&llmq, quorum_hash, tip).await;
        let LastActive { quorum, state, .. } = found.map_err(|error| error.may_pass(is_syncing))?;
        self.read(move |store| Quorum::read(store, &quorum, &state)).await
    }

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
                Err(error)
                    if matches!(error.missing(), LookupError::BelowStart { .. } | LookupError::Empty) =>
                {
                    break;
                }
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
                        Err(error) if matches!(error.missing(), LookupError::QuorumUnverified { .. }) => {}
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
        let LastActive { quorum, state, gone } = self.last_active(llmq, quorum_hash, height).await?;
        let (llmq_type, last_active) = (llmq.llmq_type, state.height());
        // It left at this height or before.
        let left = gone.unwrap_or(last_active);
        if height > left.saturating_add(RETIRED_INTERVALS * llmq.dkg_interval) {
            return Err(LookupError::Retired { llmq_type, quorum_hash, height, last_active });
        }
        self.usable(quorum, state, BlsScheme::after(height, self.params())).await
    }

    /// The highest list up to `height` in which a quorum is active.
    async fn last_active(
        &self,
        llmq: &LLMQParams,
        quorum_hash: QuorumHash,
        height: u32,
    ) -> Result<LastActive, LookupError> {
        let llmq_type = llmq.llmq_type;
        let unknown = LookupError::UnknownQuorum { llmq_type, quorum_hash, height };
        let stored: Vec<u32> =
            self.stored_heights().await?.into_iter().filter(|stored| *stored <= height).collect();
        let Some(&newest) = stored.last() else { return Err(self.missing(height, false).await?) };
        if let Some((quorum, state)) = self.active_in(llmq_type, quorum_hash, newest).await? {
            return Ok(LastActive { quorum, state, gone: None });
        }
        let Some(base) = self.read(move |store| store.height_of(&quorum_hash.into())).await? else {
            return Err(unknown);
        };
        // It is mined by the end of its window, is active without a break, and leaves with a newer one.
        let cycle_base = base - base % llmq.dkg_interval;
        let mined_by = cycle_base + llmq.mining_window_end;
        let behind = stored.partition_point(|&stored| stored < mined_by);
        let mut first = None;
        for index in [Some(behind), behind.checked_sub(1)].into_iter().flatten() {
            let Some(&at) = stored.get(index).filter(|&&at| at > base) else { continue };
            if self.active_in(llmq_type, quorum_hash, at).await?.is_some() {
                first = Some(index);
                break;
            }
        }
        let Some(mut last) = first else {
            // Before that window ends, it may not be there yet; and a list of the time when it would be active shows that it
            // never was.
            let leaves_after = cycle_base + lifetime(llmq) * llmq.dkg_interval + llmq.mining_window_start;
            let is_shown = stored.get(behind).is_some_and(|&at| at < leaves_after);
            return Err(if height < mined_by || is_shown {
                unknown
            } else {
                self.missing(mined_by, false).await?
            });
        };
        let mut gone = stored.len() - 1;
        while gone - last > 1 {
            let middle = last + (gone - last) / 2;
            match self.active_in(llmq_type, quorum_hash, stored[middle]).await? {
                Some(_) => last = middle,
                None => gone = middle,
            }
        }
        let (quorum, state) = self.active_in(llmq_type, quorum_hash, stored[last]).await?.ok_or(unknown)?;
        Ok(LastActive { quorum, state, gone: Some(stored[gone]) })
    }

    async fn active_in(
        &self,
        llmq_type: LLMQType,
        quorum_hash: QuorumHash,
        height: u32,
    ) -> Result<Option<(ActiveQuorum, Arc<ProvenState>)>, LookupError> {
        let state = self.state(height).await?;
        let quorum = state.quorums().get(llmq_type, quorum_hash).cloned();
        Ok(quorum.map(|quorum| (quorum, state)))
    }
}

/// DKG intervals after which a quorum has left the active set, where no session fails.
fn lifetime(llmq: &LLMQParams) -> u32 {
    if llmq.rotated { 1 } else { llmq.signing_active_quorum_count }
}
