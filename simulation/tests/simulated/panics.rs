//! Work that panics is an error in words, and the sync goes on or ends; it never waits for what will not come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use simulation::{nodes, surroundings};
use spv_integration::net::Connector;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Summary, SyncError, follow_with, sync_with};
use spv_integration::store::{Store, StoreError};
use spv_integration::verify::Verification;
use spv_integration::{Config, Settings};
use spv_simnet::{ActiveChain, GeneratedSpec, InMemoryNetwork, World};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
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

/// A small chain.
fn world() -> Arc<World> {
    let spec =
        GeneratedSpec { masternodes: 8, cycles: 3, seed: 1, signatures: false, ..GeneratedSpec::default() };
    Arc::new(World::generate(&spec))
}

fn config(network: &InMemoryNetwork) -> Config {
    Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    }
}

/// Runs this in virtual time; fails if it does not end within ten minutes.
fn in_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(600), run).await.expect("it ends") })
}

/// Syncs from two nodes through what `environment` makes of the usual surroundings.
async fn sync_through(
    world: &Arc<World>,
    environment: impl FnOnce(&Arc<InMemoryNetwork>) -> Environment,
) -> Result<Summary, SyncError> {
    let network = nodes(world, Duration::from_millis(50), &["", ""]);
    let config = config(&network);
    let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    sync_with(&environment(&network), world.params(), &config, store, &progress, &cancel).await
}

/// Syncs from two nodes while `stage` panics `times` times after `good` good calls.
fn sync(stage: &'static str, good: u32, times: u32) -> Result<Summary, SyncError> {
    let recorder = Panicking { stage, good: AtomicU32::new(good), times: AtomicU32::new(times) };
    metrics::with_local_recorder(&recorder, || {
        in_time(sync_through(&world(), |network| surroundings(network, 1)))
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

/// A stream that panics when it is read or written for the nth time.
struct Fragile {
    stream: DuplexStream,
    good: u32,
    what: &'static str,
}

impl Fragile {
    fn used(&mut self, what: &'static str) {
        if self.what == what {
            self.good = self.good.checked_sub(1).unwrap_or_else(|| panic!("injected into a {what}"));
        }
    }
}

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.used("read");
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.used("write");
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Syncs where streams to the first node, or to all, are like this.
fn sync_over(what: &'static str, good: u32, all: bool) -> Summary {
    let summary = in_time(sync_through(&world(), |network| {
        let reached = network.clone();
        let connector = Connector::new(move |address| {
            let reached = reached.clone();
            async move {
                let is_fragile = all || reached.addresses().first() == Some(&address);
                let stream = reached.connect(address).await?;
                Ok(Fragile { stream, good: if is_fragile { good } else { u32::MAX }, what })
            }
        });
        Environment { connector, ..surroundings(network, 1) }
    }));
    summary.unwrap()
}

#[test]
fn a_stream_that_panics_is_a_connection_that_ends() {
    for what in ["read", "write"] {
        let mut spoilt = 0;
        for good in 0..12 {
            let summary = sync_over(what, good, false);
            assert_eq!(summary.state, EndState::Synced, "{what} {good}: {:?}", summary.reason);
            let remarks = summary.peers.iter().filter_map(|peer| peer.remark.as_ref());
            spoilt +=
                remarks.filter(|remark| remark.contains("panicked") || remark.contains("internal")).count();
        }
        assert!(spoilt > 0, "no {what} panicked");
    }
}

#[test]
fn streams_that_all_panic_end_the_sync_without_a_usable_peer() {
    for what in ["read", "write"] {
        let summary = sync_over(what, 0, true);
        assert_eq!(summary.state, EndState::NoCapablePeer, "{what}: {:?}", summary.reason);
    }
}

#[test]
fn a_callback_that_panics_ends_following_with_an_error() {
    let world = world();
    for good in 0..2 {
        let followed = in_time(async {
            let network = nodes(&world, Duration::from_millis(50), &["", ""]);
            let chain = |height| ActiveChain::new(world.clone(), height);
            let grow =
                |height| network.addresses().iter().for_each(|node| network.activate(*node, chain(height)));
            grow(world.tip() - 1);
            let config = config(&network);
            let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
            let (progress, cancel) = (Progress::default(), CancellationToken::new());
            let mut steps = 0;
            let on_step = |_: &_| {
                assert!(steps < good, "injected");
                steps += 1;
                grow(world.tip());
            };
            let environment = surroundings(&network, 1);
            follow_with(&environment, world.params(), &config, store, &progress, on_step, &cancel).await
        });
        let error = followed.unwrap_err();
        assert!(matches!(error, SyncError::Panicked { .. }), "{error}");
        let said = error.to_string();
        assert_eq!(said, "an internal failure ended the sync: the callback for steps panicked: injected");
    }
}

/// Panics in the threads of verification alone, once for each time that it is armed.
struct InThreads;

/// The name of a thread, and what is counted there.
static ARMED: Mutex<Option<(&str, &str)>> = Mutex::new(None);

impl Recorder for InThreads {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let is_hit = |(thread, counted): &mut (&str, &str)| {
            let is_counted = key.name() == *counted || key.labels().any(|label| label.value() == *counted);
            is_counted && std::thread::current().name() == Some(*thread)
        };
        if let Some((thread, counted)) = ARMED.lock().take_if(is_hit) {
            panic!("injected into the thread {thread}, at {counted}");
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

#[test]
fn a_panic_in_a_thread_of_verification_ends_in_words_whichever_it_is() {
    metrics::set_global_recorder(InThreads).unwrap();
    let world = world();
    for (thread, counted) in [
        ("verify", "decode"),
        ("verify", "check"),
        ("apply", "apply"),
        ("apply", "store"),
        ("apply", "qrsync_verified_answers_total"),
    ] {
        *ARMED.lock() = Some((thread, counted));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
        let synced = runtime.block_on(async {
            let through =
                |network: &_| Environment { verification: Verification::Threads, ..surroundings(network, 1) };
            tokio::time::timeout(Duration::from_secs(60), sync_through(&world, through))
                .await
                .expect("it ends")
        });
        assert!(ARMED.lock().is_none(), "nothing panicked in {thread} at {counted}");
        match (thread, synced) {
            ("verify", Ok(summary)) => assert_eq!(summary.state, EndState::Synced, "{:?}", summary.reason),
            ("apply", Err(SyncError::Store(error))) => {
                assert!(error.to_string().contains("injected into the thread apply"), "{error}");
            }
            // Everybody was told before that was counted, so the sync may be done.
            ("apply", Ok(summary)) if counted == "qrsync_verified_answers_total" => {
                assert_eq!(summary.state, EndState::Synced, "{:?}", summary.reason);
            }
            (_, other) => panic!("{thread} at {counted}: {other:?}"),
        }
    }
}
