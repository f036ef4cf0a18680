//! What somebody meets who runs the program and reads what it says: the log at its default level, damaged files, values that
//! cannot be.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use spv_simnet::{Network, NetworkConfig};

use crate::support::process::{Finished, PATIENCE, Running, closed_port, qrsync, run, sync_command};
use crate::support::{faulty, generated_world, honest, start};

const PAGE: usize = 4_096;

/// A sync with the default log level.
async fn sync_with_log(peers: Vec<spv_simnet::PeerConfig>, data: &Path) -> Finished {
    let network = start(&generated_world(), peers).await;
    let mut command = sync_command(&network.addresses(), data);
    let finished = Running::start(command.env_remove("QRSYNC_LOG_LEVEL")).finish();
    network.shutdown().await;
    finished
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_where_it_is_and_how_it_ended() {
    let data = tempfile::tempdir().unwrap();
    let finished = sync_with_log(honest(3), data.path()).await;
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr());
    let mut lines = finished.stderr().lines();
    let start = format!("starting version={} network=regtest tip=none data=", env!("CARGO_PKG_VERSION"));
    for said in [
        start.as_str(),
        "first peer peer=127.0.0.1:",
        "headers are valid height=",
        "lists are proven lists=",
        "quorums are checked verified=",
        "synced tip=",
    ] {
        assert!(
            lines.any(|line| line.contains(said)),
            "{said:?} is missing, in order: {}",
            finished.stderr()
        );
    }
    for line in finished.stderr().lines() {
        assert!(line.contains(" INFO "), "nothing went wrong: {line}");
        // As Rust's Debug writes it, and not a person.
        for debug in ["Some(", "None", "{", "=\"", "[127."] {
            assert!(!line.contains(debug), "{line}");
        }
    }
    let again = sync_with_log(honest(3), data.path()).await;
    assert!(
        again.stderr().contains("network=regtest tip=503 "),
        "it says where it begins: {}",
        again.stderr()
    );
}

/// The honest nodes come when the liar has been heard, so that it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_a_liar_and_why() {
    let data = tempfile::tempdir().unwrap();
    let world = generated_world();
    let lying = start(&world, vec![faulty("forge=1", 1)]).await;
    let (liar, listen) = (lying.addresses()[0], closed_port());
    let mut running = Running::start(&mut sync_command(&[liar, listen], data.path()));
    let (tell, told) = std::sync::mpsc::channel();
    let stderr = BufReader::new(running.child().stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let mut log = Vec::new();
    let mut said = |what: &str| {
        while let Ok(line) = told.recv_timeout(PATIENCE) {
            log.push(line);
            if log.last().is_some_and(|line| line.contains(what)) {
                return log.last().cloned().unwrap_or_default();
            }
        }
        panic!("{what} is missing: {log:?}");
    };
    let wrong = said("wrong answer");
    assert!(wrong.contains(" WARN ") && wrong.contains(&format!("peer={liar}")), "{wrong}");
    let (_, error) = wrong.split_once(" error=").unwrap();
    for debug in ["Some(", "None", "::", "[("] {
        assert!(!error.contains(debug), "{wrong}");
    }
    let config = NetworkConfig { peers: honest(1), listen };
    let honest = Network::start(world, config).await.unwrap();
    let cut_off = said("disconnected");
    assert!(cut_off.contains(&format!("peer={liar}")) && cut_off.contains("reason="), "{cut_off}");
    let finished = running.finish();
    assert_eq!(finished.code(), Some(0), "{log:?}");
    honest.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_an_error_in_words_and_a_sync_begins_anew() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(sync_with_log(honest(2), data.path()).await.code(), Some(0));
    let path = data.path().join("qrsync.redb");
    let whole = fs::read(&path).unwrap();
    let directory = data.path().to_str().unwrap().to_owned();
    let ask = || run(["quorums", "--data-dir", &directory, "--json"]);
    let answer = ask().ok().to_owned();
    let mut damaged = Vec::new();
    for page in 1..whole.len() / PAGE {
        let mut bytes = whole.clone();
        bytes[page * PAGE..][..PAGE].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        let asked = ask();
        if asked.code() == Some(0) {
            assert_eq!(asked.stdout(), answer, "page {page}");
        } else {
            asked.fails(1, &["is damaged", "qrsync sync"]);
            damaged.push(page);
        }
        assert_eq!(
            asked.stderr().lines().count(),
            usize::from(asked.code() != Some(0)),
            "{}",
            asked.stderr()
        );
    }
    assert!(damaged.len() > 5, "{damaged:?}");

    let mut bytes = whole.clone();
    bytes[damaged[damaged.len() / 2] * PAGE..][..PAGE].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let finished = sync_with_log(honest(2), data.path()).await;
    assert_eq!(finished.code(), Some(0), "{}", finished.stderr());
    let told = finished.stderr().lines().filter(|line| line.contains("set aside; syncing anew")).count();
    assert_eq!(told, 1, "{}", finished.stderr());
    assert!(!finished.stderr().contains("panicked"), "{}", finished.stderr());
    assert_eq!(ask().ok(), answer);
}

#[test]
fn a_process_that_gets_too_few_files_says_so() {
    let data = tempfile::tempdir().unwrap();
    // One count for each of the two ways in which the runtime fails: it returns an error, or panics.
    for files in [6, 8] {
        let limited = format!("ulimit -n {files}; exec \"$0\" status --data-dir \"$1\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited]).arg(env!("CARGO_BIN_EXE_qrsync")).arg(data.path());
        let asked = Running::start(&mut shell).finish();
        assert_eq!(asked.code(), Some(1), "{files}: {}", asked.stderr());
        let said = asked.stderr();
        assert!(said.starts_with("error: cannot start: ") && said.lines().count() == 1, "{files}: {said}");
        assert!(said.contains("Too many open files"), "{files}: {said}");
    }
}

#[test]
fn values_that_cannot_be_are_refused_where_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qrsync.toml");
    let file = path.to_str().unwrap();
    let sync = ["sync", "--network", "regtest", "--peer", "127.0.0.1:1"];
    for (content, words) in [
        ("[sync]\nhandshake_timeout = \"500000000000y\"\n", &["qrsync.toml:2", "sync.handshake_timeout"][..]),
        ("[sync.scheduler]\nper_second = nan\n", &["line 2", "number"]),
        ("[sync]\nwindow = 1000000\n", &["qrsync.toml:2", "sync.window", "16384"]),
        ("[log]\nlevel = \"banana\"\n", &["qrsync.toml:2", "log level", "banana"]),
        ("metrics_listen = \"0.0.0.0:1\"\n", &["qrsync.toml:1", "--metrics-allow-remote"]),
    ] {
        fs::write(&path, content).unwrap();
        for command in [&sync[..], &["config", "show"]] {
            let mut given = qrsync();
            given.env_remove("QRSYNC_LOG_LEVEL").args(command).args(["--config", file]);
            Running::start(&mut given).finish().is_usage_error(words);
        }
    }
    run(["status", "--log-level", "banana"]).is_usage_error(&["--log-level", "banana"]);
    let mut command = qrsync();
    command.args(["status", "--log-level", "spv_integraton=debug"]);
    Running::start(&mut command).finish().is_usage_error(&["spv_integraton", "spv_integration"]);
}

#[test]
fn an_interrupted_demo_promises_nothing() {
    let mut command = qrsync();
    command.args(["demo", "--peers", "2", "--masternodes", "8", "--cycles", "4", "--rtt", "2000"]);
    let mut running = Running::start(&mut command);
    let stdout = running.child().stdout.take().unwrap();
    let mut first = String::new();
    BufReader::new(stdout).read_line(&mut first).unwrap();
    assert!(first.contains("simulated network"), "{first}");
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.stderr());
    assert!(finished.stderr().contains("no result is kept"), "{}", finished.stderr());
    assert!(!finished.stderr().contains("continues"), "{}", finished.stderr());
}
