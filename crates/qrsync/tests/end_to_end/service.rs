//! `qrsync sync --follow` as a service: what it serves, what signals do, what the service manager is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use spv_integration::store::Store;
use spv_simnet::{GeneratedSpec, InstantLocker, Network, PeerConfig};
use tempfile::TempDir;

use crate::support::process::{Finished, Response, Running, closed_port, get, sync_command, wait_until};
use crate::support::{generated_world, honest, slow, start};

/// A service that follows a simulated network.
pub(crate) struct Service {
    process: Running,
    pub(crate) address: SocketAddr,
    pub(crate) network: Network,
    pub(crate) data: TempDir,
}

impl Service {
    pub(crate) async fn start(adapt: impl FnOnce(&mut Command)) -> Self {
        Self::of(start(&generated_world(), honest(2)).await, adapt)
    }

    /// One that follows this network.
    pub(crate) fn of(network: Network, adapt: impl FnOnce(&mut Command)) -> Self {
        let (data, address) = (tempfile::tempdir().unwrap(), closed_port());
        let mut command = sync_command(&network.addresses(), data.path());
        command.args(["--follow", "--metrics-listen", &address.port().to_string()]);
        adapt(&mut command);
        Self { process: Running::start(&mut command), address, network, data }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Response> {
        Response::to(self.address, &get(path))
    }

    fn status(&self) -> Value {
        let response = self.get("/status").unwrap();
        assert_eq!(response.status, 200);
        serde_json::from_str(&response.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn wait_until_it_answers(&self, path: &str, status: u16) -> Response {
        let mut answer = None;
        wait_until(&format!("{path} answers {status}"), || {
            answer = self.get(path);
            answer.as_ref().is_some_and(|answer| answer.status == status)
        });
        answer.unwrap()
    }

    pub(crate) async fn end(self, signal: &str) -> Finished {
        self.stop(signal).await.0
    }

    /// Also gives its data.
    pub(crate) async fn stop(self, signal: &str) -> (Finished, TempDir) {
        self.process.signal(signal);
        let finished = self.process.finish();
        self.network.shutdown().await;
        (finished, self.data)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instant_send_locks_are_checked_and_counted_where_they_are_asked_for() {
    let world = generated_world();
    let spec = GeneratedSpec { masternodes: 12, cycles: 12, seed: 3, ..GeneratedSpec::DEFAULT };
    let mut locker = InstantLocker::new(&spec, &world);
    let locks: Vec<_> = (0..3).map(|number| locker.lock_number(world.tip(), number).unwrap()).collect();
    let service = Service::start(|command| _ = command.env("QRSYNC_SYNC_INSTANT_LOCKS", "true")).await;
    service.wait_until_it_answers("/ready", 200);
    locks.iter().for_each(|lock| service.network.lock_instantly(lock));
    wait_until("both nodes' three locks are verified once", || {
        let metrics = service.get("/metrics").unwrap().body;
        metrics.contains("qrsync_instant_locks_total{outcome=\"verified\"} 3")
    });
    service.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_served_answers_as_it_should() {
    let service = Service::start(|_| {}).await;
    assert_eq!(service.wait_until_it_answers("/ready", 200).body, "ready\n");
    assert_eq!(service.wait_until_it_answers("/health", 200).body, "ok\n");

    let metrics = service.wait_until_it_answers("/metrics", 200);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(metrics.body.contains("qrsync_tip_height 503"), "{}", metrics.body);

    let mut status = Value::Null;
    wait_until("both peers are ready and idle", || {
        status = service.status();
        let peers = status["peers"].as_array().unwrap();
        peers.iter().filter(|peer| peer["standing"]["state"] == "ready" && peer["in_flight"] == 0).count()
            == 2
    });
    crate::schemas::assert_valid("service-status", &status);
    let expected = [("state", "Synced"), ("network", "regtest"), ("phase", "following")];
    expected.iter().for_each(|(key, value)| assert_eq!(status[key], *value, "{status}"));
    assert_eq!((&status["ready"], &status["not_ready"]), (&true.into(), &Value::Null));
    assert_eq!((&status["tip"]["height"], &status["progress"]["headers"]), (&503.into(), &503.into()));
    assert_eq!(status["plan"]["lists"], status["progress"]["lists"]);
    let peers = status["peers"].as_array().unwrap();
    let addresses: Vec<_> = peers.iter().map(|peer| peer["address"].as_str().unwrap().to_owned()).collect();
    let mut expected: Vec<_> = service.network.addresses();
    expected.sort();
    assert_eq!(addresses, expected.iter().map(ToString::to_string).collect::<Vec<_>>());
    for peer in peers {
        assert_eq!((&peer["standing"]["state"], &peer["in_flight"]), (&"ready".into(), &0.into()), "{peer}");
        assert!(
            (1..=3).contains(&peer["slots"].as_u64().unwrap()) && peer["claimed_height"] == 503,
            "{peer}"
        );
    }

    let page = service.wait_until_it_answers("/", 200);
    assert!(page.head.contains("content-type: text/html") && page.head.contains("default-src 'none'"));
    assert!(page.body.contains("fetch(\"status\""));
    for external in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.body.contains(external), "the page is not self-contained: {external}");
    }

    let missing = service.get("/nothing").unwrap();
    assert!(missing.status == 404 && missing.body.contains("/metrics"), "{missing:?}");
    let metrics = service.get("/metrics").unwrap().body;
    for line in [
        "qrsync_http_requests_total{route=\"none\",status=\"404\"} 1",
        "qrsync_http_request_seconds_count{route=\"/\"} 1",
        "qrsync_http_refused_connections_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
    assert!(metrics.lines().any(|line| line.starts_with("qrsync_http_connections ")), "{metrics}");
    for path in ["/", "/metrics", "/health", "/ready", "/status"] {
        let request = get(path);
        let refused = Response::to(service.address, &request.replace("GET", "POST")).unwrap();
        assert!(refused.status == 405 && refused.head.contains("allow: get,head"), "{path}: {refused:?}");
        let head = Response::to(service.address, &request.replace("GET", "HEAD")).unwrap();
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        assert!(head.head.contains("cache-control: no-store") && head.head.contains("nosniff"));
    }
    let (finished, steps) = (service.end("-TERM").await, 1);
    assert_eq!((finished.code(), finished.stderr()), (Some(0), ""));
    assert_eq!(finished.stdout().lines().count(), steps);
    crate::schemas::assert_valid("follow-step", &serde_json::from_str(finished.stdout()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_talks_too_much_or_not_at_all_holds_up_nobody() {
    let service = Service::start(|_| {}).await;
    service.wait_until_it_answers("/ready", 200);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let refused = Response::to(service.address, &long);
    assert!(refused.is_none_or(|answer| [414, 431].contains(&answer.status)));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert_eq!(Response::to(service.address, &many).unwrap().status, 431);
    assert_eq!(Response::to(service.address, "nonsense\r\n\r\n").unwrap().status, 400);
    // As many as are served at one time, and more; the first of them are given up after a while.
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(service.address).unwrap()).collect();
    assert_eq!(service.wait_until_it_answers("/health", 200).body, "ok\n");
    let mut first = &silent[0];
    first.write_all(b"GET").ok();
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).ok();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    service.end("-INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_sync_is_healthy_but_not_ready() {
    let (data, address) = (tempfile::tempdir().unwrap(), closed_port());
    let mut command = sync_command(&[closed_port()], data.path());
    command.args(["--follow", "--metrics-listen", &address.to_string()]);
    let process = Running::start(&mut command);
    let mut reason = String::new();
    wait_until("it says why it is not ready", || {
        reason = Response::to(address, &get("/ready")).map_or(String::new(), |answer| {
            assert_eq!(answer.status, 503);
            answer.body
        });
        reason.contains("no usable peer")
    });
    assert!(reason.starts_with("not synced: no usable peer"), "{reason}");
    assert_eq!(Response::to(address, &get("/health")).unwrap().status, 200);
    let status: Value = serde_json::from_str(&Response::to(address, &get("/status")).unwrap().body).unwrap();
    crate::schemas::assert_valid("service-status", &status);
    assert_eq!(
        (&status["ready"], &status["peers"][0]["standing"]["state"]),
        (&false.into(), &"absent".into())
    );
    process.signal("-TERM");
    assert_eq!(process.finish().code(), Some(3), "the last step says how it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_it_reached_a_tip_it_is_interrupted() {
    let slow = PeerConfig { service_time: Duration::from_secs(60), ..PeerConfig::default() };
    let network = start(&generated_world(), vec![slow; 2]).await;
    let data = tempfile::tempdir().unwrap();
    let process = Running::start(sync_command(&network.addresses(), data.path()).arg("--follow"));
    wait_until("it asks", || network.stats().iter().any(|peer| peer.requests.total() > 0));
    process.signal("-TERM");
    let finished = process.finish();
    assert_eq!((finished.code(), finished.stdout(), finished.stderr()), (Some(130), "", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_tip_is_not_ready() {
    let service = Service::start(|command| _ = command.env("QRSYNC_MAX_TIP_AGE", "1s")).await;
    let mut answer = String::new();
    wait_until("the tip is found stale", || {
        answer = service.get("/ready").map_or(String::new(), |answer| answer.body);
        answer.contains("stale")
    });
    assert_eq!(service.status()["state"], "Synced");
    service.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reloads_the_level_of_logs_and_names_what_needs_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("qrsync.toml");
    fs::write(&path, "").unwrap();
    let mut service =
        Service::start(|command| _ = command.arg("--config").arg(&path).env_remove("QRSYNC_LOG_LEVEL")).await;
    service.wait_until_it_answers("/ready", 200);
    let stderr = service.process.child().stderr.take().unwrap();
    let (lines, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        std::io::BufRead::lines(std::io::BufReader::new(stderr))
            .map_while(Result::ok)
            .try_for_each(|line| lines.send(line))
    });
    let hangup = |content: &str, expected: &[&str]| {
        fs::write(&path, content).unwrap();
        service.process.signal("-HUP");
        for expected in expected {
            // What else happens meanwhile may be logged in between.
            let next =
                || said.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("no {expected}"));
            while !next().contains(expected) {}
        }
    };
    hangup("[log]\nlevel = \"info\"\n[sync]\nwindow = 7\n", &["configuration reloaded", "sync.window"]);
    hangup("[log]\nlevel = \"info\"\n[sync]\nwindw = 7\n", &["line 4"]);
    hangup("[log]\nlevel = \"warn\"\n[sync]\nwindow = 8\n", &["sync.window"]);
    service.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_of_its_terminal_ends_it_and_gives_the_database_free() {
    let network = start(&generated_world(), vec![PeerConfig::default(); 2]).await;
    let data = tempfile::tempdir().unwrap();
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let stdin = fs::OpenOptions::new().read(true).open(name.to_str().unwrap()).unwrap();
    let process = Running::start(
        sync_command(&network.addresses(), data.path()).arg("--follow").stdin(Stdio::from(stdin)),
    );
    wait_until("it asks", || network.stats().iter().any(|peer| peer.requests.total() > 0));
    process.signal("-HUP");
    let finished = process.finish();
    assert!(matches!(finished.code(), Some(0 | 130)), "{:?}: {}", finished.code(), finished.stderr());
    Store::open(data.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let told = |what: &str| {
        let mut buffer = [0; 512];
        loop {
            let length = manager.recv(&mut buffer).unwrap_or_else(|_| panic!("it was not told {what}"));
            if std::str::from_utf8(&buffer[..length]).unwrap().lines().any(|line| line.starts_with(what)) {
                return;
            }
        }
    };
    let service = Service::start(|command| _ = command.env("NOTIFY_SOCKET", &socket)).await;
    told("READY=1");
    told("WATCHDOG=1");
    told("STATUS=following; Synced at height 503");
    service.process.signal("-TERM");
    told("STOPPING=1");
    assert_eq!(service.process.finish().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_shows_every_request_of_every_peer_without_overlaps() {
    let world = generated_world();
    let network = start(&world, honest(2).into_iter().map(slow).collect()).await;
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("trace.json");
    let mut command = sync_command(&network.addresses(), data.path());
    let summary = Running::start(command.arg("--trace").arg(&path)).finish().json();
    let events: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();

    let names = events.iter().filter(|event| event["ph"] == "M");
    let groups: BTreeMap<u64, &str> = names
        .map(|event| (event["pid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap()))
        .collect();
    let mut lanes: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let [group, lane, began, duration] =
            ["pid", "tid", "ts", "dur"].map(|key| event[key].as_u64().unwrap());
        lanes.entry((group, lane)).or_default().push((began, began + duration));
        let group = if groups[&group].contains(':') { "peers" } else { groups[&group] };
        *counts.entry((group, event["name"].as_str().unwrap())).or_default() += 1;
        if group == "peers" && event["args"]["outcome"] == "answered" {
            assert!(event["args"]["bytes"].as_u64().unwrap() > 0, "{event}");
        }
    }
    for spans in lanes.values_mut() {
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
    }
    let requests = &summary["requests"];
    let traced = |kind: &'static str| counts.get(&("peers", kind)).copied().unwrap_or(0);
    let counted = |kind: &str| requests[kind].as_u64().unwrap();
    assert_eq!(counted("getheaders"), traced("getheaders"), "{requests} {counts:?}");
    // On a busy machine a request may be slow enough to be sent to a second peer, which is counted apart.
    let for_lists = traced("qrinfo") + traced("mnlistdiff");
    assert_eq!(
        counted("qrinfo") + counted("mnlistdiff") + counted("hedged"),
        for_lists,
        "{requests} {counts:?}"
    );
    let traced: BTreeSet<&str> = groups.values().copied().filter(|name| name.contains(':')).collect();
    let asked = summary["peers"].as_array().unwrap().iter().filter(|peer| peer["requests"] != 0);
    assert_eq!(traced, asked.map(|peer| peer["address"].as_str().unwrap()).collect());
    for name in ["decode", "check", "apply", "store"] {
        assert!(counts.contains_key(&("verification", name)), "{name}: {counts:?}");
    }
    for name in ["headers", "lists"] {
        assert!(counts.contains_key(&("phases", name)), "{name}: {counts:?}");
    }
    let unwritable = ["sync", "--trace", "/nonexistent/trace.json"];
    crate::support::process::run(unwritable).fails(1, &["/nonexistent/trace.json", "--trace"]);
}
