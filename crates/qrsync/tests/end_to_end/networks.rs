//! Networks whose rules differ from today's public ones, as the binary's users meet them: over real sockets, by flags.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::schemas::assert_valid;
use crate::support::DataDir;
use crate::support::process::{Running, qrsync, run};

/// A simulated network that serves this world, and the lines that it printed.
struct Served {
    _running: Running,
    peers: String,
    flags: Vec<String>,
}

impl Served {
    fn start(world: &str, faults: &str) -> Self {
        let mut running = Running::start(
            qrsync().args(["simnet", "--world", world, "--peers", "2", "--faults", faults, "--json"]),
        );
        let first = BufReader::new(running.child().stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let said: Value = serde_json::from_str(&first).unwrap();
        let texts = |name: &str| -> Vec<String> {
            said[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        Self { _running: running, peers: texts("peers").join(","), flags: texts("sync_flags") }
    }

    fn sync(&self, data: &DataDir, more: &[&str]) -> Vec<String> {
        let given = ["sync", "--json", "--peer", &self.peers, "--data-dir", data.path().to_str().unwrap()];
        given.iter().chain(more).map(|text| (*text).to_owned()).chain(self.flags.clone()).collect()
    }
}

/// What `command` prints of a data directory, which is as its schema says.
fn ask(command: &str, data: &DataDir, flags: &[String]) -> Value {
    let given = [command, "--json", "--data-dir", data.path().to_str().unwrap()];
    let answer = run(given.iter().map(|text| (*text).to_owned()).chain(flags.to_vec())).json();
    assert_valid(command, &answer);
    answer
}

/// Syncs from this world, and gives what its tip's quorums and masternodes are; all quorums are verified.
fn synced(world: &str, more: &[&str]) -> (Value, Value) {
    let served = Served::start(world, "");
    let data = DataDir::new();
    let summary = run(served.sync(&data, more));
    assert_eq!(summary.code(), Some(0), "{}\n{}", summary.stdout(), summary.stderr());
    let summary: Value = serde_json::from_str(summary.stdout()).unwrap();
    assert_valid("sync", &summary);
    assert_eq!(
        (&summary["state"], &summary["quorums"]["failed"]),
        (&"Synced".into(), &0.into()),
        "{summary}"
    );
    for peer in summary["peers"].as_array().unwrap() {
        assert_eq!((&peer["failed"], &peer["invalid"]), (&0.into(), &0.into()), "{peer}");
    }
    let quorums = ask("quorums", &data, &served.flags);
    for quorum in quorums["quorums"].as_array().unwrap() {
        assert_eq!(quorum["verified"], true, "{quorum}");
    }
    (quorums, ask("masternodes", &data, &served.flags))
}

fn types(quorums: &Value) -> Vec<u64> {
    let mut types: Vec<u64> = quorums["quorums"]
        .as_array()
        .unwrap()
        .iter()
        .map(|quorum| quorum["type"].as_u64().unwrap())
        .collect();
    types.dedup();
    types
}

#[test]
fn across_v24() {
    let world = "generated:masternodes=12,cycles=4,seed=3,v24=250";
    let (quorums, masternodes) = synced(world, &["--from", "1"]);
    assert_eq!(types(&quorums), [100, 103, 106]);
    let all = masternodes["masternodes"].as_array().unwrap();
    let extended: Vec<&Value> = all.iter().filter(|one| one["addresses"].is_array()).collect();
    assert!(extended.len() >= 3, "{masternodes}");
    let address = |purpose: &str, start: &str| {
        let is =
            |one: &Value| one["purpose"] == purpose && one["address"].as_str().unwrap().starts_with(start);
        extended.iter().all(|entry| entry["addresses"].as_array().unwrap().iter().any(is))
    };
    assert!(address("core_p2p", "10.") && address("core_p2p", "tor:") && address("platform_https", "evo-"));
    let evo = |entry: &&&Value| entry["type"] == "Evo";
    for entry in all.iter().filter(|entry| evo(&entry) && entry["valid"] == true) {
        assert_eq!(entry["platform"]["http_port"], 22_200, "{entry}");
        assert_eq!(entry["platform"]["node_id"].as_str().unwrap().len(), 40);
    }
    assert!(extended.iter().any(|entry| evo(&entry)), "{masternodes}");
}

#[test]
fn rules_that_are_not_known() {
    let served = Served::start("generated:masternodes=12,cycles=2,seed=3,opaque=250", "");
    let data = DataDir::new();
    let ended = run(served.sync(&data, &[]));
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr());
    let summary: Value = serde_json::from_str(ended.stdout()).unwrap();
    assert_valid("sync", &summary);
    assert_eq!(summary["state"], "Unverifiable");
    let said = format!("{}{}", ended.stdout(), ended.stderr());
    assert!(said.contains("made by newer rules than this version knows; update"), "{said}");
    for peer in summary["peers"].as_array().unwrap() {
        assert_eq!((&peer["failed"], &peer["invalid"]), (&0.into(), &0.into()), "{peer}");
    }
}

#[test]
fn quorums_of_one_and_no_rotation() {
    let (quorums, _) = synced("generated:masternodes=4,cycles=2,seed=3,quorums=single", &[]);
    assert_eq!(types(&quorums), [100, 104, 106]);
    for quorum in quorums["quorums"].as_array().unwrap() {
        assert_eq!(quorum["members"].as_array().unwrap().len(), 1, "{quorum}");
    }
}

/// `local` stands for what the simulated network prints as flags.
#[test]
fn a_local_network_by_its_name() {
    let mut served = Served::start("generated:masternodes=4,cycles=2,seed=3,quorums=local", "");
    let roles = served.flags.iter().position(|flag| flag == "--llmq-roles").unwrap();
    assert_eq!(served.flags[roles + 1], "instant-send=104");
    served.flags.drain(roles..roles + 2);
    let network = served.flags.iter().position(|flag| flag == "--network").unwrap();
    "local".clone_into(&mut served.flags[network + 1]);
    let data = DataDir::new();
    let ended = run(served.sync(&data, &["--from", "1"]));
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout(), ended.stderr());
    let summary: Value = serde_json::from_str(ended.stdout()).unwrap();
    assert_eq!(summary["requests"]["qrinfo"], 0, "{summary}");
    let quorums = ask("quorums", &data, &served.flags);
    assert_eq!(types(&quorums), [100, 104, 106]);
    for quorum in quorums["quorums"].as_array().unwrap() {
        assert_eq!(quorum["verified"], true, "{quorum}");
    }
}

#[test]
fn a_devnet_by_its_name_and_no_other() {
    let world = "generated:masternodes=50,cycles=1,seed=3,quorums=devnet";
    let (quorums, _) = synced(world, &[]);
    assert_eq!(types(&quorums), [101, 105, 107]);

    let mut served = Served::start(world, "");
    let name = served.flags.iter().position(|flag| flag == "devnet:simnet").unwrap();
    "devnet:other".clone_into(&mut served.flags[name]);
    let ended = run(served.sync(&DataDir::new(), &[]));
    assert_eq!(ended.code(), Some(3), "{}", ended.stderr());
}

#[test]
fn a_devnet_s_name_is_no_path() {
    for name in ["devnet:../../x", "devnet:a/b", "devnet:\u{1b}[31m"] {
        run(["sync", "--network", name, "--peer", "127.0.0.1:1"])
            .fails(2, &["unknown network", "devnet:NAME"]);
        run(["status", "--network", name]).fails(2, &["unknown network", "devnet:NAME"]);
    }
}

#[test]
fn a_rate_limit_is_waited_out() {
    let served = Served::start("generated:masternodes=8,cycles=3,seed=3,quorums=local", "rate-limit=4");
    let data = DataDir::new();
    let ended = run(served.sync(&data, &["--from", "1"]));
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout(), ended.stderr());
}

/// The data knows the parameters that it was made with: questions need no flags, and wrong ones are refused.
#[test]
fn questions_need_no_parameters() {
    let served = Served::start("generated:masternodes=12,cycles=3,seed=3", "");
    let data = DataDir::new();
    assert_eq!(run(served.sync(&data, &[])).code(), Some(0));
    assert!(served.flags.contains(&"--llmq-params".to_owned()), "{:?}", served.flags);
    let with_flags = ask("quorums", &data, &served.flags);
    assert_eq!(ask("quorums", &data, &[]), with_flags);
    let (directory, height) = (data.path().to_str().unwrap(), with_flags["height"].to_string());
    run(["signer", "chainlock", "--height", &height, "--data-dir", directory]).ok();
    for (network, words) in
        [("test", ["not test", "regtest"]), ("devnet:other", ["not devnet:other", "regtest"])]
    {
        run(["status", "--data-dir", directory, "--network", network]).fails(2, &words);
    }
    run(["status", "--data-dir", directory, "--network", "local"]).ok();
    let wrong = ["quorums", "--data-dir", directory, "--network", "regtest", "--llmq-params", "100=3:2"];
    run(wrong).is_usage_error(&["other parameters"]);

    // With other parameters what was found is not believed any more.
    let params: Vec<String> = served.flags.iter().map(|flag| flag.replace("100=4:4", "100=3:2")).collect();
    assert_ne!(params, served.flags);
    let other = Served { flags: params, ..served };
    let ended = run(other.sync(&data, &[]));
    assert_ne!(ended.code(), Some(0), "{}", ended.stdout());
    let quorums = ask("quorums", &data, &[]);
    let wrong = quorums["quorums"].as_array().unwrap().iter().filter(|quorum| quorum["verified"] != true);
    assert!(wrong.count() > 0, "{quorums}");
}
