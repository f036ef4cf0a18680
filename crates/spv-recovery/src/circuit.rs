use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::{backoff::Backoff, blocked::Blocked};

/// State of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests may be sent.
    Closed,
    /// No request may be sent before `until`.
    Open {
        /// Time from which a probe may be sent.
        until: Instant,
    },
    /// One probe may be sent, or is in flight; its outcome closes or opens the breaker.
    HalfOpen,
}

/// What breakers of a peer and of the pool have in common: how long to stay open, and one probe at a time after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circuit {
    times: OpenTimes,
    /// Times opened since it was last closed.
    openings: u32,
    until: Option<Instant>,
    /// When the probe under way is given up for lost.
    probe: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenTimes {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    pub(crate) probe: Duration,
}

impl Circuit {
    pub(crate) const fn closed(times: OpenTimes) -> Self {
        Self { times, openings: 0, until: None, probe: None }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open { until },
            Some(_) => BreakerState::HalfOpen,
        }
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.until.is_none()
    }

    /// May a request go out? Claims the probe when half open.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let is_free = !self.blocks(now);
        if is_free {
            self.on_sent(now);
        }
        is_free
    }

    /// A request goes out: the probe, when half open and none is under way.
    pub(crate) fn on_sent(&mut self, now: Instant) {
        if self.state(now) == BreakerState::HalfOpen && !self.probe_is_out(now) {
            self.probe = Some(now + self.times.probe);
        }
    }

    pub(crate) fn blocks(&self, now: Instant) -> bool {
        self.blocked_by(now).is_some()
    }

    /// What keeps a request from going out.
    pub(crate) fn blocked_by(&self, now: Instant) -> Option<Blocked> {
        match self.state(now) {
            BreakerState::Closed => None,
            BreakerState::Open { until } => Some(Blocked::Open { until }),
            BreakerState::HalfOpen => {
                self.probe.filter(|lost| now < *lost).map(|until| Blocked::Probing { until })
            }
        }
    }

    /// From when on a request may go out if nothing else is heard; `now` if it may.
    pub(crate) fn earliest(&self, now: Instant) -> Instant {
        self.blocked_by(now).and_then(Blocked::until).unwrap_or(now)
    }

    pub(crate) fn probe_is_out(&self, now: Instant) -> bool {
        self.probe.is_some_and(|lost| now < lost)
    }

    /// The probe ended and told nothing; another may go out.
    pub(crate) const fn release(&mut self) {
        self.probe = None;
    }

    /// Where it is open, a probe may go out from now on.
    pub(crate) fn half_open(&mut self, now: Instant) {
        self.until = self.until.map(|until| until.min(now));
    }

    pub(crate) const fn close(&mut self) {
        *self = Self::closed(self.times);
    }

    /// Opens, for twice as long as the last time. Half of the time is fixed: an open time near zero would be no breaker.
    pub(crate) fn open(&mut self, now: Instant, rng: &mut Rng) {
        let longest = Backoff::new(self.times.min, self.times.max).ceiling(self.openings);
        self.openings = self.openings.saturating_add(1);
        let open = longest / 2 + Backoff::new(longest / 2, longest / 2).delay(0, rng);
        self.until = Some(now + open);
        self.probe = None;
    }
}
