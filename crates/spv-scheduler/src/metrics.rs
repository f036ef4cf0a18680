use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::job::Lengths;

/// Describes this crate's metrics to the installed recorder. Call once, after the recorder is installed.
pub fn describe_metrics() {
    describe_gauge!(LENGTH, Unit::Count, "Items queued, by state: ready or waiting");
    describe_histogram!(WAIT, Unit::Seconds, "Time that an item was ready before it ran");
    describe_counter!(JOINED, Unit::Count, "Pushes that joined an item with the same key");
    describe_counter!(THROTTLED, Unit::Count, "Number of times that the rate limit delayed a ready item");
    // What has not happened yet is exported as zero: a rate can then see its first event.
    counter!(THROTTLED).increment(0);
}

/// Tells the recorder what changed since the last report, so that several queues in one process add up.
pub(crate) struct Reporter {
    lengths: Lengths,
    throttled: u64,
    ready: Gauge,
    waiting: Gauge,
    wait: Histogram,
    joined_total: Counter,
    throttled_total: Counter,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        Self {
            lengths: Lengths::default(),
            throttled: 0,
            ready: gauge!(LENGTH, "state" => "ready"),
            waiting: gauge!(LENGTH, "state" => "waiting"),
            wait: histogram!(WAIT),
            joined_total: counter!(JOINED),
            throttled_total: counter!(THROTTLED),
        }
    }

    pub(crate) fn report(&mut self, lengths: Lengths, throttled: u64) {
        shift(&self.ready, self.lengths.ready, lengths.ready);
        shift(&self.waiting, self.lengths.waiting, lengths.waiting);
        self.throttled_total.increment(throttled - self.throttled);
        self.lengths = lengths;
        self.throttled = throttled;
    }

    pub(crate) fn joined(&self) {
        self.joined_total.increment(1);
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.wait.record(time);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.report(Lengths::default(), self.throttled);
    }
}

fn shift(gauge: &Gauge, from: usize, to: usize) {
    if to >= from {
        gauge.increment((to - from) as f64);
    } else {
        gauge.decrement((from - to) as f64);
    }
}

const LENGTH: &str = "spv_scheduler_queue_length";
const WAIT: &str = "spv_scheduler_wait_seconds";
const JOINED: &str = "spv_scheduler_joined_total";
const THROTTLED: &str = "spv_scheduler_throttled_total";
