use std::fmt;

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{
    decision::{Action, Decision},
    recovery::Recovery,
};

/// Describes this crate's metrics to the installed recorder. Call once, after the recorder is installed.
pub fn describe_metrics() {
    describe_counter!(DECISIONS, Unit::Count, "Failures by the strategy that made the decision");
    describe_counter!(GIVE_UPS, Unit::Count, "Pieces of work given up, by reason");
    describe_gauge!(OPEN_BREAKERS, Unit::Count, "Peers whose breaker is open or half open");
    describe_gauge!(OPEN_POOLS, Unit::Count, "Pools whose breaker is open or half open");
    // What has not happened yet is exported as zero: a rate can then see its first event.
    REASONS.iter().for_each(|reason| counter!(GIVE_UPS, "reason" => *reason).increment(0));
}

/// Records metrics of a [`Recovery`], which itself records none. Keep one reporter for each recovery.
///
/// Metrics go to the recorder that is installed when the reporter is made.
pub struct Reporter {
    breakers: Level,
    pools: Level,
}

impl Reporter {
    /// Creates a reporter that has reported nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { breakers: Level::new(gauge!(OPEN_BREAKERS)), pools: Level::new(gauge!(OPEN_POOLS)) }
    }

    /// Counts a decision; call it for each one that [`Recovery::on_failure`] takes.
    pub fn decided<P>(&mut self, decision: &Decision<P>) {
        counter!(DECISIONS, "strategy" => decision.strategy).increment(1);
        if let Action::GiveUp { reason } = decision.action {
            debug_assert!(REASONS.contains(&reason.as_str()), "{reason}");
            counter!(GIVE_UPS, "reason" => reason.as_str()).increment(1);
        }
    }

    /// Reports how many breakers are open; call it after each failure and success.
    pub fn observe<P>(&mut self, recovery: &Recovery<P>) {
        self.breakers.report(recovery.open_breakers());
        self.pools.report(usize::from(recovery.pool_is_open()));
    }
}

impl Default for Reporter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").finish_non_exhaustive()
    }
}

/// Reports changes only, so that several recoveries in one process add up.
struct Level {
    gauge: Gauge,
    reported: usize,
}

impl Level {
    const fn new(gauge: Gauge) -> Self {
        Self { gauge, reported: 0 }
    }

    fn report(&mut self, level: usize) {
        if level >= self.reported {
            self.gauge.increment((level - self.reported) as f64);
        } else {
            self.gauge.decrement((self.reported - level) as f64);
        }
        self.reported = level;
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.report(0);
    }
}

/// As [`GiveUpReason::as_str`](crate::GiveUpReason::as_str) names them.
const REASONS: [&str; 3] = ["attempts_exhausted", "permanent", "unverifiable"];

const DECISIONS: &str = "spv_recovery_decisions_total";
const GIVE_UPS: &str = "spv_recovery_give_ups_total";
const OPEN_BREAKERS: &str = "spv_recovery_open_breakers";
const OPEN_POOLS: &str = "spv_recovery_open_pools";
