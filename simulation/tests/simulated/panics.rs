//! Work that panics is an error in words, and the sync goes on or ends; it never waits for what will not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use simulation::{nodes, surroundings};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, SyncError, sync_with};
use spv_integration::store::{Store, StoreError};
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, World};
use tokio_util::sync::CancellationToken;

/// A recorder of metrics that panics when it counts a stage of verification: code of the embedding program may panic like
/// any other.
struct Panicking {
    stage: &'static str,
    good: AtomicU32,
    times: AtomicU32,
}

impl Recorder for Panicking {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let is_stage =
            key.name() == "qrsync_stage_items_total" && key.labels().any(|label| label.value() == self.stage);
        let take = |left: &AtomicU32| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        if is_stage && !take(&self.good) && take(&self.times) {
            panic!("injected into {}", self.stage);
        }
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Syncs from two nodes while `stage` panics `times` times after `good` good calls; fails if that does not end within ten
/// virtual minutes.
fn sync(stage: &'static str, good: u32, times: u32) -> Result<Summary, SyncError> {
    let spec =
        GeneratedSpec { masternodes: 8, cycles: 3, seed: 1, signatures: false, ..GeneratedSpec::default() };
    let world = Arc::new(World::generate(&spec));
    let recorder = Panicking { stage, good: AtomicU32::new(good), times: AtomicU32::new(times) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    metrics::with_local_recorder(&recorder, || {
        runtime.unwrap().block_on(async {
            let network = nodes(&world, Duration::from_millis(50), &["", ""]);
            let config = Config {
                network: "regtest".to_owned(),
                peers: network.addresses().iter().map(ToString::to_string).collect(),
                sync: Settings { verify_quorums: false, ..Settings::default() },
                ..Config::default()
            };
            let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
            let (environment, progress) = (surroundings(&network, 1), Progress::default());
            let cancel = CancellationToken::new();
            let synced = sync_with(&environment, world.params(), &config, store, &progress, &cancel);
            tokio::time::timeout(Duration::from_secs(600), synced).await.expect("it ends")
        })
    })
}

#[test]
fn an_answer_whose_check_panics_is_asked_for_again() {
    for stage in ["decode", "check"] {
        for good in 0..6 {
            let summary = sync(stage, good, 1).unwrap();
            assert_eq!(summary.state, EndState::Synced, "{stage} {good}: {:?}", summary.reason);
            assert!(summary.peers.iter().all(|peer| peer.failed == 0), "{stage} {good}: {:?}", summary.peers);
        }
    }
}

#[test]
fn a_check_that_always_panics_ends_the_sync_with_an_internal_failure() {
    let summary = sync("check", 0, u32::MAX).unwrap();
    assert!(matches!(summary.state, EndState::Degraded { .. }), "{:?}", summary.state);
    assert!(summary.reason.unwrap().contains("internal failure"));
    assert!(summary.peers.iter().all(|peer| peer.invalid == 0), "{:?}", summary.peers);
}

#[test]
fn a_panic_while_lists_are_applied_or_stored_ends_the_sync_with_an_error() {
    for stage in ["apply", "store"] {
        // There are three transactions at least.
        for good in 0..3 {
            match sync(stage, good, 1) {
                Err(SyncError::Store(StoreError::Panicked { what, .. })) => {
                    assert_eq!(what, format!("injected into {stage}"));
                }
                other => panic!("{stage} {good}: {other:?}"),
            }
        }
    }
}
