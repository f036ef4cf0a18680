//! `qrsync sync --follow` at the tip of a chain that grows and changes its mind.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use serde_json::Value;
use spv_simnet::{ActiveChain, GeneratedSpec, PeerConfig, Unlocked, World};

use crate::support::process::{Running, qrsync};
use crate::support::start;

/// Its blocks from 404 to 406 are not locked, so that a branch may replace them.
const SPEC: GeneratedSpec = GeneratedSpec {
    masternodes: 12,
    cycles: 12,
    seed: 3,
    unlocked: Unlocked::new(&[(404, 406)]),
    ..GeneratedSpec::DEFAULT
};

#[tokio::test(flavor = "multi_thread")]
async fn each_new_tip_is_proven_and_reported_until_interrupted() {
    let world = Arc::new(World::generate(&SPEC));
    let branch = Arc::new(World::generate_branch(&SPEC, 403, 8));
    let peers = (0..3).map(|seed| PeerConfig { seed, tip: Some(400), ..PeerConfig::default() }).collect();
    let network = start(&world, peers).await;
    let data = tempfile::tempdir().unwrap();
    let mut command = qrsync();
    command.args(["sync", "--follow", "--json", "--network", "regtest"]);
    command.args(["--llmq-params", "100=4:4,104=4:4,106=4:4", "--activation", "dip3=2,v20=100,mn_rr=100"]);
    command.arg("--data-dir").arg(data.path());
    for address in network.addresses() {
        command.args(["--peer", &address.to_string()]);
    }
    let mut running = Running::start(&mut command);
    let mut lines = BufReader::new(running.child().stdout.take().unwrap()).lines();
    let mut next_tip = |world: &World, height: u32| loop {
        // Tips in between may be passed over.
        let step: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(step["state"], "Synced", "{step}");
        assert_eq!(step["quorums"]["failed"], 0, "{step}");
        if step["tip"]["hash"] == world.block_hash(height).unwrap().to_string() {
            return step;
        }
    };
    assert_eq!(next_tip(&world, 400).get("rolled_back_to"), None);
    for height in 401..=406 {
        network.activate(&ActiveChain::new(world.clone(), height));
        let step = next_tip(&world, height);
        assert!(step["quorums"]["verified"].as_u64() > Some(0), "{step}");
    }
    network.activate(&ActiveChain::new(branch.clone(), 409));
    assert_eq!(next_tip(&branch, 409)["rolled_back_to"], 403);
    // More blocks at once than are announced by their headers.
    network.activate(&ActiveChain::new(world.clone(), 440));
    assert_eq!(next_tip(&world, 440)["rolled_back_to"], 403);

    running.interrupt();
    let finished = running.finish();
    assert_eq!((finished.code(), finished.stderr()), (Some(0), ""));
}

#[test]
fn a_network_that_grows_has_a_start_and_an_interval() {
    let mut command = qrsync();
    command.args(["simnet", "--world", "generated:cycles=2", "--block-interval", "1"]);
    Running::start(&mut command).finish().is_usage_error(&["--start-height"]);
    let mut command = qrsync();
    command.args(["simnet", "--world", "generated:cycles=2,signatures=none", "--start-height", "5000"]);
    Running::start(&mut command).finish().fails(2, &["5000"]);
}
