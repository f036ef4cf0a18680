use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{Action, Decision};

/// Describes this crate's metrics to the installed recorder. Call once, after the recorder is installed.
pub fn describe_metrics() {
    describe_counter!(DECISIONS, Unit::Count, "Failures decided, by strategy");
    describe_counter!(GIVE_UPS, Unit::Count, "Pieces of work given up, by reason");
    describe_gauge!(OPEN_BREAKERS, Unit::Count, "Peers whose breaker is open or half open");
}

pub(crate) fn count<P>(decision: &Decision<P>) {
    counter!(DECISIONS, "strategy" => decision.strategy).increment(1);
    if let Action::GiveUp { reason } = decision.action {
        counter!(GIVE_UPS, "reason" => reason.as_str()).increment(1);
    }
}

/// Reports changes only, so that several recoveries in one process add up.
pub(crate) struct OpenBreakers {
    gauge: Gauge,
    reported: usize,
}

impl OpenBreakers {
    pub(crate) fn new() -> Self {
        Self { gauge: gauge!(OPEN_BREAKERS), reported: 0 }
    }

    pub(crate) fn report(&mut self, open: usize) {
        if open >= self.reported {
            self.gauge.increment((open - self.reported) as f64);
        } else {
            self.gauge.decrement((self.reported - open) as f64);
        }
        self.reported = open;
    }
}

impl Drop for OpenBreakers {
    fn drop(&mut self) {
        self.report(0);
    }
}

const DECISIONS: &str = "spv_recovery_decisions_total";
const GIVE_UPS: &str = "spv_recovery_give_ups_total";
const OPEN_BREAKERS: &str = "spv_recovery_open_breakers";
