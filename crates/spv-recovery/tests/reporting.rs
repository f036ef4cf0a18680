//! What a reporter tells the recorder.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use spv_recovery::{
    Attempt, Config,
    FailureKind::{self, Rejected, Timeout},
    History, PoolBreakerConfig, Recovery, Reporter,
};

#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
fn start() -> Instant {
    Instant::now()
}

fn seen(snapshots: &Snapshotter) -> Vec<(String, DebugValue)> {
    let mut seen: Vec<_> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, description, value)| {
            assert!(description.is_some(), "{key:?} has no help text");
            let label =
                key.key().labels().next().map_or(String::new(), |label| format!(" {}", label.value()));
            (format!("{}{label}", key.key().name()), value)
        })
        .collect();
    // Reasons that have not occurred are there, too.
    seen.retain(|(_, value)| *value != DebugValue::Counter(0));
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    seen
}

#[test]
fn a_reporter_tells_decisions_reasons_and_what_is_open() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        spv_recovery::describe_metrics();
        let pool = PoolBreakerConfig { window: Duration::from_secs(600), ..PoolBreakerConfig::default() };
        let mut recovery: Recovery<u8> = Recovery::new(Config { pool, ..Config::default() }, 1).unwrap();
        let mut reporter = Reporter::new();
        let mut now = start();
        let mut fail = |kind: FailureKind| {
            now += Duration::from_secs(1);
            let mut history = History::new();
            history.record(Attempt::new(1, &kind, now));
            reporter.decided(&recovery.on_failure(&history, &[1, 2], now));
            reporter.observe(&recovery);
        };
        fail(Rejected);
        (0..5).for_each(|_| fail(Timeout));
        let after_five = [
            ("spv_recovery_decisions_total give_up", DebugValue::Counter(1)),
            ("spv_recovery_decisions_total switch_peer", DebugValue::Counter(5)),
            ("spv_recovery_give_ups_total permanent", DebugValue::Counter(1)),
            ("spv_recovery_open_breakers", DebugValue::Gauge(1.0.into())),
            ("spv_recovery_open_pools", DebugValue::Gauge(0.0.into())),
        ];
        assert_eq!(seen(&snapshots), after_five.map(|(name, value)| (name.to_owned(), value)));

        // A snapshot sets the recorder back to zero, so these are the changes since the one before.
        let levels = || {
            let levels = seen(&snapshots).into_iter().filter(|(name, _)| name.contains("_open_"));
            levels.map(|(_, value)| value).collect::<Vec<_>>()
        };
        (0..15).for_each(|_| fail(Timeout));
        assert_eq!(levels(), [0.0, 1.0].map(|change| DebugValue::Gauge(change.into())));
        drop(reporter);
        assert_eq!(levels(), [-1.0, -1.0].map(|change| DebugValue::Gauge(change.into())), "taken along");
    });
}
