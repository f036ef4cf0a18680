use std::time::Duration;

use spv_integration::progress::{Phase, Snapshot};
use tokio::time::Instant;

use super::pace::Pace;

/// How far a sync is as a whole, from what was seen of it.
#[derive(Debug)]
pub(super) struct Overall {
    began: Instant,
    /// The height from which this run goes on: what was there before is no work of it.
    first_height: Option<u32>,
    headers: Pace,
    lists: Pace,
    quorums: Pace,
    /// When the estimate for lists last changed; it counts from then.
    lists_estimated: (Option<Duration>, Instant),
}

/// What can be said of it at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) phase: Phase,
    /// Pieces of the phase's work that are done, and all of them.
    pub(super) done: u64,
    pub(super) planned: u64,
    /// Pieces per second.
    pub(super) rate: Option<f64>,
    /// Since the beginning of the sync.
    pub(super) elapsed: Duration,
    /// Until the end of the phase.
    pub(super) left: Option<Duration>,
}

impl Overall {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            first_height: None,
            headers: Pace::default(),
            lists: Pace::default(),
            quorums: Pace::default(),
            lists_estimated: (None, now),
        }
    }

    pub(super) fn view(&mut self, now: Instant, state: &Snapshot) -> View {
        let first = self.headers(now, state);
        if state.planned_lists > 0 {
            self.lists.note(now, state.arrived_lists);
        }
        if state.planned_quorums > 0 {
            self.quorums.note(now, state.judged_quorums);
        }
        if state.lists_eta != self.lists_estimated.0 {
            self.lists_estimated = (state.lists_eta, now);
        }
        let elapsed = now.duration_since(self.began);
        let (phase, target) = (state.phase, state.claimed_height.max(state.header_height));
        let of = |pace: &Pace, done: u64, planned: u64| View {
            phase,
            done,
            planned,
            rate: pace.per_second(),
            elapsed,
            left: pace.time_for(planned.saturating_sub(done)),
        };
        match phase {
            Phase::Headers => {
                let from_first = |height: u32| u64::from(height.saturating_sub(first));
                of(&self.headers, from_first(state.header_height), from_first(target))
            }
            Phase::Lists => {
                let (estimate, at) = self.lists_estimated;
                let left = estimate.map(|left| left.saturating_sub(now.duration_since(at)));
                View { left, ..of(&self.lists, state.arrived_lists, state.planned_lists) }
            }
            // First the lists that members are computed from, then the signatures.
            Phase::Quorums if state.planned_quorums == 0 => {
                of(&self.lists, state.arrived_lists, state.planned_lists)
            }
            Phase::Quorums => of(&self.quorums, state.judged_quorums, state.planned_quorums),
            Phase::Connecting | Phase::Following | Phase::Done => {
                View { phase, done: 0, planned: 0, rate: None, elapsed, left: None }
            }
        }
    }

    /// Notes the headers, and says from which height on they count.
    fn headers(&mut self, now: Instant, state: &Snapshot) -> u32 {
        if state.header_height == 0 {
            return 0;
        }
        self.headers.note(now, state.header_height.into());
        *self.first_height.get_or_insert(state.header_height)
    }
}

impl View {
    /// The share of the phase that is done, from 0 to 1; `None` where nothing is planned.
    #[expect(clippy::cast_precision_loss, reason = "a share is rough")]
    pub(super) fn share(&self) -> Option<f64> {
        (self.planned > 0).then(|| (self.done as f64 / self.planned as f64).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn second() -> Instant {
        tokio::time::advance(Duration::from_secs(1)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_were_there_before_are_neither_pace_nor_share() {
        let mut overall = Overall::new(Instant::now());
        let at = |header_height| Snapshot {
            phase: Phase::Headers,
            header_height,
            claimed_height: 2_010_000,
            ..Snapshot::default()
        };
        let begins = overall.view(second().await, &at(2_000_000));
        assert_eq!((begins.done, begins.planned, begins.left), (0, 10_000, None));
        let mut view = begins;
        for seconds in 1..=6 {
            view = overall.view(second().await, &at(2_000_000 + seconds * 1_000));
        }
        assert_eq!((view.done, view.rate, view.share()), (6_000, Some(1_000.0), Some(0.6)));
        assert_eq!((view.left, view.elapsed), (Some(Duration::from_secs(4)), Duration::from_secs(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_estimate_for_lists_ages_while_nothing_comes() {
        let mut overall = Overall::new(Instant::now());
        let state = Snapshot {
            phase: Phase::Lists,
            planned_lists: 100,
            arrived_lists: 50,
            lists_eta: Some(Duration::from_secs(5)),
            ..Snapshot::default()
        };
        assert_eq!(overall.view(second().await, &state).left, Some(Duration::from_secs(5)));
        second().await;
        assert_eq!(overall.view(second().await, &state).left, Some(Duration::from_secs(3)));
    }
}
