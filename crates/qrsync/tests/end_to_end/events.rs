//! What a service tells as it happens.

use std::io::{BufRead, BufReader};

use serde_json::Value;
use spv_simnet::{ActiveChain, PeerConfig};

use crate::schemas::assert_valid;
use crate::service::Service;
use crate::support::process::{Running, qrsync};
use crate::support::{generated_world, start};

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_happen_after_how_things_are() {
    let world = generated_world();
    let peers = (0..2).map(|seed| PeerConfig { seed, tip: Some(400), ..PeerConfig::default() }).collect();
    let service = Service::of(start(&world, peers).await, |_| {});
    service.wait_until_it_answers("/ready", 200);
    let mut command = qrsync();
    command.args(["watch", "--json", "--data-dir"]).arg(service.data.path());
    let mut watch = Running::start(&mut command);
    let mut lines = BufReader::new(watch.child().stdout.take().unwrap()).lines();
    let mut seen: Vec<Value> = Vec::new();
    let mut until = |kind: &str, wanted: &dyn Fn(&Value) -> bool| loop {
        let found = seen.iter().find(|event| event["event"] == kind && wanted(&event["data"]));
        if let Some(found) = found {
            return found["data"].clone();
        }
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_valid("event", &event);
        seen.push(event);
    };
    let tip = until("tip", &|_| true);
    assert_eq!((&tip["height"], &tip["state"]), (&400.into(), &"Synced".into()));
    until("peer", &|peer| peer["state"] == "ready");
    until("phase", &|phase| phase["phase"] == "following");
    for height in 401..=430 {
        service.network.activate(&ActiveChain::new(world.clone(), height));
        if height % 10 == 0 {
            until("tip", &|tip| tip["height"] == height);
        }
    }
    until("chain_lock", &|lock| lock["height"].as_u64() > Some(420));
    until("quorum", &|quorum| quorum["change"] == "active" && quorum["verified"] == true);
    // A person is told the same, and that the service has ended.
    let mut command = qrsync();
    let mut person =
        Running::start(command.args(["watch", "--connect", &format!("http://{}", service.address)]));
    let mut said = BufReader::new(person.child().stdout.take().unwrap()).lines();
    let mut says = |words: &[&str]| loop {
        let line = said.next().unwrap().unwrap();
        if words.iter().all(|word| line.contains(word)) {
            return;
        }
    };
    says(&["tip", "430", "Synced"]);
    service.end("-TERM").await;
    let ended = person.finish();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr());
    assert!(ended.stderr().contains("has ended"), "{}", ended.stderr());
}
