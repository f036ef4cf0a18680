//! Clients of the service that mean it no good, or do not know what they do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::service::Service;
use crate::support::process::{Response, get, wait_until};

/// The status of each answer on one connection, until the service closes it.
fn statuses(mut stream: &TcpStream) -> Vec<u16> {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok();
    let text = String::from_utf8_lossy(&text);
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

fn with_host(path: &str, host: &str) -> String {
    get(path).replace("Host: localhost", &format!("Host: {host}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_say_nothing_keep_nobody_out() {
    let service = Service::start(|_| {}).await;
    service.wait_until_it_answers("/ready", 200);
    let silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(service.address).unwrap()).collect();
    let half: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(service.address).unwrap();
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: loc").ok();
            stream
        })
        .collect();
    for path in ["/health", "/v1/status"] {
        assert_eq!(service.get(path).unwrap().status, 200, "{path}");
    }
    // The earliest have made way without having been answered.
    assert_eq!(statuses(&silent[0]), [0; 0]);
    drop(half);
    // Who is in the middle of a conversation is not thrown out for those who come and say nothing.
    let mut talking = TcpStream::connect(service.address).unwrap();
    for _ in 0..3 {
        talking.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 15];
        talking.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let _more: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(service.address).unwrap()).collect();
        let mut rest = [0; 1024];
        assert!(talking.read(&mut rest).unwrap() > 0);
    }
    service.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_than_its_own_are_refused() {
    let service = Service::start(|command| {
        command
            .env("QRSYNC_API_HOSTS", "qrsync.example")
            .env("QRSYNC_API_CORS_ORIGINS", "https://wallet.example");
    })
    .await;
    service.wait_until_it_answers("/ready", 200);
    for path in ["/", "/status", "/v1/status", "/nothing"] {
        for host in ["attacker.example", "attacker.example:9184", ""] {
            let refused = Response::to(service.address, &with_host(path, host)).unwrap();
            assert_eq!(refused.status, 421, "{path} at {host:?}");
            let problem: Value = serde_json::from_str(&refused.body).unwrap();
            assert!(problem["message"].as_str().unwrap().contains("api.hosts"), "{problem}");
        }
        let without = get(path).replace("Host: localhost\r\n", "");
        assert_eq!(Response::to(service.address, &without).unwrap().status, 421, "{path}");
    }
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(Response::to(service.address, &with_host(path, "prometheus-target")).unwrap().status, 200);
    }
    for host in ["qrsync.example", "127.0.0.1", "LOCALHOST:1", "[::1]"] {
        assert_eq!(
            Response::to(service.address, &with_host("/v1/status", host)).unwrap().status,
            200,
            "{host}"
        );
    }
    let from =
        |origin: &str| get("/v1/status").replace("Connection", &format!("Origin: {origin}\r\nConnection"));
    let allowed = Response::to(service.address, &from("https://wallet.example")).unwrap();
    assert!(allowed.head.contains("access-control-allow-origin: https://wallet.example"), "{}", allowed.head);
    let other = Response::to(service.address, &from("https://attacker.example")).unwrap();
    assert!(!other.head.contains("access-control-allow-origin"), "{}", other.head);
    service.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_refused_or_answered_in_order() {
    let service = Service::start(|command| _ = command.env("QRSYNC_API_REQUEST_TIMEOUT", "300ms")).await;
    service.wait_until_it_answers("/ready", 200);
    let send = |text: &str| {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let next = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let pipelined = format!("{}{}", next.repeat(9), get("/v1/nothing"));
    assert_eq!(statuses(&send(&pipelined)), [&[200; 9][..], &[404]].concat());
    // Whose body comes too slowly is told, and does not hold the connection.
    let slow = "POST /v1/verify/chainlock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    assert_eq!(statuses(&send(slow)), [504]);
    // Two lengths, or a length and chunks: nobody guesses where the next request begins.
    let both = "POST /v1/verify/chainlock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(statuses(&send(both)), [400]);
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert_eq!(statuses(&send(&many)), [431]);
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    assert!(statuses(&send(&large)).iter().all(|status| *status == 431));
    for line in
        ["GET /a b HTTP/1.1", "GET HTTP/1.1", "GET / HTTP/9.9", "\u{1}\u{2}", "GET / HTTP/1.1\r\nNo colon"]
    {
        let answered = statuses(&send(&format!("{line}\r\nHost: localhost\r\n\r\n")));
        assert!(answered.iter().all(|status| *status == 400), "{line:?}: {answered:?}");
    }
    let absolute = get("/v1/status").replace("GET /", "GET http://attacker.example/");
    assert_eq!(statuses(&send(&absolute)), [421]);
    let old = get("/health").replace("HTTP/1.1", "HTTP/1.0");
    assert!(Response::to(service.address, &old).unwrap().body.contains("ok"));
    service.end("-TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_events_are_bounded_and_make_place_when_they_go() {
    let service = Service::start(|command| _ = command.env("QRSYNC_API_MAX_SUBSCRIBERS", "8")).await;
    service.wait_until_it_answers("/ready", 200);
    let subscribe = || {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        (stream, String::from_utf8_lossy(&start).into_owned())
    };
    let readers: Vec<_> = (0..8).map(|_| subscribe()).collect();
    assert!(readers.iter().all(|(_, start)| start == "HTTP/1.1 200"), "{readers:?}");
    service.refuses("/v1/events", 503, "too_many_subscribers", &["8", "api.max_subscribers"]);
    drop(readers);
    wait_until("there is a place again", || subscribe().1 == "HTTP/1.1 200");
    service.end("-TERM").await;
}
