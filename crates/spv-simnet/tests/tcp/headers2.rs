//! Headers in compressed form.

use dashcore::consensus::serialize;
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage};
use dashcore::network::message_headers2::{CompressedHeaders, Headers2Message, MAX_HEADERS2};
use dashcore::network::message_network::{PROTOCOL_VERSION, VersionMessage};
use dashcore::{BlockHash, Header};
use spv_simnet::{ActiveChain, InMemoryNetwork, PeerConfig};

use crate::client::{Client, version};
use crate::{
    WORLD, headers_after, start, start_faulty, start_faulty_in_memory, start_in_memory, world_headers,
};

fn asked(locator_hashes: Vec<BlockHash>, stop_hash: BlockHash) -> NetworkMessage {
    NetworkMessage::GetHeaders2(GetHeadersMessage { version: 1, locator_hashes, stop_hash })
}

fn asked_after(height: u32) -> NetworkMessage {
    asked(vec![WORLD.block_hash(height).unwrap()], BlockHash::all_zeros())
}

fn compressed(heights: impl Iterator<Item = u32>) -> NetworkMessage {
    let NetworkMessage::Headers(HeadersMessage(headers)) = world_headers(heights) else { unreachable!() };
    NetworkMessage::Headers2(Headers2Message(headers))
}

#[tokio::test]
async fn compressed_headers_are_those_that_come_plainly() {
    let network = start(PeerConfig { tip: Some(200), ..PeerConfig::default() }).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send(&asked_after(0)).await;
    let answer = client.receive().await.unwrap();
    assert_eq!(
        (answer.command, &answer.payload),
        (command::HEADERS2, &serialize(&compressed(1..=200)).into())
    );
    let chain = ActiveChain::new(WORLD.clone(), 200);
    for (locator, stop, heights) in [(150, None, 151..201), (100, Some(105), 101..106), (200, None, 0..0)] {
        let stop = stop.map_or(BlockHash::all_zeros(), |height| WORLD.block_hash(height).unwrap());
        let request = asked(vec![WORLD.block_hash(locator).unwrap()], stop);
        client.send(&request).await;
        let answer = client.receive_message().await;
        assert_eq!(answer, compressed(heights));
        let NetworkMessage::GetHeaders2(request) = request else { unreachable!() };
        assert_eq!(answer, NetworkMessage::Headers2(chain.headers2(&request, PROTOCOL_VERSION).unwrap()));
    }
    let stats = network.stats()[0];
    assert_eq!((stats.requests.getheaders2, stats.answered.getheaders2, stats.requests.total()), (4, 4, 4));
}

#[tokio::test]
async fn an_empty_locator_brings_the_one_header_or_silence() {
    let network = start(PeerConfig { tip: Some(200), ..PeerConfig::default() }).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    for height in [0, 60, 200] {
        client.send(&asked(vec![], WORLD.block_hash(height).unwrap())).await;
        assert_eq!(client.receive_message().await, compressed(height..=height));
    }
    for unknown in [WORLD.block_hash(201).unwrap(), BlockHash::all_zeros()] {
        client.send_all(&[asked(vec![], unknown), NetworkMessage::Ping(1)]).await;
        client.expect_pong(1).await;
    }
    let too_long = GetHeadersMessage {
        version: 1,
        locator_hashes: vec![BlockHash::all_zeros(); 102],
        stop_hash: BlockHash::all_zeros(),
    };
    client.send_raw("getheaders2", &serialize(&too_long)).await;
    client.expect_end().await;
}

/// How many headers come from a long chain to a client and a node of these versions.
async fn most_headers(ours: i32, theirs: i32) -> usize {
    let faults = "junk-chain=8100".parse().unwrap();
    let network = start_in_memory(PeerConfig { protocol_version: theirs, faults, ..PeerConfig::default() });
    let mut client = Client::connect_in_memory(&network).await;
    client.send(&version(ours)).await;
    client.expect(&["version", "sendaddrv2", "verack"]).await;
    client.send(&NetworkMessage::Verack).await;
    client.expect(&["sendheaders", "sendcmpct", "ping"]).await;
    client.send(&asked_after(0)).await;
    let answer = client.receive().await.unwrap();
    CompressedHeaders::decode(&answer.payload, MAX_HEADERS2).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn the_older_version_limits_the_number_of_headers() {
    assert_eq!(most_headers(70_240, 70_240).await, 8_000);
    assert_eq!(most_headers(70_235, 70_235).await, 8_000);
    assert_eq!(most_headers(70_240, 70_234).await, 2_000);
    assert_eq!(most_headers(70_234, 70_240).await, 2_000);
}

#[tokio::test]
async fn a_node_without_them_neither_offers_nor_serves_them() {
    let network = start_faulty("no-headers2").await;
    let mut client = Client::connect(network.addresses()[0]).await;
    assert_eq!(client.greet().await.services, 1 | 1024);
    client.send_all(&[asked_after(0), NetworkMessage::SendHeaders2, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
    client.send(&headers_after(0)).await;
    assert_eq!(client.receive_message().await, world_headers(1..=WORLD.tip()));
    let stats = network.stats()[0];
    assert_eq!((stats.answered.getheaders2, stats.refused.getheaders2, stats.max_misbehaviour), (0, 0, 0));
    assert_eq!(stats.in_flight, 0);
}

#[tokio::test]
async fn a_node_below_the_minimum_work_answers_with_none() {
    let network = start_faulty("claim=0,withhold=0").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    for request in [asked_after(0), asked(vec![], WORLD.block_hash(60).unwrap())] {
        client.send(&request).await;
        assert_eq!(client.receive_message().await, compressed(0..0));
    }
}

async fn receive_payload(network: &InMemoryNetwork, request: &NetworkMessage) -> Vec<u8> {
    let mut client = Client::ready_in_memory(network).await;
    client.send(request).await;
    let frame = client.receive().await.unwrap();
    assert!(frame.checksum_valid);
    frame.payload.to_vec()
}

#[tokio::test(start_paused = true)]
async fn bad_headers2_cannot_be_decoded_and_plain_headers_are_right() {
    let network = start_faulty_in_memory("bad-headers2=1");
    // Many, few, and none.
    for known in [0, WORLD.tip() - 5, WORLD.tip()] {
        let payload = receive_payload(&network, &asked_after(known)).await;
        CompressedHeaders::decode(&payload, MAX_HEADERS2).unwrap_err();
    }
    let plain = receive_payload(&network, &headers_after(0)).await;
    assert_eq!(plain, serialize(&world_headers(1..=WORLD.tip())));
    assert_eq!(network.stats()[0].faults, 3);
}

#[tokio::test(start_paused = true)]
async fn half_a_batch_ends_in_the_middle_in_both_forms() {
    let network = start_faulty_in_memory("half-headers=1");
    let tip = WORLD.tip();
    let half = tip.div_ceil(2);
    assert_eq!(receive_payload(&network, &asked_after(0)).await, serialize(&compressed(1..=half)));
    assert_eq!(receive_payload(&network, &headers_after(0)).await, serialize(&world_headers(1..=half)));
    assert_eq!(
        receive_payload(&network, &headers_after(tip - 1)).await,
        serialize(&world_headers(tip..=tip))
    );
}

#[tokio::test]
async fn new_blocks_are_announced_in_the_form_that_was_asked_for() {
    let network = start(PeerConfig { tip: Some(300), ..PeerConfig::default() }).await;
    let mut client = Client::connect(network.addresses()[0]).await;
    // Nodes ask those for compressed announcements who serve compressed headers.
    let NetworkMessage::Version(greeting) = version(PROTOCOL_VERSION) else { unreachable!() };
    client.send(&NetworkMessage::Version(VersionMessage { services: 2048, ..greeting })).await;
    client.expect(&["version", "sendaddrv2", "verack"]).await;
    client.send(&NetworkMessage::Verack).await;
    client.expect(&["sendheaders2", "sendcmpct", "ping"]).await;
    client.send_all(&[NetworkMessage::SendHeaders2, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
    network.activate(&ActiveChain::new(WORLD.clone(), 302));
    let announced: Vec<Header> = (301..=302).map(|height| *WORLD.header(height).unwrap()).collect();
    assert_eq!(client.receive_message().await, NetworkMessage::Headers2(Headers2Message(announced)));
}
