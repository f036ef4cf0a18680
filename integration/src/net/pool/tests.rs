use dashcore::network::message::command;
use dashcore::{ChainParams, Network};

use super::*;
use crate::config::{DiscoveryConfig, Settings};
use crate::discovery::Candidate;
use crate::net::connection::tests::node::{Node, ON_THE_WAY};
use crate::net::connector::Connector;
use crate::store::{BanReason, Store};

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([50, 60, 70, last], 9999))
}

/// Nodes that greet, answer the first ping where they are to be proven, and send a list that nobody asked for.
fn junk(is_proven: bool) -> Connector {
    Connector::new(move |_| async move {
        let (ours, theirs) = tokio::io::duplex(ON_THE_WAY);
        tokio::spawn(async move {
            let mut node = Node::greeting(theirs).await;
            if is_proven {
                node.answer_ping().await;
            }
            let header = node.header(command::QRINFO, 1 << 20);
            node.send_bytes(&header).await;
            node.receive().await;
        });
        Ok(ours)
    })
}

fn config(connector: Connector, discovery: Option<(Arc<Discovery>, mpsc::Receiver<Heard>)>) -> PoolConfig {
    let settings = Settings::default();
    PoolConfig {
        setup: Node::setup(connector),
        reconnect_base: settings.reconnect_base,
        reconnect_cap: settings.reconnect_cap,
        seed: 1,
        rates: Mutex::new(TokenBuckets::new(&settings.peer_rate).unwrap()),
        resolver: Resolver::none(),
        discovery,
    }
}

/// What became of the next connection: what is said of it, and when it is tried again.
async fn next_end(events: &mut mpsc::Receiver<PoolEvent>) -> (String, Option<Instant>) {
    loop {
        match events.recv().await.unwrap() {
            PoolEvent::Down { reason, retry_at, .. } => return (reason.to_string(), retry_at),
            PoolEvent::Failed { error, retry_at, .. } => return (error.to_string(), retry_at),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_configured_peer_that_sends_junk_is_tried_ever_more_rarely() {
    for is_proven in [true, false] {
        let (pool, mut events) = Pool::start(&[address(1)], Vec::new(), config(junk(is_proven), None));
        let mut waits = Vec::new();
        for _ in 0..12 {
            let (said, retry_at) = next_end(&mut events).await;
            assert_eq!(said, "sent an unrequested qrinfo");
            waits.push(retry_at.unwrap() - Instant::now());
        }
        assert!(waits[0] <= Settings::default().reconnect_base, "{waits:?}");
        assert!(waits[8..].iter().sum::<Duration>() > Duration::from_secs(20), "{waits:?}");
        pool.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_found_and_sends_junk_is_banned_as_a_liar() {
    for is_proven in [true, false] {
        let params = ChainParams::new(Network::Regtest);
        let store = Arc::new(Store::in_memory(&Network::Regtest).unwrap());
        let rng = fastrand::Rng::with_seed(1);
        let discovery = Discovery::open(
            &params,
            &DiscoveryConfig::default(),
            &[],
            Vec::new(),
            store,
            Resolver::none(),
            rng,
        );
        let services = dashcore::network::message_network::service_flags::NETWORK;
        let candidates = vec![Candidate { address: address(1), services, time: 1 }];
        discovery.heard(Heard { from: address(2), candidates });
        let (_named, heard) = mpsc::channel(1);
        let config = config(junk(is_proven), Some((discovery.clone(), heard)));
        let (pool, mut events) = Pool::start(&[], Vec::new(), config);
        assert_eq!(next_end(&mut events).await.0, "sent an unrequested qrinfo");
        let (_, reason) = discovery.ban(&address(1)).unwrap();
        assert_eq!(reason, BanReason::Lied);
        pool.stop().await;
    }
}
