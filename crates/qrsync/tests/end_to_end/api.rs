//! What the service answers, as its schemas say, and the same as the command line prints.

use dashcore::consensus::serialize;
use hex_conservative::DisplayHex;
use serde_json::Value;

use crate::schemas::assert_valid;
use crate::service::Service;
use crate::support::generated_world;
use crate::support::process::{Finished, Response, Running, closed_port, get, run, sync_command, wait_until};

impl Service {
    /// The answer, which has to be one.
    #[track_caller]
    fn ask(&self, path: &str) -> Value {
        let response = self.get(path).unwrap();
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        assert!(response.head.contains("content-type: application/json"), "{path}: {}", response.head);
        serde_json::from_str(&response.body).unwrap()
    }

    /// Asserts that it is refused in this way.
    #[track_caller]
    pub(crate) fn refuses(&self, path: &str, status: u16, error: &str, words: &[&str]) {
        assert_refused(&self.get(path).unwrap(), path, status, error, words);
    }

    fn post(&self, path: &str, body: &str) -> Response {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ");
        Response::to(self.address, &format!("{head}{}\r\n\r\n{body}", body.len())).unwrap()
    }

    fn run(&self, args: &[&str]) -> Finished {
        run([args, &["--data-dir", self.data.path().to_str().unwrap()]].concat())
    }
}

#[track_caller]
fn assert_refused(response: &Response, what: &str, status: u16, error: &str, words: &[&str]) {
    assert_eq!(response.status, status, "{what}: {}", response.body);
    let problem: Value = serde_json::from_str(&response.body).unwrap();
    assert_valid("problem", &problem);
    assert_eq!(problem["error"], error, "{what}: {problem}");
    for word in words {
        assert!(problem["message"].as_str().unwrap().contains(word), "{what}: {word:?} is not in {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_what_the_command_line_prints() {
    let service = Service::start(|_| {}).await;
    service.wait_until_it_answers("/ready", 200);
    let status = service.ask("/v1/status");
    assert_valid("status", &status);
    let counts = |pointer: &str| status.pointer(pointer).unwrap().clone();
    assert_eq!((&status["source"], &status["service"]["phase"]), (&"service".into(), &"following".into()));
    assert_eq!((counts("/tip/height"), counts("/chain_lock/height")), (503.into(), 502.into()));
    assert_eq!(counts("/parameters/activation"), "dip3=2,v20=100,mn_rr=100");

    let list = service.ask("/v1/masternodes");
    assert_valid("masternodes", &list);
    assert_eq!((&list["proof"], &list["chain_locked"]), (&"coinbase".into(), &false.into()));
    let locked = service.ask("/v1/masternodes?height=400");
    assert_eq!((&locked["height"], &locked["chain_locked"]), (&400.into(), &true.into()));
    let masternodes = list["masternodes"].as_array().unwrap();
    let name = masternodes[3]["pro_tx_hash"].as_str().unwrap();
    let one = service.ask(&format!("/v1/masternodes/{name}"));
    assert_valid("masternode", &one);
    assert_eq!(one["masternode"], masternodes[3]);
    let diff = service.ask("/v1/masternodes/diff?from=400&to=503");
    assert_valid("diff", &diff);

    let quorums = service.ask("/v1/quorums");
    assert_valid("quorums", &quorums);
    let quorum = &quorums["quorums"][0];
    let hash = quorum["quorum_hash"].as_str().unwrap();
    let by_number = service.ask(&format!("/v1/quorums/100/{hash}"));
    assert_valid("quorums", &by_number);
    assert_eq!(by_number, service.ask(&format!("/v1/quorums/llmq_test/{hash}")));
    let services = by_number["quorums"][0]["member_services"].as_array().unwrap();
    let service_of = |member: &Value| {
        masternodes.iter().find(|masternode| masternode["pro_tx_hash"] == *member).unwrap()["service"].clone()
    };
    let expected: Vec<Value> = quorum["members"].as_array().unwrap().iter().map(service_of).collect();
    assert!(!expected.is_empty() && *services == expected);

    let id = "ab".repeat(32);
    let asked = [
        "chainlock?height=503".to_owned(),
        format!("instantlock?height=503&request_id={id}"),
        format!("platform?height=503&request_id={id}"),
    ];
    asked.iter().for_each(|asked| assert_valid("signer", &service.ask(&format!("/v1/signer/{asked}"))));
    let world = generated_world();
    let lock = world.chain_lock(502).unwrap();
    let hex = serialize(&lock).to_lower_hex_string();
    let verdict = service.post("/v1/verify/chainlock", &format!("{{\"hex\":\"{hex}\"}}"));
    let verdict: Value = serde_json::from_str(&verdict.body).unwrap();
    assert_valid("verify", &verdict);
    assert_eq!((&verdict["outcome"], &verdict["height"]), (&"valid".into(), &502.into()));
    let best = service.ask("/v1/chainlock");
    assert_valid("chainlock", &best);
    assert_eq!((&best["height"], &best["block"]), (&502.into(), &"stored".into()));
    assert_eq!(best["signature"], lock.signature.to_string());
    assert_valid("peers", &service.ask("/v1/peers"));
    let document = service.ask("/v1/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");

    // The same, asked by the command line while the service uses the data.
    for (path, args) in [
        ("/v1/masternodes?evo=true&sort=-service", &["masternodes", "--evo", "--sort", "-service"][..]),
        ("/v1/masternodes?valid=false&height=400", &["masternodes", "--valid=false", "--height", "400"]),
        (&format!("/v1/masternodes/{name}"), &["masternode", name]),
        ("/v1/masternodes/diff?from=400", &["diff", "400"]),
        ("/v1/quorums?type=llmq_test_platform", &["quorums", "--type", "106"]),
        (&format!("/v1/quorums/100/{hash}"), &["quorum", "llmq_test", hash]),
        ("/v1/signer/chainlock?height=503", &["signer", "chainlock", "--height", "503"]),
    ] {
        let printed = service.run(&[args, &["--json"]].concat());
        assert_eq!(printed.json(), service.ask(path), "{path}");
        assert!(!service.run(args).ok().is_empty());
        let url = format!("http://{}", service.address);
        let connected = run([args, &["--json", "--connect", &url]].concat());
        assert_eq!(connected.ok(), printed.ok(), "{path}");
    }
    assert_eq!(service.run(&["verify", "chainlock", &hex, "--json"]).json(), verdict);
    let nobody = "07".repeat(32);
    service.run(&["masternode", &nobody]).fails(1, &[&nobody, "height 503"]);
    service.run(&["quorum", "5", &nobody]).fails(2, &["type 5"]);
    service.run(&["verify", "chainlock", "xyz"]).fails(1, &["hexadecimal", "clsig"]);
    service.run(&["peers", "ban", "203.0.113.5:9999"]).fails(1, &["in use"]);
    let text = service.run(&["status"]);
    for word in ["503 ", "a service", "following; ready", "llmq_params", "2 of 2 can be asked"] {
        assert!(text.ok().contains(word), "{word:?} is not in {}", text.stdout());
    }
    let socket = service.data.path().join("qrsync.sock");
    assert!(socket.exists());
    let (_, data) = service.stop("-TERM").await;
    assert!(!socket.exists());
    let stored = run(["status", "--json", "--data-dir", data.path().to_str().unwrap()]).json();
    assert_valid("status", &stored);
    assert_eq!((&stored["source"], &stored["tip"]), (&"store".into(), &status["tip"]));
    assert_eq!((&stored["quorums"], stored.get("service")), (&status["quorums"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_select_and_sorts_order() {
    let service = Service::start(|_| {}).await;
    service.wait_until_it_answers("/ready", 200);
    let all = service.ask("/v1/masternodes?height=400");
    let all = all["masternodes"].as_array().unwrap();
    let select = |query: &str| {
        let answer = service.ask(&format!("/v1/masternodes?height=400&{query}"));
        assert_eq!(answer["count"], all.len(), "counts are those of the whole list");
        answer["masternodes"].as_array().unwrap().clone()
    };
    let expect = |matches: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|masternode| matches(masternode)).cloned().collect()
    };
    for valid in [true, false] {
        assert_eq!(select(&format!("valid={valid}")), expect(&|masternode| masternode["valid"] == valid));
    }
    let evo = expect(&|masternode| masternode["type"] == "Evo");
    assert!(!evo.is_empty() && evo.len() < all.len());
    assert_eq!(select("evo=true"), evo);
    assert_eq!(select("evo=false").len(), all.len() - evo.len());
    let address = all[2]["service"].as_str().unwrap();
    let ip = address.split(':').next().unwrap();
    assert_eq!(select(&format!("ip={address}")), [all[2].clone()]);
    assert_eq!(
        select(&format!("ip={ip}")),
        expect(&|one| one["service"].as_str().unwrap().starts_with(&format!("{ip}:")))
    );
    assert!(select("ip=203.0.113.99").is_empty());
    let key = all[5]["pub_key_operator"].as_str().unwrap();
    assert_eq!(select(&format!("operator_key={key}")), [all[5].clone()]);
    let names = |list: &[Value]| -> Vec<String> {
        list.iter().map(|one| one["pro_tx_hash"].as_str().unwrap().to_owned()).collect()
    };
    let (mut ascending, descending) =
        (names(&select("sort=pro_tx_hash")), names(&select("sort=-pro_tx_hash")));
    assert!(ascending.is_sorted());
    ascending.reverse();
    assert_eq!(ascending, descending);

    let quorums = service.ask("/v1/quorums");
    let quorums = quorums["quorums"].as_array().unwrap();
    let of_type = service.ask("/v1/quorums?type=103&sort=-index");
    let of_type = of_type["quorums"].as_array().unwrap();
    assert!(of_type.iter().map(|quorum| quorum["index"].as_i64().unwrap()).rev().is_sorted());
    assert_eq!(of_type.len(), quorums.iter().filter(|quorum| quorum["type"] == 103).count());
    let member = quorums[0]["members"][0].as_str().unwrap();
    let with_member = service.ask(&format!("/v1/quorums?member={member}"));
    let is_member = |quorum: &&Value| quorum["members"].as_array().unwrap().iter().any(|one| one == member);
    assert_eq!(with_member["quorums"].as_array().unwrap().len(), quorums.iter().filter(is_member).count());
    assert_eq!(service.ask("/v1/quorums?verified=false")["quorums"], Value::Array(Vec::new()));

    let csv = service.run(&["masternodes", "--height", "400", "--csv"]);
    let lines: Vec<&str> = csv.ok().lines().collect();
    assert!(
        lines.len() == all.len() + 1 && lines[0].starts_with("pro_tx_hash,valid,type,service"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with(all[0]["pro_tx_hash"].as_str().unwrap()));
    let csv = service.run(&["quorums", "--csv"]);
    assert!(csv.ok().starts_with("type,type_name,quorum_hash") && csv.stdout().contains("llmq_test_dip0024"));
    let csv = service.run(&["diff", "16", "--csv"]);
    assert!(
        csv.ok().starts_with("change,pro_tx_hash,") && csv.stdout().contains("\nadded,"),
        "{}",
        csv.stdout()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_with_what_would_be_right() {
    let service = Service::start(|_| {}).await;
    service.wait_until_it_answers("/ready", 200);
    let (nobody, world) = ("07".repeat(32), generated_world());
    for (path, status, error, words) in [
        (
            "/v1/masternodes?hight=3",
            400,
            "bad_request",
            &["hight", "height", "valid", "evo", "ip", "sort"][..],
        ),
        ("/v1/quorums?foo", 400, "bad_request", &["foo", "type"]),
        ("/v1/status?x=1", 400, "bad_request", &["x"]),
        ("/v1/masternodes?height=3&height=4", 400, "bad_request", &["height"]),
        ("/v1/masternodes?height=-1", 400, "bad_request", &["height"]),
        ("/v1/masternodes?height=4294967296", 400, "bad_request", &[]),
        ("/v1/masternodes?height=", 400, "bad_request", &[]),
        ("/v1/masternodes?valid=maybe", 400, "bad_request", &[]),
        ("/v1/masternodes?ip=localhost", 400, "bad_request", &["localhost", "IP address"]),
        ("/v1/masternodes?sort=color", 400, "bad_request", &["color", "pro_tx_hash", "service"]),
        ("/v1/quorums?type=llmq_1_2", 400, "bad_request", &["llmq_1_2", "llmq_400_60"]),
        ("/v1/quorums?type=5", 404, "unknown_type", &["5"]),
        ("/v1/masternodes?height=504", 404, "above_tip", &["504", "503"]),
        ("/v1/masternodes?height=401", 404, "not_stored", &["401", "400"]),
        ("/v1/masternodes?height=3", 404, "below_start", &["3", "16"]),
        ("/v1/masternodes/07", 400, "bad_request", &["07", "proTxHash"]),
        ("/v1/masternodes/%ff", 400, "bad_request", &[]),
        (&format!("/v1/masternodes/{nobody}"), 404, "unknown_masternode", &[&nobody]),
        (&format!("/v1/masternodes/{nobody}?at=3"), 400, "bad_request", &["at", "height"]),
        ("/v1/masternodes/diff", 400, "bad_request", &["from"]),
        ("/v1/masternodes/diff?from=503&to=400", 400, "bad_request", &["503", "400"]),
        (&format!("/v1/quorums/300/{nobody}"), 400, "bad_request", &["300"]),
        (&format!("/v1/quorums/100/{nobody}"), 404, "unknown_quorum", &[&nobody]),
        ("/v1/signer/chainlock?height=5000", 404, "above_tip", &["503"]),
        (
            &format!("/v1/signer/instantlock?request_id={nobody}"),
            400,
            "bad_request",
            &["height", "cycle_hash"],
        ),
        (
            &format!("/v1/signer/instantlock?request_id={nobody}&cycle_hash={nobody}"),
            404,
            "unknown_cycle",
            &[],
        ),
        ("/v1/signer/platform?height=503", 400, "bad_request", &["quorum_hash", "request_id"]),
        ("/v1/", 404, "not_found", &["/v1/openapi.json"]),
        ("/v1/masternodes/", 404, "not_found", &[]),
        ("//v1/status", 404, "not_found", &[]),
        ("/v1/../status", 404, "not_found", &[]),
        ("/v1/%2e%2e/status", 404, "not_found", &[]),
        ("/quorums", 404, "not_found", &[]),
    ] {
        service.refuses(path, status, error, words);
    }
    let transient = service.get("/v1/masternodes?height=504").unwrap();
    assert!(transient.body.contains("\"transient\":true"), "{}", transient.body);
    // A hash in the other byte order names nothing.
    let hash = world.block_hash(400).unwrap().to_string();
    let pairs: Vec<&str> = (0..32).rev().map(|index| &hash[index * 2..index * 2 + 2]).collect();
    let reversed = pairs.concat();
    let path = format!("/v1/signer/instantlock?request_id={nobody}&cycle_hash={reversed}");
    service.refuses(&path, 404, "unknown_cycle", &[&reversed]);

    for (body, error, status, words) in [
        ("", "bad_request", 400, &[][..]),
        ("{}", "bad_request", 400, &["hex"]),
        ("12", "bad_request", 400, &["expected {\"hex\":"]),
        ("{\"hex\":\"00\",\"more\":1}", "bad_request", 400, &["more"]),
        ("{\"hex\":\"zz\"}", "malformed_lock", 400, &[]),
        ("{\"hex\":\"00\"}", "malformed_lock", 400, &[]),
        (&format!("{{\"hex\":\"{}\"}}", "0".repeat(300_000)), "too_large", 413, &[]),
    ] {
        let response = service.post("/v1/verify/chainlock", body);
        assert_refused(&response, body.get(..40).unwrap_or(body), status, error, words);
    }
    for (method, path) in
        [("POST", "/v1/status"), ("GET", "/v1/verify/chainlock"), ("OPTIONS", "/v1/status"), ("BREW", "/")]
    {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let response = Response::to(service.address, &request).unwrap();
        assert_refused(&response, method, 405, "method_not_allowed", &[]);
        assert!(response.head.contains("\r\nallow: "), "{}", response.head);
        assert!(!response.head.contains("access-control"), "no other origin is let in");
    }
    let head = "HEAD /v1/masternodes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let head = Response::to(service.address, head).unwrap();
    assert_eq!((head.status, &*head.body), (200, ""));
    service.end("-TERM").await;
}

#[test]
fn who_is_not_there_is_not_asked() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().to_str().unwrap();
    run(["watch", "--data-dir", directory]).fails(1, &["no data"]);
    spv_integration::store::Store::create_or_open(data.path(), &dashcore::Network::Regtest).unwrap();
    // One that a killed service left.
    drop(std::os::unix::net::UnixListener::bind(data.path().join("qrsync.sock")).unwrap());
    assert!(run(["status", "--data-dir", directory]).ok().contains("no service uses it"));
    run(["watch", "--data-dir", directory]).fails(2, &["qrsync sync --follow", "--connect"]);
    let address = closed_port().to_string();
    let url = format!("http://{address}");
    run(["status", "--connect", &url]).fails(1, &["cannot reach", &address]);
    run(["status", "--connect", "https://localhost"])
        .fails(2, &["https://localhost", "http://127.0.0.1:9184"]);
    let _held = spv_integration::store::Store::open(data.path()).unwrap();
    run(["status", "--data-dir", directory]).fails(1, &["in use"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_sync_may_bring_is_not_missing_for_good() {
    let service = Service::start(|_| {}).await;
    service.wait_until_it_answers("/ready", 200);
    let path = format!("/v1/masternodes/{}", "07".repeat(32));
    let is_transient = |response: Response| -> bool {
        assert_refused(&response, &path, 404, "unknown_masternode", &["height 503"]);
        serde_json::from_str::<Value>(&response.body).unwrap()["transient"].as_bool().unwrap()
    };
    wait_until("it waits for a block, so no sync is running", || !is_transient(service.get(&path).unwrap()));
    let (_, data) = service.stop("-TERM").await;

    let (address, nobody) = (closed_port(), closed_port());
    let mut command = sync_command(&[nobody], data.path());
    let _connecting =
        Running::start(command.args(["--follow", "--metrics-listen", &address.port().to_string()]));
    wait_until("the sync that waits for a peer may bring it", || {
        Response::to(address, &get(&path)).is_some_and(is_transient)
    });
}
