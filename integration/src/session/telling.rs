//! Log lines about the course of a sync, at the levels that are on by default.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::connected::Connected;
use super::end_state::EndState;
use super::environment::Environment;
use super::run::RunResults;
use super::summary::{QuorumsOfType, Summary};
use crate::clock;
use crate::discovery::Standing;
use crate::log::Span;
use crate::store::{Store, StoreError, blocking};

/// Time between two lines on how far a phase is that takes long.
const EVERY: Duration = Duration::from_secs(60);

/// A bad end is told again after this long, if attempts go on ending so.
const AGAIN: Duration = Duration::from_secs(3_600);

/// Reorganisations that replace more blocks are rare on a network that works.
const USUAL_DEPTH: u32 = 6;

/// The first line: which program works where, on what.
pub(super) async fn starting(
    environment: &Environment,
    params: &ChainParams,
    store: &Arc<Store>,
) -> Result<(), StoreError> {
    let tip = blocking(environment.verification, store, params, |store, _| store.tip()).await?;
    let tip = tip.map_or_else(|| "none".to_owned(), |(height, _)| height.to_string());
    let (version, network, data) = (env!("CARGO_PKG_VERSION"), &params.network, store.path().display());
    tracing::info!(version = %version, %network, %tip, %data, "starting");
    Ok(())
}

/// The end of each phase, where a sync goes through them one after the other.
impl RunResults {
    /// The first chain is known, up to this height; there were headers up to the one before.
    pub(super) fn tell_headers(&self, height: u32) {
        if self.tells_phases {
            let new = height.saturating_sub(self.chain.tip_height());
            tracing::info!(height, new, time = %Span(self.headers), "headers are valid");
        }
    }

    /// The lists of the range are there.
    pub(super) fn tell_lists(&self) {
        if self.tells_phases && self.state == EndState::Synced {
            let retried = self.tally.retried;
            tracing::info!(lists = self.lists, retried, time = %Span(self.list_time), "lists are proven");
        }
    }

    /// The signatures of quorums were checked.
    pub(super) fn tell_quorums(&self) {
        if self.tells_phases {
            let findings = &self.quorums.findings;
            let verified = findings.values().filter(|finding| finding.is_verified()).count();
            let time = Span(self.quorums.time);
            tracing::info!(verified, of = findings.len(), %time, "quorums are checked");
        }
    }
}

impl Connected<'_> {
    /// Tells once a minute how far the sync is, for as long as it is polled.
    pub(super) async fn tell_progress(&self) -> Infallible {
        let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.failures();
        loop {
            ticks.tick().await;
            let state = *self.progress.watch().borrow();
            let (peers, failures) = (self.progress.peers(), self.failures());
            let ready = peers.iter().filter(|peer| peer.standing == Standing::Ready).count();
            // Records of peers that came and went are dropped.
            let failed = failures.saturating_sub(std::mem::replace(&mut before, failures));
            let (phase, height, lists) = (state.phase.as_str(), state.header_height, state.proven_lists);
            let (of_lists, quorums) = (state.planned_lists, state.judged_quorums);
            let left = state
                .lists_eta
                .filter(|left| !left.is_zero())
                .map(|left| tracing::field::display(Span(left)));
            tracing::info!(
                phase = %phase, height, lists, of_lists, quorums, ready_peers = ready, failed_requests = failed, left,
                "working"
            );
        }
    }

    /// Requests that failed or were refused so far.
    fn failures(&self) -> u64 {
        self.peers.reports().values().map(|report| report.refused + report.failed).sum()
    }
}

/// Tells how attempts end, one after the other.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The bad end that was told last, and when; nothing after a good one.
    bad: Option<(Option<String>, Instant)>,
}

impl Ends {
    /// An attempt has ended. Blocks above `rolled_back_to` were replaced, if there is one, up to the tip `before`.
    pub(super) fn tell(&mut self, summary: &Summary, before: Option<u32>, rolled_back_to: Option<u32>) {
        let Summary { state, reason, tip, lists, quorums, seconds, .. } = summary;
        if let Some(common) = rolled_back_to {
            let (replaced, height) = (before.unwrap_or(common).saturating_sub(common), tip.height);
            if replaced > USUAL_DEPTH {
                tracing::warn!(replaced, common, tip = height, hash = %tip.hash, "deep reorganisation");
            } else {
                tracing::info!(replaced, common, tip = height, hash = %tip.hash, "reorganisation");
            }
        }
        let (tip, time) = (tip.height, Span(Duration::from_secs_f64(seconds.total)));
        if *state != EndState::Synced {
            let now = Instant::now();
            let is_known = self
                .bad
                .as_ref()
                .is_some_and(|(known, at)| known == reason && now.duration_since(*at) < AGAIN);
            if !is_known {
                self.bad = Some((reason.clone(), now));
                let reason = reason.as_deref().unwrap_or_default();
                tracing::warn!(state = %state.as_str(), tip, %time, %reason, "not synced");
            }
            return;
        }
        self.bad = None;
        let at_tip = |count: fn(&QuorumsOfType) -> u64| quorums.by_type.values().map(count).sum::<u64>();
        let (active, verified) = (at_tip(|of_type| of_type.proven), at_tip(|of_type| of_type.verified));
        let age = clock::unix_now().saturating_sub(Duration::from_secs(summary.tip.time.into()));
        tracing::info!(
            tip, hash = %summary.tip.hash, age = %Span(age), peers = summary.tip_heard.peers, lists = lists.verified,
            quorums = active, verified_quorums = verified, %time, "synced"
        );
    }
}
