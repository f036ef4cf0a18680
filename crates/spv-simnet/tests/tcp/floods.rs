//! Nodes that send what nobody asked for.

use std::time::Duration;

use dashcore::network::framing::{DEFAULT_MAX_PAYLOAD, Frame};
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::{HeadersMessage, Inventory};
use spv_simnet::PeerConfig;
use tokio::time::Instant;

use crate::client::Client;
use crate::{WORLD, diff, honest, start_faulty, start_faulty_in_memory, start_in_memory, world_headers};

/// The first two unasked messages at two a second.
async fn flooded(kind: &str) -> [Frame; 2] {
    let network = start_faulty_in_memory(&format!("flood={kind}:2"));
    let mut client = Client::ready_in_memory(&network).await;
    let first = client.receive().await.unwrap();
    let started = Instant::now();
    let second = client.receive().await.unwrap();
    assert!(started.elapsed().abs_diff(Duration::from_millis(500)) < Duration::from_millis(5), "{kind}");
    assert!(first.checksum_valid && second.checksum_valid);
    // Answers still come.
    client.send(&diff(0, 50)).await;
    while client.receive().await.unwrap().command.as_str() != "mnlistdiff" {}
    [first, second]
}

fn decode(frame: &Frame) -> NetworkMessage {
    NetworkMessage::decode(frame.command, &frame.payload).unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn known_headers_are_the_first_of_the_chain() {
    let [first, second] = flooded("known-headers").await;
    assert_eq!(decode(&first), world_headers((1..=WORLD.tip()).take(2_000)));
    assert_eq!(first.payload, second.payload);
}

#[tokio::test(start_paused = true)]
async fn fork_headers_are_a_valid_branch_with_less_work() {
    let [first, _] = flooded("fork-headers").await;
    let NetworkMessage::Headers(HeadersMessage(headers)) = decode(&first) else { panic!("no headers") };
    let fork = WORLD.height(&headers[0].prev_blockhash).unwrap();
    assert!(headers.len() > 100 && fork as usize + headers.len() < WORLD.tip() as usize);
    let mut parent = *WORLD.header(fork).unwrap();
    for header in headers {
        assert_eq!((header.prev_blockhash, header.bits), (parent.block_hash(), parent.bits));
        assert!(header.meets_target(header.block_hash()) && header.time > parent.time);
        assert_eq!(WORLD.height(&header.block_hash()), None);
        parent = header;
    }
}

#[tokio::test(start_paused = true)]
async fn big_messages_are_as_large_as_the_framing_allows() {
    for (kind, name) in [("big-headers", "headers"), ("big-lists", "qrinfo")] {
        let network = start_faulty_in_memory(&format!("flood={kind}:2"));
        let mut client = Client::ready_in_memory(&network).await;
        let first = client.receive_oversized(name).await;
        let started = Instant::now();
        assert_eq!(first.len(), DEFAULT_MAX_PAYLOAD);
        assert!(client.receive_oversized(name).await == first);
        assert!(started.elapsed().abs_diff(Duration::from_millis(500)) < Duration::from_millis(5), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn invented_blocks_differ_each_time() {
    let [first, second] = flooded("inv").await;
    assert_ne!(first.payload, second.payload);
    let NetworkMessage::Inv(inventory) = decode(&first) else { panic!("no inv") };
    assert_eq!(inventory.len(), 100);
    let invented =
        |entry: &Inventory| matches!(entry, Inventory::Block(hash) if WORLD.height(hash).is_none());
    assert!(inventory.iter().all(invented));
}

#[tokio::test(start_paused = true)]
async fn made_up_addresses_lead_to_this_machine() {
    let [first, second] = flooded("addr").await;
    assert_ne!(first.payload, second.payload);
    let NetworkMessage::Addr(addresses) = decode(&first) else { panic!("no addr") };
    assert_eq!(addresses.len(), 1_000);
    for entry in addresses {
        assert!(entry.address.address.ip().is_loopback(), "{}", entry.address.address);
    }
}

#[tokio::test(start_paused = true)]
async fn pings_differ_each_time() {
    let [first, second] = flooded("ping").await;
    assert_eq!((first.command.as_str(), first.payload.len()), ("ping", 8));
    assert_ne!(first.payload, second.payload);
}

#[tokio::test(start_paused = true)]
async fn the_line_limits_a_flood() {
    let (faults, bandwidth) =
        ("flood=known-headers:1000".parse().unwrap(), std::num::NonZeroU64::new(100_000));
    let network = start_in_memory(PeerConfig { faults, bandwidth, ..PeerConfig::default() });
    let mut client = Client::ready_in_memory(&network).await;
    let started = Instant::now();
    let mut received = 0;
    while started.elapsed() < Duration::from_secs(60) {
        received += client.receive().await.unwrap().payload.len();
    }
    assert!((5_500_000..6_500_000).contains(&received), "{received}");
}

#[tokio::test]
async fn a_flood_over_tcp_begins_after_the_handshake_and_leaves_room_for_answers() {
    let network = start_faulty("flood=ping:200").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.expect(&["ping", "ping", "ping"]).await;
    client.send(&diff(0, 50)).await;
    let answer = loop {
        match client.receive_message().await {
            NetworkMessage::Ping(_) => {}
            other => break other,
        }
    };
    assert_eq!(answer, honest(&diff(0, 50)));
}
