use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;

/// Gauges and counters of one run, as the client reports them: what is in its tables and queues at any moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauges {
    cells: Arc<Mutex<BTreeMap<Key, Arc<Cell>>>>,
}

impl Gauges {
    /// The present value, all labels together; 0 where nothing was reported yet.
    pub(crate) fn get(&self, name: &str) -> f64 {
        let cells = self.cells.lock();
        cells.iter().filter(|(key, _)| key.name() == name).map(|(_, cell)| *cell.0.lock()).sum()
    }

    /// The same, of what is counted in whole things.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers below 2^53")]
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.get(name) as u64
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        self.cells.lock().entry(key.clone()).or_default().clone()
    }
}

#[derive(Debug, Default)]
struct Cell(Mutex<f64>);

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        *self.0.lock() += value;
    }

    fn decrement(&self, value: f64) {
        *self.0.lock() -= value;
    }

    fn set(&self, value: f64) {
        *self.0.lock() = value;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a run does not count to 2^53")]
impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        *self.0.lock() += value as f64;
    }

    fn absolute(&self, value: u64) {
        *self.0.lock() = value as f64;
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, with_local_recorder};

    use super::*;

    #[test]
    fn labels_add_up_and_names_do_not() {
        let gauges = Gauges::default();
        with_local_recorder(&gauges, || {
            gauge!("queue", "state" => "ready").increment(3.0);
            gauge!("queue", "state" => "waiting").set(2.0);
            gauge!("queue", "state" => "ready").decrement(1.0);
            counter!("requests").increment(7);
        });
        assert_eq!((gauges.count("queue"), gauges.count("requests"), gauges.count("nothing")), (4, 7, 0));
    }
}
