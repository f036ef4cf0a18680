//! What the client logs at the default level while things take long or go wrong.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use simulation::{nodes, surroundings};
use spv_integration::progress::Progress;
use spv_integration::session::{Step, follow_with, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, World};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;

/// Lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn with(&self, what: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }
}

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

/// Runs this in virtual time; gives what was logged.
fn logged<F: Future<Output = ()>>(run: impl FnOnce() -> F) -> Lines {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    tracing::subscriber::with_default(subscriber, || runtime.unwrap().block_on(run()));
    lines
}

#[test]
fn a_phase_that_takes_long_is_told_of_once_a_minute() {
    let lines = logged(|| async {
        let world = world();
        // Nobody answers anything but headers, and nothing ends before patience does.
        let network = nodes(&world, Duration::from_millis(50), &["drop=1", "drop=1"]);
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
        let (environment, config) = (surroundings(&network, 1), config(&network));
        let synced = sync_with(&environment, world.params(), &config, store, &progress, &cancel);
        tokio::time::timeout(Duration::from_secs(3_600), synced).await.unwrap().unwrap();
    });
    let working = lines.with("working phase=lists");
    assert!(!working.is_empty(), "{:?}", lines.with(""));
    for line in &working {
        assert!(line.contains("ready_peers=") && line.contains("of_lists="), "{line}");
    }
    assert!(working.iter().any(|line| !line.contains("failed_requests=0")), "{working:?}");
    let [ended] = &lines.with("not synced")[..] else { panic!("{:?}", lines.with("")) };
    assert!(ended.contains("WARN") && ended.contains("state=") && ended.contains("reason="), "{ended}");
}

#[test]
fn the_loss_of_all_peers_and_their_return_are_told() {
    let lines = logged(|| async {
        let world = world();
        let network = nodes(&world, Duration::from_millis(50), &["", ""]);
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
        let (environment, config) = (surroundings(&network, 1), config(&network));
        let on_step = |_: &Step| {};
        let following =
            follow_with(&environment, world.params(), &config, store, &progress, on_step, &cancel);
        let script = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            network.addresses().into_iter().for_each(|address| network.take_down(address));
            tokio::time::sleep(Duration::from_secs(600)).await;
            network.addresses().into_iter().for_each(|address| network.bring_up(address));
            tokio::time::sleep(Duration::from_secs(120)).await;
            cancel.cancel();
        };
        let (followed, ()) = tokio::join!(following, script);
        followed.unwrap();
    });
    for what in
        ["starting version=", "first peer peer=", "synced tip=", "no usable peer", "can be asked again"]
    {
        assert_eq!(lines.with(what).len(), 1, "{what}: {:?}", lines.with(""));
    }
    assert!(lines.with("can be asked again")[0].contains("after=10m"), "{:?}", lines.with("again"));
}
