//! Whether a peer may be asked, and why not, as the service shows it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulation::surroundings;
use spv_integration::discovery::Standing;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, sync_with};
use spv_integration::store::{BanReason, Store};
use spv_integration::{Config, Settings};
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio_util::sync::CancellationToken;

/// Notes every state that every peer is shown in, with the words for it.
async fn watch(progress: &Progress, seen: &mut BTreeMap<(SocketAddr, &'static str), Standing>) {
    loop {
        for peer in progress.peers() {
            seen.entry((peer.peer.address, peer.standing.as_str())).or_insert(peer.standing);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn peers_are_shown_in_every_state_with_the_reason() {
    let spec = GeneratedSpec {
        masternodes: 24,
        cycles: 600,
        seed: 1,
        signatures: false,
        ..GeneratedSpec::default()
    };
    let world = Arc::new(World::generate(&spec));
    let (refuser, silent, lossy, liar) = (1, 2, 3, 4);
    let node = |seed| PeerConfig {
        rtt: Duration::from_millis(100),
        service_time: Duration::from_millis(40),
        seed,
        ..PeerConfig::default()
    };
    let mut peers: Vec<PeerConfig> = (0..8).map(node).collect();
    peers[refuser].faults.refuse_all = true;
    peers[silent].faults.silent = true;
    peers[lossy].faults = "stall=1".parse().unwrap();
    peers[liar].faults = "corrupt=1".parse().unwrap();
    let addresses: Vec<SocketAddr> =
        (0..8).map(|network| SocketAddr::from(([50, network, 0, 1], 9999))).collect();
    let config = NetworkConfig { peers, ..NetworkConfig::default() };
    let network = Arc::new(InMemoryNetwork::start_at(&world, config, addresses.clone()).unwrap());
    let mut sync = Settings { verify_quorums: false, ..Settings::default() };
    sync.recovery.ledger_limit = 1;
    // The liar is found; the others are given, so that they stay whatever they do.
    let given = addresses.iter().filter(|address| **address != addresses[liar]);
    let config = Config {
        network: "regtest".to_owned(),
        peers: given.map(ToString::to_string).collect(),
        discover: true,
        from: Some(1),
        sync,
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
    let environment = surroundings(&network, 7);
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let mut seen = BTreeMap::new();
    let summary = tokio::select! {
        summary = sync_with(&environment, world.params(), &config, store, &progress, &cancel) => summary.unwrap(),
        () = watch(&progress, &mut seen) => unreachable!(),
    };
    assert_eq!(summary.state, EndState::Synced);
    let shown = |peer: usize, state| seen.get(&(addresses[peer], state)).copied();
    assert_eq!(shown(0, "ready"), Some(Standing::Ready));
    assert!(shown(0, "unproven").is_some() && shown(0, "absent").is_some(), "{seen:?}");
    assert_eq!(shown(refuser, "spent"), Some(Standing::Spent), "{seen:?}");
    assert!(matches!(shown(silent, "absent"), Some(Standing::Absent { .. })));
    assert_eq!(shown(silent, "ready"), None, "it answers no ping");
    assert!(matches!(shown(lossy, "resting"), Some(Standing::Resting { .. })), "{seen:?}");
    let Some(Standing::Banned { wait, reason: BanReason::Lied }) = shown(liar, "banned") else {
        panic!("{seen:?}");
    };
    assert!(wait > Duration::from_secs(23 * 3_600));
    let json = serde_json::to_value(shown(liar, "banned")).unwrap();
    assert_eq!(json["reason"], "avoided for 24 h because it sent something wrong");
}
