//! The command line: what it prints, how it ends, and what it says about mistakes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;

use serde_json::Value;
use spv_integration::Settings;
use spv_integration::store::Store;
use tempfile::TempDir;

use crate::schemas::assert_valid;
use crate::support::process::{
    Gate, Running, closed_port, qrsync, run, scrape, sync_command, wait_until, write_config,
};
use crate::support::{
    DataDir, all_faulty, generate, generated_world, honest, impatient, start, unsigned_world,
};

/// A data directory with the generated world, for one test alone: only one process can have it open.
fn synced() -> TempDir {
    static TEMPLATE: LazyLock<DataDir> = LazyLock::new(|| {
        let world = generated_world();
        let data = DataDir::new();
        // Tests that need this may be in a runtime of their own.
        std::thread::scope(|scope| {
            let sync = || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let ended = runtime.block_on(data.sync(&world, honest(2), 1));
                assert_eq!(ended.summary.state.as_str(), "Synced");
            };
            scope.spawn(sync).join().unwrap();
        });
        data
    });
    let directory = tempfile::tempdir().unwrap();
    let name = "qrsync.redb";
    fs::copy(TEMPLATE.path().join(name), directory.path().join(name)).unwrap();
    directory
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn query(command: &str, data: &TempDir, more: &[&str]) -> crate::support::process::Finished {
    run([&[command, "--data-dir", text(data.path())], more].concat())
}

/// Asserts that every key is there, nested ones as `outer.inner`.
#[track_caller]
fn assert_has_keys(object: &Value, keys: &[&str]) {
    for key in keys {
        let pointer = format!("/{}", key.replace('.', "/"));
        assert!(object.pointer(&pointer).is_some(), "{key} is missing in {object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_prints_one_object_with_all_that_happened() {
    let world = generated_world();
    let network = start(&world, honest(3)).await;
    let data = tempfile::tempdir().unwrap();
    let summary = Running::start(&mut sync_command(&network.addresses(), data.path())).finish().json();
    assert_has_keys(&summary, &["state", "network", "tip.height", "tip.hash", "from_height", "headers"]);
    assert_has_keys(&summary, &["lists.verified", "quorums.verified", "quorums.failed", "quorums.by_type"]);
    assert_has_keys(&summary, &["bytes.received", "bytes.wasted", "max_in_flight_per_peer"]);
    let requests = ["qrinfo", "mnlistdiff", "getheaders", "refused", "retried", "hedged", "late"];
    requests.iter().for_each(|key| assert_has_keys(&summary["requests"], &[key]));
    let seconds = ["total", "connect", "headers", "lists", "quorums"];
    seconds.iter().for_each(|key| assert_has_keys(&summary["seconds"], &[key]));
    let stages = summary["verification"].as_object().unwrap();
    assert_eq!(stages.len(), 9);
    for (stage, total) in stages {
        // Headers are there from the first block on, so all members can be computed.
        assert_eq!(total["count"] == 0, stage == "quorum_signature", "{stage}: {total}");
        assert_eq!(total["seconds"] == 0.0, total["count"] == 0, "{stage}: {total}");
    }
    let peers = summary["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3);
    for peer in peers {
        assert_has_keys(peer, &["address", "requests", "refused", "failed", "rtt_ms", "max_in_flight"]);
    }
    assert!(!summary["quorums"]["by_type"].as_object().unwrap().is_empty());
    for of_type in summary["quorums"]["by_type"].as_object().unwrap().values() {
        assert_has_keys(of_type, &["verified"]);
    }
    assert_eq!((&summary["state"], &summary["network"]), (&"Synced".into(), &"regtest".into()));
    assert_eq!(summary["tip"]["height"], world.tip());
    assert_eq!(summary["tip"]["hash"], world.block_hash(world.tip()).unwrap().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_without_json_is_for_people() {
    let network = start(&generated_world(), honest(2)).await;
    let data = tempfile::tempdir().unwrap();
    let mut command = qrsync();
    command.args(["sync", "--network", "regtest", "--activation", "dip3=2,v20=100,mn_rr=100", "--data-dir"]);
    command
        .arg(data.path())
        .arg("--skip-quorum-signatures")
        .env("QRSYNC_PEERS", network.addresses().map_join());
    let finished = Running::start(&mut command).finish();
    assert!(finished.ok().starts_with("Synced: regtest at height 503"), "{}", finished.stdout());
    // Without --from, the newest cycles are synced.
    let status = run(["status", "--data-dir", text(data.path()), "--json"]).json();
    assert!((5..10).contains(&status["lists"].as_u64().unwrap()), "{status}");
}

trait MapJoin {
    fn map_join(&self) -> String;
}

impl MapJoin for Vec<std::net::SocketAddr> {
    fn map_join(&self) -> String {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

#[test]
fn status_says_what_is_stored() {
    let (data, world) = (synced(), generated_world());
    let status = query("status", &data, &["--json"]).json();
    assert_eq!((&status["network"], &status["tip"]["height"]), (&"regtest".into(), &world.tip().into()));
    assert_eq!((&status["lowest_list"], &status["highest_list"]), (&16.into(), &world.tip().into()));
    assert_has_keys(&status, &["tip.hash", "headers", "lists"]);
    assert!(query("status", &data, &[]).ok().contains("regtest"));
}

#[test]
fn masternodes_prints_the_list_at_a_height() {
    let (data, world) = (synced(), generated_world());
    let newest = query("masternodes", &data, &["--json"]).json();
    assert_eq!(newest["height"], world.tip());
    let list = query("masternodes", &data, &["--height", "400", "--json"]).json();
    assert_has_keys(&list, &["height", "block_hash", "merkle_root", "count", "valid", "evo", "masternodes"]);
    assert_eq!(list["block_hash"], world.block_hash(400).unwrap().to_string());
    let masternodes = list["masternodes"].as_array().unwrap();
    assert_eq!(list["count"], masternodes.len());
    let count = |key: &str, value: Value| masternodes.iter().filter(|entry| entry[key] == value).count();
    assert_eq!(list["valid"], count("valid", true.into()));
    assert_eq!(list["evo"], count("type", "Evo".into()));
    for entry in masternodes {
        let keys = ["pro_tx_hash", "confirmed_hash", "service", "pub_key_operator", "key_id_voting", "valid"];
        assert_has_keys(entry, &keys);
        assert!(["Evo", "Regular"].contains(&entry["type"].as_str().unwrap()));
    }
    let text = query("masternodes", &data, &["--height", "400"]);
    assert_eq!(text.ok().lines().count(), masternodes.len() + 2, "what it is of, and names");

    let name = masternodes[3]["pro_tx_hash"].as_str().unwrap();
    let one = query("masternode", &data, &[name, "--height", "400", "--json"]).json();
    assert_eq!((&one["masternode"], &one["block_hash"]), (&masternodes[3], &list["block_hash"]));
    let text = query("masternode", &data, &[name, "--height", "400"]);
    for word in [name, "height 400", masternodes[3]["service"].as_str().unwrap()] {
        assert!(text.ok().contains(word), "{word:?} is not in {}", text.stdout());
    }
    let nobody = "07".repeat(32);
    query("masternode", &data, &[&nobody]).fails(1, &[&nobody, "height 503", "qrsync masternodes"]);
    query("masternode", &data, &["07"]).is_usage_error(&["07"]);
}

#[test]
fn quorums_prints_the_active_ones_and_quorum_one_of_them() {
    let data = synced();
    let answer = query("quorums", &data, &["--json"]).json();
    assert_has_keys(&answer, &["height", "quorums"]);
    let quorums = answer["quorums"].as_array().unwrap();
    assert!(!quorums.is_empty());
    for quorum in quorums {
        let keys = ["type", "quorum_hash", "index", "height", "public_key", "members", "verified"];
        assert_has_keys(quorum, &keys);
        assert!(quorum["height"].as_u64().unwrap() > 0);
    }
    let [kind, hash] = ["type", "quorum_hash"].map(|key| quorums[0][key].to_string().replace('"', ""));
    let mut one = query("quorum", &data, &[&kind, &hash, "--json"]).json();
    // Of one quorum, its members' addresses are told too.
    let told = |quorums: &mut Value| quorums[0].as_object_mut().unwrap().remove("member_services").is_some();
    assert!(told(&mut one["quorums"]));
    assert_eq!(one["quorums"].as_array().unwrap(), &quorums[..1]);
    assert!(query("quorums", &data, &[]).ok().contains(&hash));

    // One that is not active any more is found in the lists above its base block.
    let earlier = query("quorums", &data, &["--height", "400", "--json"]).json();
    let past = earlier["quorums"].as_array().unwrap().iter().find(|past| !quorums.contains(past)).unwrap();
    let [kind, hash] = ["type", "quorum_hash"].map(|key| past[key].to_string().replace('"', ""));
    let mut found = query("quorum", &data, &[&kind, &hash, "--json"]).json();
    assert!(told(&mut found["quorums"]));
    assert_eq!(found["quorums"][0], *past);
    assert!((past["height"].as_u64().unwrap() + 1..=400).contains(&found["height"].as_u64().unwrap()));
    query("quorum", &data, &[&kind, &hash, "--height", "503"]).fails(1, &[&hash, "503"]);
}

#[test]
fn what_is_not_stored_is_explained() {
    let empty = tempfile::tempdir().unwrap();
    for command in ["status", "masternodes", "quorums"] {
        query(command, &empty, &["--json"]).fails(1, &["no data", "qrsync sync", "--data-dir"]);
    }
    Store::create_or_open(empty.path(), &dashcore::Network::Regtest).unwrap();
    query("masternodes", &empty, &[]).fails(1, &["no list", "qrsync sync"]);

    let data = synced();
    query("masternodes", &data, &["--height", "401"]).fails(1, &["401", "400"]);
    query("quorums", &data, &["--height", "4000"]).fails(1, &["4000", "503"]);
    let hash = "00".repeat(32);
    query("quorum", &data, &["103", &hash]).fails(1, &["103", &hash, "qrsync quorums"]);
    query("quorum", &data, &["103", "xyz"]).is_usage_error(&["xyz"]);
    query("quorum", &data, &["300", &hash]).is_usage_error(&["300"]);
    query("quorum", &data, &["5", &hash]).fails(2, &["type 5", "this network"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_that_is_not_verified_is_no_signer() {
    let world = unsigned_world();
    let id = "ab".repeat(32);
    for (verify_quorums, why, next) in
        [(false, "never checked", "--skip-quorum-signatures"), (true, "wrong_", "sync again")]
    {
        let mut data = DataDir::new();
        data.settings.verify_quorums = verify_quorums;
        data.sync(&world, honest(1), 1).await;
        for about in [
            &["chainlock", "--height", "264"][..],
            &["instantsend", "--height", "264", "--request-id", &id],
            &["platform", "--height", "264", "--request-id", &id],
        ] {
            let signer = run([&["signer"], about, &["--data-dir", text(data.path())]].concat());
            signer.fails(4, &["not verified", why, next]);
        }
    }
}

#[test]
fn who_signs_is_answered_or_the_question_explained() {
    let data = synced();
    let signer = |more: &[&str]| run([&["signer"], more, &["--data-dir", text(data.path())]].concat());
    let id = "ab".repeat(32);
    for about in [
        &["chainlock", "--height", "408"][..],
        &["instantsend", "--height", "408", "--request-id", &id],
        &["platform", "--height", "408", "--request-id", &id],
    ] {
        assert!(signer(about).ok().contains("verified"));
    }
    // Where one is mined between two lists, nobody knows in which block.
    let ask = |height: u32| {
        let id = format!("{height:x}").repeat(32)[..64].to_owned();
        signer(&["platform", "--height", &height.to_string(), "--request-id", &id])
    };
    let unknown = (402..424).map(ask).find(|finished| finished.code() == Some(1));
    unknown.unwrap().fails(1, &["no list is stored for height", "the nearest one is for height 4", "--from"]);
    signer(&["chainlock", "--height", "5000"]).fails(1, &["4992", "503", "sync again"]);
    signer(&["chainlock", "--height", "12"]).fails(1, &["no quorum of type 100", "height 4"]);
    query("masternodes", &data, &["--height", "12"]).fails(1, &["height 12", "height 16", "--from 12"]);
    signer(&["chainlock"]).is_usage_error(&["--height"]);
    signer(&["instantsend", "--request-id", &id]).is_usage_error(&["--height", "--cycle-hash"]);
    signer(&["instantsend", "--height", "408"]).is_usage_error(&["--request-id"]);
    let unknown = ["instantsend", "--request-id", &id, "--cycle-hash", &id];
    signer(&unknown).fails(1, &[&id, "not in the stored chain"]);
    let no_cycle = generated_world().block_hash(400).unwrap().to_string();
    let no_cycle = ["instantsend", "--request-id", &id, "--cycle-hash", &no_cycle];
    signer(&no_cycle).fails(1, &["height 400", "is not the first block of a cycle", "24"]);
    signer(&["platform", "--height", "400", "--quorum-hash", &id]).fails(1, &["106", &id, "400"]);
    signer(&["platform", "--height", "400"]).is_usage_error(&["--quorum-hash", "--request-id"]);
}

#[test]
fn queries_do_not_need_to_be_told_the_network() {
    let data = synced();
    let plain = query("masternodes", &data, &["--json"]);
    let told = query("masternodes", &data, &["--json", "--network", "regtest"]);
    assert_eq!(plain.ok(), told.ok());
}

#[test]
fn mistakes_in_the_network_parameters_are_usage_errors() {
    let sync = |args: &[&str]| run([&["sync", "--data-dir", "/nonexistent/qrsync"], args].concat());
    sync(&["--network", "mainnet"]).fails(2, &["mainnet", "main, test, regtest"]);
    sync(&["--network", "regtest", "--llmq-params", "100=4"])
        .fails(2, &["llmq-params", "100=4", "TYPE=SIZE:THRESHOLD"]);
    sync(&["--network", "regtest", "--llmq-params", "100=3:4"]).fails(2, &["100=3:4"]);
    sync(&["--network", "regtest", "--activation", "v99=3"]).fails(2, &["activation", "v99=3", "mn_rr"]);
    sync(&["--llmq-params", "100=4:4"]).fails(2, &["llmq-params", "regtest", "main"]);
    sync(&["-1"]).is_usage_error(&["-1"]);
    sync(&["--metrics-listen", "nowhere"]).fails(2, &["--metrics-listen", "nowhere", "PORT"]);
    sync(&["--metrics-listen", "0.0.0.0:0"]).fails(2, &["0.0.0.0:0", "127.0.0.1", "--metrics-allow-remote"]);
    run(["sync", "--no-such-flag"]).is_usage_error(&["--no-such-flag"]);
    run(["no-such-command"]).is_usage_error(&["no-such-command"]);
    run([] as [&str; 0]).is_usage_error(&["Usage"]);
}

#[test]
fn a_network_without_seeds_needs_peers() {
    let data = tempfile::tempdir().unwrap();
    run(["sync", "--network", "regtest", "--data-dir", text(data.path())]).fails(2, &["no peers", "--peer"]);
}

#[test]
fn an_unreachable_peer_is_no_usable_peer() {
    let data = tempfile::tempdir().unwrap();
    let address = closed_port().to_string();
    let args = ["sync", "--network", "regtest", "--peer", &address, "--data-dir", text(data.path())];
    let finished = run(args);
    assert_eq!(finished.code(), Some(3));
    let said = format!("{}{}", finished.stdout(), finished.stderr());
    for word in ["NoCapablePeer", "no usable peer", "--peer", &address, "refused"] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    let finished = run([&args[..], &["--json"]].concat());
    assert_eq!((finished.code(), finished.stdout().lines().count()), (Some(3), 1));
    let summary: Value = serde_json::from_str(finished.stdout()).unwrap();
    assert_eq!(summary["state"], "NoCapablePeer");
    assert_eq!(summary["lists"]["verified"], 0);
}

#[test]
fn a_peer_whose_name_is_unknown_is_no_usable_peer() {
    let data = tempfile::tempdir().unwrap();
    let args = ["sync", "--network", "regtest", "--data-dir", text(data.path()), "--peer"];
    run([&args[..], &["no such host:1"]].concat()).fails(3, &["no such host", "HOST:PORT"]);
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let peer = closed_port().to_string();
    run(["sync", "--network", "regtest", "--peer", &peer, "--data-dir", text(&below)])
        .fails(1, &["cannot create", text(&below), "--data-dir"]);
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn data_of_another_network_is_left_alone() {
    let data = synced();
    let before = query("masternodes", &data, &["--json"]).json();
    let peer = closed_port().to_string();
    for network in ["test", "devnet:other"] {
        run(["sync", "--network", network, "--peer", &peer, "--data-dir", text(data.path())])
            .fails(2, &["regtest", network, "--data-dir"]);
    }
    assert_eq!(query("masternodes", &data, &["--json"]).json(), before);
}

#[test]
fn data_in_use_is_left_alone() {
    let data = synced();
    let _held = Store::open(data.path()).unwrap();
    query("status", &data, &[]).fails(1, &["in use", "stop that one"]);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("qrsync.redb");
    let garbage = "not a database ".repeat(1000);
    fs::write(&path, &garbage).unwrap();
    query("status", &data, &[]).fails(1, &["not a qrsync database", text(&path), "--data-dir"]);
    let peer = closed_port().to_string();
    run(["sync", "--network", "regtest", "--peer", &peer, "--data-dir", text(data.path())])
        .fails(1, &["not a qrsync database", text(&path)]);
    assert_eq!(fs::read_to_string(&path).unwrap(), garbage);
}

#[test]
fn a_broken_configuration_says_which_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qrsync.toml");
    let show = |content: &str| {
        fs::write(&path, content).unwrap();
        run(["config", "show", "--config", text(&path)])
    };
    let next = "config show";
    show("network = \"regtest\"\nfrom =").fails(2, &[text(&path), "line 2", next]);
    show("network = \"regtest\"\nform = 3").fails(2, &["line 2", "form", next]);
    show("[sync]\n\nwindw = 3").fails(2, &["line 3", "windw", next]);
    show("[sync.executor]\nsoft_timeout = \"soon\"").fails(2, &["line 2", "soon"]);
    show("[sync]\ndepth = 4").fails(2, &["line 2", "4"]);
    show("network = \"moon\"").fails(2, &["moon"]);
    fs::remove_file(&path).unwrap();
    run(["config", "show", "--config", text(&path)]).fails(2, &["cannot read", text(&path)]);
}

#[test]
fn settings_out_of_range_are_named_with_their_section() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qrsync.toml");
    let peer = closed_port().to_string();
    for (content, field) in [
        ("[sync]\nwindow = 0", "sync.window"),
        ("[sync.executor]\nsoft_timeout = \"0s\"", "sync.executor.soft_timeout"),
        ("[sync.recovery]\nmax_attempts = 0", "sync.recovery.max_attempts"),
        ("[sync.scheduler]\ncapacity = 0", "sync."),
        ("[sync.discovery]\ntarget_peers = 2", "sync.discovery.target_peers"),
    ] {
        fs::write(&path, content).unwrap();
        let data = directory.path().join("data");
        run([
            "sync",
            "--network",
            "regtest",
            "--peer",
            &peer,
            "--config",
            text(&path),
            "--data-dir",
            text(&data),
        ])
        .fails(2, &[field]);
    }
}

#[test]
fn the_configuration_that_is_shown_can_be_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--network", "devnet:name", "--llmq-params", "101=12:10", "--activation", "v20=300"];
    let more =
        ["--peer", "127.0.0.1:1", "--peer", "[::1]:2", "--from", "7", "--metrics-listen", "127.0.0.1:3"];
    let shown = run([&["config", "show", "--data-dir", "/somewhere"], &flags[..], &more].concat());
    let path = directory.path().join("qrsync.toml");
    fs::write(&path, shown.ok()).unwrap();
    let again = run(["config", "show", "--config", text(&path)]);
    let without_origins = |shown: &str| -> Vec<String> {
        shown.lines().map(|line| line.split("  # ").next().unwrap().trim_end().to_owned()).collect()
    };
    assert_eq!(without_origins(again.ok()), without_origins(shown.ok()));
    for word in ["devnet:name", "101=12:10", "v20=300", "[::1]:2", "from = 7", "127.0.0.1:3", "/somewhere"] {
        assert!(shown.stdout().contains(word), "{word} is not in {}", shown.stdout());
    }
    // All others are sections, or say what a key means.
    let is_value = |line: &&str| {
        let key = line.trim_start_matches("# ").split_once(" =").map_or("", |(key, _)| key);
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    assert!(shown.stdout().lines().filter(is_value).count() > 100);
    for line in shown.stdout().lines().filter(is_value) {
        assert!(line.contains("  # "), "{line} does not say where it comes from");
    }
}

#[test]
fn the_origin_of_every_value_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qrsync.toml");
    fs::write(&path, "network = \"test\"\nfrom = 3\n[sync]\nwindow = 9\n").unwrap();
    let mut command = qrsync();
    command.args(["config", "show", "--config", text(&path), "--peer", "127.0.0.1:1", "--log-level", "info"]);
    command.env("QRSYNC_FROM", "5").env("QRSYNC_SYNC_PEER_PATIENCE", "7s").env("RUST_LOG", "trace");
    let shown = Running::start(&mut command).finish();
    let line = |start: &str| {
        let line = shown.ok().lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{start} is not in {}", shown.stdout()))
    };
    for (start, end) in [
        ("network = \"test\"", format!("# file {}:1", path.display())),
        ("from = 5", "# environment QRSYNC_FROM".to_owned()),
        ("peers = [\"127.0.0.1:1\"]", "# flag --peer".to_owned()),
        ("window = 9", format!("# file {}:4", path.display())),
        ("peer_patience = \"7s\"", "# environment QRSYNC_SYNC_PEER_PATIENCE".to_owned()),
        ("level = \"info\"", "# flag --log-level".to_owned()),
        ("# data_dir = \"/nonexistent/.local/share/qrsync/test\"", "# default".to_owned()),
        ("# max_tip_age = \"1h\"", "# default".to_owned()),
        ("# metrics_listen =", "# default: not set".to_owned()),
        ("ping_interval = \"10s\"", "# default".to_owned()),
    ] {
        assert!(line(start).ends_with(&end), "{}", line(start));
    }
    let shown = Running::start(command.arg("--json")).finish().json();
    assert_eq!(shown["from"]["value"], 5);
    assert_eq!(
        (&shown["from"]["origin"], &shown["from"]["source"]),
        (&"environment".into(), &"QRSYNC_FROM".into())
    );
    assert_eq!(shown["data_dir"]["value"], Value::Null);
    assert_eq!(shown["data_dir"]["used"], "/nonexistent/.local/share/qrsync/test");
    assert_eq!((&shown["max_tip_age"]["used"], &shown["from"]["used"]), (&"1h".into(), &Value::Null));
    assert_eq!(shown["sync.executor.hedge_budget"]["origin"], "default");
    assert_eq!(shown["sync.window"]["variable"], "QRSYNC_SYNC_WINDOW");
    // A flag goes before the environment.
    let network = |args: &[&str]| {
        let mut command = qrsync();
        command.args(["config", "show", "--config", text(&path), "--json"]).args(args);
        let shown = Running::start(command.env("QRSYNC_NETWORK", "devnet:environment")).finish();
        shown.json()["network"]["value"].clone()
    };
    assert_eq!(network(&[]), "devnet:environment");
    assert_eq!(network(&["--network", "devnet:flag"]), "devnet:flag");
}

#[test]
fn mistakes_in_the_environment_are_explained() {
    let show =
        |name: &str, value: &str| Running::start(qrsync().args(["config", "show"]).env(name, value)).finish();
    show("QRSYNC_SYNC_DEPTH", "4").fails(2, &["QRSYNC_SYNC_DEPTH", "4", "config show"]);
    show("QRSYNC_LOG_LEVEL", "a=b=c").fails(2, &["log level", "a=b=c", "warn"]);
    let misspelt = show("QRSYNC_NETWROK", "test");
    assert_eq!(misspelt.code(), Some(0));
    assert_eq!(misspelt.stderr().lines().count(), 1, "{}", misspelt.stderr());
    assert!(misspelt.stderr().contains("QRSYNC_NETWROK") && misspelt.stderr().contains("WARN"));
}

#[test]
fn logs_are_for_people_or_for_machines() {
    let log = |more: &[&str]| {
        let mut command = qrsync();
        let command = command.args(["config", "show"]).args(more).env("QRSYNC_NETWROK", "x");
        Running::start(command).finish().stderr().to_owned()
    };
    assert!(log(&[]).contains("WARN") && !log(&[]).contains('\u{1b}'));
    let line: Value = serde_json::from_str(log(&["--log-format", "json"]).trim()).unwrap();
    assert_eq!((&line["level"], &line["fields"]["name"]), (&"WARN".into(), &"QRSYNC_NETWROK".into()));
    assert_eq!(log(&["--log-level", "error"]), "");
    run(["status", "--log-format", "xml"]).is_usage_error(&["--log-format", "xml", "json"]);
}

#[test]
fn a_manual_page_is_written_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    run(["man", text(directory.path())]).ok();
    for page in ["qrsync.1", "qrsync-sync.1", "qrsync-config-show.1", "qrsync-signer-chainlock.1"] {
        let page = fs::read_to_string(directory.path().join(page)).unwrap_or_else(|_| panic!("{page}"));
        assert!(page.contains(".SH NAME"), "{page}");
    }
    run(["man", "/proc/nothing"]).fails(1, &["cannot create", "/proc/nothing"]);
}

#[test]
fn every_command_shows_examples() {
    let commands = ["demo", "sync", "simnet", "decode", "status", "masternodes", "masternode", "quorums"];
    let more = ["quorum", "signer", "verify", "completions", "man"];
    for command in commands.into_iter().chain(more) {
        let help = run([command, "--help"]);
        let example = format!("qrsync {command} ");
        let ends_with_example = help.ok().contains(&example) || help.ok().contains(example.trim_end());
        assert!(help.stdout().contains("Example") && ends_with_example, "{command}");
    }
    assert!(run(["config", "show", "--help"]).ok().contains("Examples:"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let finished = run(["completions", shell]);
        for word in ["masternodes", "simnet"] {
            assert!(finished.ok().contains(word), "{shell}");
        }
    }
    run(["completions", "csh"]).is_usage_error(&["csh", "bash"]);
}

#[test]
fn help_names_commands_and_exit_codes() {
    let help = run(["--help"]);
    for word in
        ["demo", "sync", "simnet", "decode", "status", "masternodes", "quorums", "signer", "config", "130"]
    {
        assert!(help.ok().contains(word), "{word}");
    }
    assert!(run(["--version"]).ok().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let data = synced();
    let directory = text(data.path());
    for args in [
        &["masternodes", "--data-dir", directory][..],
        &["masternodes", "--data-dir", directory, "--json"],
        &["status", "--data-dir", directory],
        &["config", "show"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = qrsync().args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn simnet_names_its_peers_first_and_counts_at_the_end() {
    let world = "generated:masternodes=8,cycles=2,seed=4";
    let mut simnet = Running::start(qrsync().args(["simnet", "--world", world, "--peers", "3", "--json"]));
    let mut lines = BufReader::new(simnet.child().stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let peers = first["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3);
    assert_has_keys(&first, &["tip.height", "tip.hash"]);

    let data = tempfile::tempdir().unwrap();
    let addresses: Vec<_> = peers.iter().map(|peer| peer.as_str().unwrap().parse().unwrap()).collect();
    let summary = Running::start(&mut sync_command(&addresses, data.path())).finish().json();
    assert_eq!(summary["state"], "Synced");
    assert_eq!(
        ["height", "hash"].map(|key| &summary["tip"][key]),
        ["height", "hash"].map(|key| &first["tip"][key])
    );

    simnet.interrupt();
    let last: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(lines.next().is_none());
    let stats = last["stats"].as_array().unwrap();
    assert_eq!(stats.len(), 3);
    assert!(stats.iter().all(|peer| (1..=3).contains(&peer["max_in_flight"].as_u64().unwrap())), "{last}");
    let finished = simnet.finish();
    assert_eq!((finished.code(), finished.stderr()), (Some(0), ""));
}

#[test]
fn mistakes_in_a_simulated_network_are_explained() {
    let simnet = |world: &str, more: &[&str]| run([&["simnet", "--world", world], more].concat());
    let small = "generated:masternodes=8,cycles=1,seed=4";
    simnet("generated:nodes=5", &[]).fails(2, &["nodes", "masternodes=N"]);
    simnet("generated:masternodes=1", &[]).fails(2, &["masternodes=1", "4 to 5000"]);
    simnet("/nonexistent/world", &[]).fails(1, &["/nonexistent/world", "generated:masternodes=N"]);
    simnet(small, &["--faults", "evil"]).fails(2, &["evil"]);
    simnet(small, &["--faults", "drop=often"]).fails(2, &["drop=often"]);
    simnet(small, &["--faults", "7:silent"]).fails(2, &["7:silent", "node 7"]);
    simnet(small, &["--protocol-version", "70000"]).fails(2, &["70000", "70230"]);
    simnet(small, &["--peers", "0"]).is_usage_error(&["--peers"]);
}

#[test]
fn demo_ends_with_a_comparison() {
    let args = ["demo", "--peers", "3", "--masternodes", "8", "--cycles", "4", "--rtt", "2"];
    let report = run([&args[..], &["--json"]].concat()).json();
    for run in ["parallel", "sequential"] {
        assert_eq!(report[run]["state"], "Synced");
        assert_eq!(report[run]["lists"], report["parallel"]["lists"]);
    }
    assert!((1..=3).contains(&report["max_in_flight_counted_by_peers"].as_u64().unwrap()));
    assert!(report["speed_up"].as_f64().unwrap() > 0.0);
    let text = run(args);
    assert!(text.ok().contains("times as fast"), "{}", text.stdout());
    run([&args[..], &["--faults", "1.5"]].concat()).fails(2, &["--faults", "1.5", "0.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn end_states_have_their_exit_codes() {
    let world = generated_world();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("qrsync.toml");
    // Silence alone is noticed by time; whoever answers or refuses has all the time that a busy machine needs.
    for (faults, settings, code, state) in [
        ("", Settings::default(), 0, "Synced"),
        ("refuse-all", Settings::default(), 1, "Degraded"),
        ("silent", impatient(), 3, "NoCapablePeer"),
    ] {
        let mut settings = settings;
        settings.recovery.max_attempts = 3;
        write_config(&config, settings);
        let network = start(&world, all_faulty(2, faults, 1)).await;
        let data = directory.path().join(state);
        let finished =
            Running::start(sync_command(&network.addresses(), &data).arg("--config").arg(&config)).finish();
        assert_eq!(finished.code(), Some(code), "{}", finished.stderr());
        let summary: Value = serde_json::from_str(finished.stdout()).unwrap();
        assert_eq!(summary["state"], state);
        assert_eq!(summary.get("reason").is_some(), code != 0, "{summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_every_mechanism_can_be_scraped_during_a_sync() {
    // From some request on nothing is answered, so that the sync goes on for as long as this looks at it.
    let network = start(&generate(24, 3), all_faulty(2, "refuse=every:4,delay=every:7:1h", 1)).await;
    let data = tempfile::tempdir().unwrap();
    let address = closed_port();
    let mut command = sync_command(&network.addresses(), data.path());
    let mut client = Running::start(command.args(["--metrics-listen", &address.to_string()]));
    let prefixes = [
        "qrsync_executor_",
        "qrsync_correlation_",
        "qrsync_scheduler_",
        "qrsync_recovery_",
        "qrsync_netmon_",
        "qrsync_",
        "process_",
    ];
    let mut scraped = String::new();
    wait_until("all metrics are there", || {
        assert!(!client.has_ended(), "the sync ended before all metrics were there: {scraped}");
        scraped = scrape(address).unwrap_or_default();
        prefixes.iter().all(|prefix| scraped.lines().any(|line| line.starts_with(prefix)))
            && scraped.contains("qrsync_proven_lists")
    });
    for line in scraped.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(prefixes.iter().any(|prefix| name.starts_with(prefix)), "{line}");
    }
    for prefix in prefixes {
        let described = format!("# HELP {prefix}");
        assert!(scraped.contains(&described), "{described} is not there");
    }
    // Nothing that names a peer or a block.
    assert!(network.addresses().iter().all(|peer| !scraped.contains(&peer.to_string())));
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_for_metrics_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let mut command = sync_command(&[closed_port()], data.path());
    let finished = Running::start(command.args(["--metrics-listen", &address])).finish();
    finished.fails(1, &[&address, "--metrics-listen"]);
}

/// Two runs on the same data at once: the second leaves it alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_into_the_same_directory_is_refused() {
    let network = start(&generated_world(), honest(1)).await;
    let gate = Gate::before(network.addresses()[0]).await;
    let data = tempfile::tempdir().unwrap();
    let first = Running::start(&mut sync_command(&[gate.address], data.path()));
    wait_until("the first connects", || gate.connections() > 0);
    let second = Running::start(&mut sync_command(&[gate.address], data.path())).finish();
    second.fails(1, &["in use"]);
    gate.open();
    assert_eq!(first.finish().json()["state"], "Synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_were_found_are_listed_and_can_be_banned() {
    let world = generated_world();
    let network = start(&world, honest(4)).await;
    let data = tempfile::tempdir().unwrap();
    let mut sync = sync_command(&network.addresses()[..1], data.path());
    Running::start(sync.arg("--discover")).finish().ok();
    let listed = query("peers", &data, &["--json"]).json();
    assert_valid("peers", &listed);
    let peers = listed["peers"].as_array().unwrap();
    let mut found: Vec<&str> = peers.iter().map(|peer| peer["address"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected: Vec<String> = network.addresses().iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let keys = [
        "score",
        "standing.state",
        "standing.seconds",
        "source",
        "seen",
        "tried",
        "succeeded",
        "failures",
        "rtt_ms",
    ];
    assert_has_keys(&peers[0], &keys);

    run(["peers", "ban", &expected[0], "--hours", "2", "--data-dir", text(data.path())]).ok();
    assert_valid("peers", &query("peers", &data, &["--json"]).json());
    let table = query("peers", &data, &[]);
    assert!(table.ok().starts_with("4 nodes known, 1 of them banned"), "{}", table.ok());
    assert!(
        table.ok().lines().last().unwrap().ends_with("avoided for 2 h because it was banned by hand"),
        "{}",
        table.ok()
    );
    let unban = ["peers", "unban", &expected[0], "--data-dir", text(data.path()), "--json"];
    let lifted = run(unban).json();
    assert_valid("peers", &lifted);
    assert_eq!(lifted["was_banned"], true);
    assert_eq!(run(unban).json()["was_banned"], false);
}
