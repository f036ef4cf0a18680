//! What verification did, stage by stage, and how long it took.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::time::Instant;

use super::metrics;
use super::stage::Stage;
use crate::trace::{TRACE_TARGET, microseconds};

/// Counts of all stages; clones share them, over all threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stages {
    totals: Arc<[Total; Stage::ALL.len()]>,
}

#[derive(Debug, Default)]
struct Total {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What one stage of verification did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StageTotal {
    /// Answers, lists, quorums or ChainLocks, as the stage is about; those that failed included.
    pub count: u64,
    /// Seconds of all threads together; these can be more than passed.
    pub seconds: f64,
}

impl Stages {
    /// Adds what a stage did since `started`.
    pub(crate) fn record(&self, stage: Stage, count: usize, started: Instant) {
        let elapsed = started.elapsed();
        let total = &self.totals[stage as usize];
        total.count.fetch_add(count as u64, Ordering::Relaxed);
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        total.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        metrics::stage(stage, count, elapsed);
        let elapsed_us = microseconds(elapsed);
        tracing::trace!(target: TRACE_TARGET, event = "stage", stage = stage.as_str(), count, elapsed_us);
    }

    /// All stages by name.
    pub(crate) fn totals(&self) -> BTreeMap<&'static str, StageTotal> {
        Stage::ALL.iter().map(|&stage| (stage.as_str(), self.totals[stage as usize].read())).collect()
    }
}

impl Total {
    fn read(&self) -> StageTotal {
        let elapsed = std::time::Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        StageTotal { count: self.count.load(Ordering::Relaxed), seconds: elapsed.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_stage_counts_for_itself_in_the_summary_and_in_the_metrics() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = ::metrics::set_default_local_recorder(&recorder);
        let stages = Stages::default();
        for (index, stage) in (1..).zip(Stage::ALL) {
            assert_eq!(stage as usize + 1, index);
            let started = Instant::now();
            tokio::time::advance(Duration::from_millis(index as u64)).await;
            stages.record(stage, index, started);
            stages.clone().record(stage, 1, Instant::now());
        }
        let totals = stages.totals();
        let mut counted = BTreeMap::new();
        let mut timed = BTreeMap::new();
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            let label = key.key().labels().next().unwrap().value().to_owned();
            match value {
                DebugValue::Counter(count) => counted.insert(label, count),
                DebugValue::Histogram(times) => timed.insert(label, times.len() as u64),
                DebugValue::Gauge(_) => None,
            };
        }
        for (index, stage) in (1..).zip(Stage::ALL) {
            let name = stage.as_str();
            let seconds = Duration::from_millis(index).as_secs_f64();
            assert_eq!(totals[name], StageTotal { count: index + 1, seconds });
            assert_eq!((counted[name], timed[name]), (index + 1, 2), "{name}");
        }
        assert_eq!((totals.len(), counted.len()), (Stage::ALL.len(), Stage::ALL.len()));
    }
}
