use std::sync::Arc;

use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::{HeadersMessage, Inventory};
use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{ActiveChain, GeneratedSpec, PeerConfig, World};

use crate::client::Client;
use crate::{WORLD, diff, start};

const SPEC: GeneratedSpec = GeneratedSpec { masternodes: 12, cycles: 6, seed: 3, ..GeneratedSpec::DEFAULT };

fn chain(tip: u32) -> ActiveChain {
    ActiveChain::new(Arc::clone(&WORLD), tip)
}

fn headers(world: &World, heights: std::ops::RangeInclusive<u32>) -> NetworkMessage {
    NetworkMessage::Headers(HeadersMessage(heights.map(|height| *world.header(height).unwrap()).collect()))
}

#[tokio::test]
async fn new_blocks_are_announced_by_headers_to_those_who_asked_and_else_by_hash() {
    let network = start(PeerConfig { tip: Some(300), ..PeerConfig::default() }).await;
    let mut plain = Client::ready(network.addresses()[0]).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[NetworkMessage::SendHeaders, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;

    network.activate(&chain(302));
    assert_eq!(client.receive_message().await, headers(&WORLD, 301..=302));
    let tip = |height| NetworkMessage::Inv(vec![Inventory::Block(WORLD.block_hash(height).unwrap())]);
    assert_eq!(plain.receive_message().await, tip(302));
    // More than eight at once.
    network.activate(&chain(311));
    assert_eq!(client.receive_message().await, tip(311));
    // What is new is served.
    client.send(&diff(300, 311)).await;
    assert!(matches!(client.receive_message().await, NetworkMessage::MnListDiff(_)));
}

#[tokio::test]
async fn a_branch_is_announced_from_where_it_leaves_and_the_old_one_is_not_served_any_more() {
    let branch = Arc::new(World::generate_branch(&SPEC, 297, 9));
    assert_eq!(branch.block_hash(297), WORLD.block_hash(297));
    assert_ne!(branch.block_hash(298), WORLD.block_hash(298));
    assert_eq!(branch.tip(), WORLD.tip());

    let network = start(PeerConfig { tip: Some(300), ..PeerConfig::default() }).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[NetworkMessage::SendHeaders, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
    network.activate(&ActiveChain::new(Arc::clone(&branch), 301));
    assert_eq!(client.receive_message().await, headers(&branch, 298..=301));
    client.send_all(&[diff(290, 299), NetworkMessage::Ping(2)]).await;
    client.expect_pong(2).await;
    let names = GetMnListDiff {
        base_block_hash: branch.block_hash(290).unwrap(),
        block_hash: branch.block_hash(299).unwrap(),
    };
    client.send(&NetworkMessage::GetMnListD(names)).await;
    assert!(matches!(client.receive_message().await, NetworkMessage::MnListDiff(_)));
}
