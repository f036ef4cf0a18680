use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::BlockHash;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{Network, NetworkConfig, NetworkError, PeerConfig, QRInfoConstruction};

use crate::client::{Client, version};
use crate::{WORLD, diff, honest, rotation, start, start_in_memory};

#[tokio::test(start_paused = true)]
async fn answers_and_pongs_come_in_the_order_of_the_requests() {
    let network = start_in_memory(PeerConfig { rtt: Duration::from_millis(4), ..PeerConfig::default() });
    let mut client = Client::ready_in_memory(&network).await;
    let requests = [rotation(300), diff(200, 250), rotation(230), diff(0, WORLD.tip())];
    let with_pings: Vec<NetworkMessage> = (0..)
        .zip(&requests)
        .flat_map(|(nonce, request)| [request.clone(), NetworkMessage::Ping(nonce)])
        .collect();
    client.send_all(&with_pings).await;
    for (nonce, request) in (0..).zip(&requests) {
        assert_eq!(client.receive_message().await, honest(request));
        client.expect_pong(nonce).await;
    }
    let [stats] = network.stats()[..] else { panic!("one peer") };
    assert_eq!((stats.requests.getqrinfo, stats.requests.getmnlistd, stats.requests.getheaders), (2, 2, 0));
    assert_eq!((stats.answered, stats.refused.total(), stats.faults), (stats.requests, 0, 0));
    assert_eq!((stats.pings, stats.connections, stats.open_connections), (4, 1, 1));
    assert!((2..=4).contains(&stats.max_in_flight), "{}", stats.max_in_flight);
}

#[tokio::test]
async fn a_refusal_is_a_pong_without_an_answer_and_the_hundredth_disconnects() {
    let network = start(PeerConfig { tip: Some(300), ..PeerConfig::default() }).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    let unknown =
        |base, block| NetworkMessage::GetMnListD(GetMnListDiff { base_block_hash: base, block_hash: block });
    let stranger = BlockHash::from_byte_array([1; 32]);
    let known = WORLD.block_hash(10).unwrap();
    let refused = [
        diff(20, 10),
        unknown(stranger, known),
        unknown(known, stranger),
        rotation(100),
        diff(0, 301),
        rotation(311),
    ];
    for (score, request) in (1..).zip(&refused) {
        client.send_all(&[request.clone(), NetworkMessage::Ping(7)]).await;
        client.expect_pong(7).await;
        assert_eq!(network.stats()[0].max_misbehaviour, score);
    }
    for _ in refused.len()..99 {
        client.send(&diff(20, 10)).await;
    }
    client.send(&NetworkMessage::Ping(8)).await;
    client.expect_pong(8).await;
    client.send(&diff(20, 10)).await;
    client.expect_end().await;

    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(20, 10), NetworkMessage::Ping(9)]).await;
    client.expect_pong(9).await;
    let stats = network.shutdown().await[0];
    assert_eq!((stats.refused.total(), stats.max_misbehaviour, stats.banned), (101, 100, 1));
    assert_eq!((stats.answered.total(), stats.connections, stats.open_connections), (0, 2, 0));
}

#[tokio::test]
async fn unsolicited_answers_disconnect_at_once() {
    let network = start(PeerConfig::default()).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send(&honest(&diff(0, 10))).await;
    client.expect_end().await;
    assert_eq!(network.stats()[0].max_misbehaviour, 100);
}

#[tokio::test(start_paused = true)]
async fn one_handler_serves_all_connections_in_turns() {
    let network =
        start_in_memory(PeerConfig { service_time: Duration::from_millis(8), ..PeerConfig::default() });
    let (mut greedy, mut modest) =
        (Client::ready_in_memory(&network).await, Client::ready_in_memory(&network).await);
    let started = tokio::time::Instant::now();
    let requests = vec![diff(0, 50); 20];
    greedy.send_all(&requests).await;
    greedy.expect(&["mnlistdiff"]).await;
    modest.send(&diff(0, 60)).await;
    modest.expect(&["mnlistdiff"]).await;
    let before_the_end = network.stats()[0].answered.total();
    for _ in 1..20 {
        greedy.expect(&["mnlistdiff"]).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(21 * 8), "a handler has one pair of hands");
    assert!(before_the_end < 21, "the modest client did not wait for all of the greedy one's requests");
    assert_eq!(network.stats()[0].max_in_flight, 20);
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_counted_until_the_answer_is_written() {
    let network = start_in_memory(PeerConfig { rtt: Duration::from_millis(20), ..PeerConfig::default() });
    let mut client = Client::ready_in_memory(&network).await;
    for _ in 0..4 {
        client.send(&diff(0, 50)).await;
        client.expect(&["mnlistdiff"]).await;
    }
    assert_eq!(network.stats()[0].max_in_flight, 1);
    client.send_all(&[diff(0, 50), diff(0, 51), diff(0, 52)]).await;
    client.expect(&["mnlistdiff"; 3]).await;
    assert_eq!(network.stats()[0].max_in_flight, 3);
}

#[tokio::test(start_paused = true)]
async fn round_trips_of_pipelined_requests_overlap() {
    const RTT: Duration = Duration::from_millis(100);
    let network = start_in_memory(PeerConfig { rtt: RTT, ..PeerConfig::default() });
    let mut client = Client::ready_in_memory(&network).await;
    let started = tokio::time::Instant::now();
    client.send_all(&vec![diff(0, 50); 20]).await;
    client.expect(&["mnlistdiff"; 20]).await;
    let took = started.elapsed();
    assert!(
        took >= RTT && took < 10 * RTT,
        "20 requests took {took:?}, one after the other they would take 2 s"
    );
}

#[tokio::test(start_paused = true)]
async fn bandwidth_spreads_answers_over_time() {
    let network = start_in_memory(PeerConfig {
        bandwidth: std::num::NonZeroU64::new(100_000),
        ..PeerConfig::default()
    });
    let mut client = Client::ready_in_memory(&network).await;
    let before = network.stats()[0].bytes_sent;
    let started = tokio::time::Instant::now();
    client.send_all(&vec![rotation(300); 2]).await;
    client.expect(&["qrinfo"; 2]).await;
    let sent = network.stats()[0].bytes_sent - before;
    assert!(started.elapsed() >= Duration::from_micros(sent * 10), "{sent} bytes at 100 kB/s");
}

#[tokio::test]
async fn the_common_version_decides_how_rotation_info_is_built() {
    let request = rotation(300);
    let NetworkMessage::GetQRInfo(asked) = &request else { unreachable!() };
    let chain = WORLD.active_chain();
    let [legacy, efficient] = [QRInfoConstruction::Legacy, QRInfoConstruction::Efficient]
        .map(|construction| NetworkMessage::QRInfo(Box::new(chain.qr_info(asked, construction).unwrap())));
    assert_ne!(legacy, efficient);
    for (ours, theirs, expected) in [
        (70_240, 70_240, &efficient),
        (70_236, 70_240, &efficient),
        (70_235, 70_240, &legacy),
        (70_240, 70_230, &legacy),
    ] {
        let network = start(PeerConfig { protocol_version: theirs, ..PeerConfig::default() }).await;
        let mut client = Client::connect(network.addresses()[0]).await;
        client.send(&version(ours)).await;
        client.expect(&["version", "sendaddrv2", "verack"]).await;
        client.send(&NetworkMessage::Verack).await;
        client.expect(&["sendheaders", "sendcmpct", "ping"]).await;
        client.send(&request).await;
        assert_eq!(client.receive_message().await, *expected, "we {ours}, they {theirs}");
    }
}

#[tokio::test]
async fn shutdown_ends_everything() {
    let network = start(PeerConfig { rtt: Duration::from_secs(60), ..PeerConfig::default() }).await;
    let address = network.addresses()[0];
    let mut client = Client::connect(address).await;
    client.send(&version(70_240)).await;
    network.shutdown().await;
    client.expect_end().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let start = |peers: Vec<PeerConfig>, port| {
        let listen = SocketAddr::from(([127, 0, 0, 1], port));
        Network::start(Arc::clone(&WORLD), NetworkConfig { peers, listen })
    };
    let peer = PeerConfig::default;
    assert!(matches!(start(vec![], 0).await, Err(NetworkError::NoPeers)));
    let too_high = PeerConfig { tip: Some(10_000), ..peer() };
    assert!(matches!(
        start(vec![peer(), too_high], 0).await,
        Err(NetworkError::TipAboveWorld { peer: 1, .. })
    ));
    let old = PeerConfig { protocol_version: 70_229, ..peer() };
    assert!(matches!(start(vec![old], 0).await, Err(NetworkError::ProtocolVersion { oldest: 70_230, .. })));
    let slow = PeerConfig { service_time: Duration::from_secs(4_000), ..peer() };
    assert!(matches!(start(vec![slow], 0).await, Err(NetworkError::TooLong { field: "service_time", .. })));
    let taken = start(vec![peer()], 0).await.unwrap();
    let again = start(vec![peer()], taken.addresses()[0].port()).await;
    assert!(matches!(again, Err(NetworkError::Listen { .. })));
}

#[tokio::test]
async fn addresses_come_once_and_in_the_form_that_was_asked_for() {
    let config = NetworkConfig { peers: vec![PeerConfig::default(); 3], ..NetworkConfig::default() };
    let network = Network::start(WORLD.clone(), config).await.unwrap();
    let [asked, neighbours @ ..] = &network.addresses()[..] else { panic!("three peers") };
    for wants_addrv2 in [false, true] {
        let mut client = Client::connect(*asked).await;
        client.send(&version(70_240)).await;
        client.expect(&["version", "sendaddrv2", "verack"]).await;
        if wants_addrv2 {
            client.send(&NetworkMessage::SendAddrV2).await;
        }
        client.send(&NetworkMessage::Verack).await;
        client.expect(&["sendheaders", "sendcmpct", "ping"]).await;
        client.send_all(&[NetworkMessage::GetAddr, NetworkMessage::GetAddr, NetworkMessage::Ping(1)]).await;
        let addresses: Vec<SocketAddr> = match client.receive_message().await {
            NetworkMessage::Addr(entries) if !wants_addrv2 => {
                entries.iter().map(|entry| entry.address.address).collect()
            }
            NetworkMessage::AddrV2(entries) if wants_addrv2 => {
                entries.iter().filter_map(|entry| entry.socket_addr()).collect()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(addresses, neighbours);
        client.expect_pong(1).await;
    }
}
