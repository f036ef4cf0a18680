//! Giving up never looks like success, and does not take forever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spv_integration::progress::{Phase, Progress};
use spv_integration::session::Summary;
use spv_simnet::PeerConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::support::process::{Running, closed_port, qrsync};
use crate::support::{DataDir, VirtualNodes, all_faulty, generate, generated_world, reference, slow, start};

/// Far above what any of these takes, far below what a user would call forever.
const BOUND: Duration = Duration::from_secs(20);

fn short_of_patience() -> DataDir {
    let mut data = DataDir::impatient();
    data.settings.handshake_timeout = Duration::from_millis(100);
    data.settings.recovery.max_attempts = 4;
    data.settings.peer_patience = Duration::from_secs(1);
    data.settings.tip_patience = Duration::from_secs(1);
    data
}

async fn bounded(sync: impl Future<Output = Summary>) -> Summary {
    tokio::time::timeout(BOUND, sync).await.expect("a sync that cannot succeed ends")
}

fn assert_gave_up(summary: &Summary, state: &str) {
    assert_eq!(summary.state.as_str(), state, "{summary:?}");
    assert!(summary.reason.is_some(), "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let world = generated_world();
    let data = short_of_patience();
    let peers = vec![closed_port().to_string(), closed_port().to_string()];
    let summary = bounded(data.sync_from(&world, peers, 1)).await;
    assert_gave_up(&summary, "NoCapablePeer");
    assert!(summary.peers.iter().all(|peer| peer.requests == 0 && peer.remark.is_some()), "{summary:?}");
    assert!(data.final_state(&world).states.is_empty());
}

#[tokio::test(start_paused = true)]
async fn everybody_is_silent_after_the_handshake() {
    let world = generated_world();
    let data = short_of_patience();
    let ended = async { data.sync_in_virtual_time(&world, all_faulty(3, "silent", 1), 1).await.summary };
    let summary = bounded(ended).await;
    assert_gave_up(&summary, "NoCapablePeer");
    assert!(
        summary.peers.iter().all(|peer| peer.remark.as_ref().is_some_and(|remark| remark.contains("silent")))
    );
}

#[tokio::test(start_paused = true)]
async fn everybody_refuses_lists() {
    let world = generated_world();
    let data = short_of_patience();
    let ended = async { data.sync_in_virtual_time(&world, all_faulty(3, "refuse-all", 1), 1).await };
    let ended = tokio::time::timeout(BOUND, ended).await.unwrap();
    assert_gave_up(&ended.summary, "Degraded");
    assert!(
        ended.stats.iter().all(|peer| peer.banned == 0 && peer.max_misbehaviour <= 50),
        "{:?}",
        ended.stats
    );
    assert!(ended.summary.peers.iter().all(|peer| peer.timeouts == 0));
    let state = data.final_state(&world);
    assert!(state.states.is_empty());
    assert_eq!(state.tip, None, "nothing is stored of a chain whose lists nobody serves");
}

#[tokio::test(start_paused = true)]
async fn everybody_refuses_even_headers() {
    let world = generated_world();
    let data = short_of_patience();
    let summary = bounded(async {
        data.sync_in_virtual_time(&world, all_faulty(3, "refuse-all,headers", 1), 1).await.summary
    })
    .await;
    assert_gave_up(&summary, "NoCapablePeer");
    assert_eq!(summary.lists.verified, 0);
}

#[tokio::test(start_paused = true)]
async fn everybody_answers_something_else() {
    let world = generated_world();
    let expected = reference(&world);
    let data = short_of_patience();
    let summary =
        bounded(async { data.sync_in_virtual_time(&world, all_faulty(3, "wrong=1", 1), 1).await.summary })
            .await;
    assert_gave_up(&summary, "Degraded");
    data.final_state(&world).assert_part_of(&expected, &world);
}

#[tokio::test(start_paused = true)]
async fn everybody_lies_differently() {
    let world = generated_world();
    let expected = reference(&world);
    let data = short_of_patience();
    let summary =
        bounded(async { data.sync_in_virtual_time(&world, all_faulty(3, "corrupt=1", 1), 1).await.summary })
            .await;
    assert_gave_up(&summary, "Degraded");
    let state = data.final_state(&world);
    // A bit flipped in a ChainLock signature or in a part that is not used leaves the list proven all the same.
    let hashes: BTreeMap<_, _> =
        state.states.iter().map(|(height, state)| (height, state.block_hash())).collect();
    assert!(hashes.into_iter().all(|(height, hash)| expected.states[height].block_hash() == hash));
}

#[tokio::test(start_paused = true)]
async fn everybody_leaves_halfway() {
    let world = generated_world();
    let expected = reference(&world);
    let nodes = VirtualNodes::start(vec![(&world, vec![slow(PeerConfig::default()); 2])]);
    let data = short_of_patience();
    let progress = Progress::default();
    let mut watch = progress.watch();
    let leave = async {
        watch.wait_for(|state| state.phase == Phase::Lists && state.proven_lists > 0).await.unwrap();
        nodes.take_all_down();
    };
    let (summary, ()) = tokio::join!(bounded(data.sync_from_nodes(&world, &nodes, 1, &progress)), leave);
    assert_ne!(summary.state.as_str(), "Synced");
    assert!(summary.reason.is_some());
    let state = data.final_state(&world);
    assert!(!state.states.is_empty() && state.states.len() < expected.states.len());
    state.assert_part_of(&expected, &world);

    // What is stored is a start for the next run.
    let ended = data.sync_in_virtual_time(&world, vec![PeerConfig::default(); 2], 1).await;
    assert_eq!(ended.summary.state.as_str(), "Synced");
    assert_eq!(data.final_state(&world), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_network_is_no_peer() {
    let world = generated_world();
    let network = start(&world, vec![PeerConfig::default()]).await;
    let peers: Vec<String> = network.addresses().iter().map(ToString::to_string).collect();
    let mut params = world.params().clone();
    params.magic = [1, 2, 3, 4];
    let data = short_of_patience();
    let config = spv_integration::Config {
        network: "regtest".into(),
        peers,
        from: Some(1),
        sync: data.settings.clone(),
        ..spv_integration::Config::default()
    };
    let store = spv_integration::store::Store::create_or_open(data.path(), &params.network).unwrap();
    let (progress, cancel) = (Progress::default(), tokio_util::sync::CancellationToken::new());
    let sync = spv_integration::session::sync(&params, &config, Arc::new(store), &progress, &cancel);
    let summary = bounded(async { sync.await.unwrap() }).await;
    assert_gave_up(&summary, "NoCapablePeer");
    assert_eq!(summary.peers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_above_the_tip_is_refused_by_name() {
    let world = generate(2, 5);
    let (data, network) = (DataDir::new(), start(&world, vec![PeerConfig::default()]).await);
    let mut command = qrsync();
    command.args(["sync", "--network", "regtest", "--from", &(world.tip() + 100).to_string()]);
    command.args(["--activation", "dip3=2"]);
    command.args(["--peer", &network.addresses()[0].to_string(), "--data-dir"]).arg(data.path());
    let finished = Running::start(&mut command).finish();
    assert_eq!(finished.code(), Some(2), "{}", finished.stderr());
    let said = finished.stderr();
    assert!(
        [world.tip() + 100, world.tip()].iter().all(|height| said.contains(&height.to_string())),
        "{said}"
    );
    assert!(data.final_state(&world).states.is_empty());
}

/// Whatever all peers do to every single request, the sync ends, and not as synced.
#[tokio::test(start_paused = true)]
async fn everybody_fails_always_in_the_same_way() {
    let world = generated_world();
    for faults in ["drop=1", "disconnect=1", "bad-checksum=1", "stall=1", "headers,bad-checksum=1"] {
        let data = short_of_patience();
        let summary =
            bounded(async { data.sync_in_virtual_time(&world, all_faulty(2, faults, 1), 1).await.summary })
                .await;
        assert!(["Degraded", "NoCapablePeer"].contains(&summary.state.as_str()), "{faults}: {summary:?}");
        assert!(summary.reason.is_some() && data.final_state(&world).states.is_empty(), "{faults}");
    }
}

/// Whoever listens there, it is no node of this network.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_from_nodes() {
    let world = generated_world();
    let magic = world.params().magic;
    let oversized = [&magic[..], b"version\0\0\0\0\0", &100_000_000_u32.to_le_bytes(), &[0; 4]].concat();
    let unprintable = [&magic[..], &[0xff; 20]].concat();
    let cut_off = [&magic[..], b"version\0\0\0\0\0", &4_u32.to_le_bytes(), &[0; 6]].concat();
    for greeting in
        [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), oversized, unprintable, cut_off, Vec::new()]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stranger = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(&greeting).await.unwrap();
            }
        });
        let data = short_of_patience();
        let summary = bounded(data.sync_from(&world, vec![address.to_string()], 1)).await;
        assert_gave_up(&summary, "NoCapablePeer");
        assert!(summary.peers[0].remark.is_some(), "{summary:?}");
        stranger.abort();
    }
}
