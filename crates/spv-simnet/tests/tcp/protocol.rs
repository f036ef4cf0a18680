use dashcore::BlockHash;
use dashcore::consensus::serialize;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::GetHeadersMessage;
use spv_simnet::PeerConfig;

use crate::client::{Client, version, version_as_masternode};
use crate::{WORLD, diff, honest, start};

#[tokio::test]
async fn handshake_is_the_one_of_dash_core() {
    let network = start(PeerConfig::default()).await;
    let mut client = Client::connect(network.addresses()[0]).await;
    client.send(&version(70_240)).await;
    let NetworkMessage::Version(theirs) = client.receive_message().await else {
        panic!("version comes first")
    };
    assert_eq!(theirs.version, 70_240);
    assert_eq!(theirs.services, 1 | 1024 | 2048);
    assert_eq!(theirs.start_height, i32::try_from(WORLD.tip()).unwrap());
    client.expect(&["sendaddrv2", "verack"]).await;
    client.send(&NetworkMessage::Verack).await;
    client.expect(&["sendheaders", "sendcmpct", "ping"]).await;
    client.send(&NetworkMessage::Ping(5)).await;
    client.expect_pong(5).await;
}

#[tokio::test]
async fn whatever_comes_before_its_time_is_ignored() {
    let network = start(PeerConfig::default()).await;
    let mut client = Client::connect(network.addresses()[0]).await;
    client.send_all(&[NetworkMessage::Ping(1), diff(0, 50), NetworkMessage::Verack, version(70_240)]).await;
    client.expect(&["version", "sendaddrv2", "verack"]).await;
    client.send_all(&[NetworkMessage::Ping(2), diff(0, 50), version(70_240)]).await;
    client.send_raw("sendaddrv2", &[]).await;
    client.send(&NetworkMessage::Verack).await;
    client.expect(&["sendheaders", "sendcmpct", "ping"]).await;
    client.send(&NetworkMessage::Ping(3)).await;
    client.expect_pong(3).await;
    assert_eq!(network.stats()[0].answered.total(), 0);
}

#[tokio::test]
async fn a_client_that_cannot_be_served_is_disconnected() {
    let network = start(PeerConfig::default()).await;
    let mut old = Client::connect(network.addresses()[0]).await;
    old.send(&version(70_229)).await;
    old.expect_end().await;
    let mut masternode = Client::connect(network.addresses()[0]).await;
    masternode.send_raw("version", &version_as_masternode()).await;
    masternode.expect_end().await;
    let mut late = Client::ready(network.addresses()[0]).await;
    late.send_raw("sendaddrv2", &[]).await;
    late.expect_end().await;
}

#[tokio::test]
async fn garbled_messages_are_dropped_and_foreign_ones_disconnect() {
    let network = start(PeerConfig::default()).await;
    let address = network.addresses()[0];
    let mut client = Client::ready(address).await;
    let magic = WORLD.params().magic;
    let mut ping = Vec::new();
    NetworkMessage::Ping(1).encode_framed(magic, &mut ping);

    let mut bad_checksum = ping.clone();
    bad_checksum[20] ^= 1;
    let mut malformed_command = ping.clone();
    malformed_command[4 + 11] = b'!';
    let unknown_locator_length = [&[0; 4][..], &[0xff; 9]].concat();
    client.send_bytes(&bad_checksum).await;
    client.send_bytes(&malformed_command).await;
    client.send_raw("getheaders", &unknown_locator_length).await;
    client.send_raw("novelty", &[1, 2, 3]).await;
    client.send(&NetworkMessage::Ping(2)).await;
    client.expect_pong(2).await;
    assert_eq!(network.stats()[0].max_misbehaviour, 0);

    let mut wrong_magic = ping.clone();
    wrong_magic[0] ^= 1;
    client.send_bytes(&wrong_magic).await;
    client.expect_end().await;

    let mut client = Client::ready(address).await;
    let mut oversized = ping;
    oversized[16..20].copy_from_slice(&(3 * 1024 * 1024 + 1_u32).to_le_bytes());
    client.send_bytes(&oversized).await;
    client.expect_end().await;
}

#[tokio::test]
async fn headers_follow_the_newest_known_block_of_the_locator() {
    let network = start(PeerConfig { tip: Some(200), ..PeerConfig::default() }).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    let hash = |height: u32| WORLD.block_hash(height).unwrap();
    let unknown = BlockHash::from_byte_array([9; 32]);
    // Locator, stop, first and last height of the answer.
    let cases = [
        (vec![hash(0)], BlockHash::all_zeros(), Some((1, 200))),
        (vec![unknown, hash(150), hash(20)], BlockHash::all_zeros(), Some((151, 200))),
        (vec![hash(201), hash(100)], hash(105), Some((101, 105))),
        (vec![unknown], hash(3), Some((1, 3))),
        (vec![hash(190)], hash(10), Some((191, 200))),
        (vec![], hash(60), Some((60, 60))),
        (vec![hash(200)], BlockHash::all_zeros(), None),
    ];
    for (locator_hashes, stop_hash, range) in cases {
        let request = GetHeadersMessage { version: 1, locator_hashes, stop_hash };
        client.send(&NetworkMessage::GetHeaders(request)).await;
        let NetworkMessage::Headers(headers) = client.receive_message().await else { panic!("headers") };
        let heights: Vec<u32> = headers.0.iter().map(|h| WORLD.height(&h.block_hash()).unwrap()).collect();
        let expected: Vec<u32> = range.map(|(first, last)| (first..=last).collect()).unwrap_or_default();
        assert_eq!(heights, expected);
    }
    let silent = GetHeadersMessage { version: 1, locator_hashes: vec![], stop_hash: unknown };
    client.send_all(&[NetworkMessage::GetHeaders(silent), NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;

    let too_long = GetHeadersMessage { version: 1, locator_hashes: vec![unknown; 102], stop_hash: unknown };
    client.send_raw("getheaders", &serialize(&too_long)).await;
    client.expect_end().await;
}

#[tokio::test]
async fn bytes_behind_a_request_are_ignored() {
    let network = start(PeerConfig::default()).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    let request = diff(0, 60);
    client.send_raw("getmnlistd", &[serialize(&request), vec![1, 2, 3]].concat()).await;
    assert_eq!(client.receive_message().await, honest(&request));
}

#[tokio::test]
async fn the_other_peers_are_told_once() {
    let config = spv_simnet::NetworkConfig { peers: vec![PeerConfig::default(); 3], ..Default::default() };
    let network = spv_simnet::Network::start(std::sync::Arc::clone(&WORLD), config).await.unwrap();
    let addresses = network.addresses();
    let mut client = Client::ready(addresses[1]).await;
    client.send(&NetworkMessage::GetAddr).await;
    let NetworkMessage::Addr(told) = client.receive_message().await else { panic!("addr") };
    let told: Vec<_> = told.iter().map(|entry| entry.address.address).collect();
    assert_eq!(told, [addresses[0], addresses[2]]);
    client.send_all(&[NetworkMessage::GetAddr, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
}
