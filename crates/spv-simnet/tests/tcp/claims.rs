//! Nodes that are behind, or say what is not so.

use std::time::{SystemTime, UNIX_EPOCH};

use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::HeadersMessage;
use spv_simnet::{ActiveChain, PeerConfig};

use crate::client::Client;
use crate::{WORLD, diff, headers_after, honest, start, start_faulty, start_faulty_in_memory, world_headers};

fn height(height: u32) -> i32 {
    i32::try_from(height).unwrap()
}

fn no_headers() -> NetworkMessage {
    NetworkMessage::Headers(HeadersMessage(Vec::new()))
}

#[tokio::test]
async fn a_node_that_is_behind_claims_and_serves_what_it_has() {
    let network = start_faulty("behind=10").await;
    let mut client = Client::connect(network.addresses()[0]).await;
    let tip = WORLD.tip() - 10;
    assert_eq!(client.greet().await.start_height, height(tip));
    client.send_all(&[headers_after(tip - 2), diff(0, tip + 1), NetworkMessage::Ping(1)]).await;
    assert_eq!(client.receive_message().await, world_headers(tip - 1..=tip));
    client.expect_pong(1).await;
    client.send(&diff(0, tip)).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, tip)));
}

#[tokio::test]
async fn a_node_that_is_behind_follows_at_its_distance() {
    let faults = "behind=10".parse().unwrap();
    let network = start(PeerConfig { faults, tip: Some(300), ..PeerConfig::default() }).await;
    let mut client = Client::connect(network.addresses()[0]).await;
    assert_eq!(client.greet().await.start_height, 290);
    client.send_all(&[NetworkMessage::SendHeaders, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
    network.activate(&ActiveChain::new(WORLD.clone(), 301));
    assert_eq!(client.receive_message().await, world_headers(291..=291));
    let short = "behind=4000000".parse().unwrap();
    let network = start(PeerConfig { faults: short, ..PeerConfig::default() }).await;
    assert_eq!(Client::connect(network.addresses()[0]).await.greet().await.start_height, 0);
}

#[tokio::test]
async fn a_claim_changes_nothing_but_the_version() {
    for claim in [0, WORLD.tip() + 1_000] {
        let network = start_faulty(&format!("claim={claim}")).await;
        let mut client = Client::connect(network.addresses()[0]).await;
        assert_eq!(client.greet().await.start_height, height(claim));
        client.send(&headers_after(0)).await;
        assert_eq!(client.receive_message().await, world_headers(1..=WORLD.tip()));
    }
}

#[tokio::test]
async fn headers_are_withheld_above_a_height_and_lists_are_not() {
    let network = start_faulty("withhold=50").await;
    let mut client = Client::connect(network.addresses()[0]).await;
    assert_eq!(client.greet().await.start_height, height(WORLD.tip()));
    client.send(&headers_after(0)).await;
    assert_eq!(client.receive_message().await, world_headers(1..=50));
    for known in [50, 51, WORLD.tip()] {
        client.send(&headers_after(known)).await;
        assert_eq!(client.receive_message().await, no_headers());
    }
    client.send(&diff(0, 60)).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 60)));
}

#[tokio::test]
async fn a_node_in_its_initial_download_claims_and_shows_nothing() {
    let faults = "claim=0,withhold=0".parse().unwrap();
    let network = start(PeerConfig { faults, tip: Some(300), ..PeerConfig::default() }).await;
    let mut client = Client::connect(network.addresses()[0]).await;
    assert_eq!(client.greet().await.start_height, 0);
    client.send_all(&[NetworkMessage::SendHeaders, headers_after(0), NetworkMessage::Ping(1)]).await;
    assert_eq!(client.receive_message().await, no_headers());
    client.expect_pong(1).await;
    network.activate(&ActiveChain::new(WORLD.clone(), 301));
    // A block that it announced would come before the pong.
    client.send(&NetworkMessage::Ping(2)).await;
    client.expect_pong(2).await;
}

#[expect(clippy::disallowed_methods, reason = "nodes date their greeting by the wall clock")]
#[tokio::test(start_paused = true)]
async fn the_clock_is_the_real_one_but_for_its_offset() {
    for (faults, offset) in [("", 0), ("clock=6h", 21_600), ("clock=-6h", -21_600)] {
        let network = start_faulty_in_memory(faults);
        let mut client = Client::connect_in_memory(&network).await;
        let theirs = client.greet().await.timestamp;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ahead = theirs - i64::try_from(now).unwrap();
        assert!((ahead - offset).abs() < 60, "{faults:?}: {ahead} s");
    }
}
