use std::sync::Arc;

use bitcoin_hashes::sha256d;
use dashcore::consensus::serialize;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::{HeadersMessage, Inventory};
use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{ActiveChain, GeneratedSpec, InstantLocker, PeerConfig, Unlocked, World};

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
    let faults = "locks=none".parse().unwrap();
    let network = start(PeerConfig { tip: Some(300), faults, ..PeerConfig::default() }).await;
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

/// A lock, and the height of its block, above 300.
fn some_lock() -> (u32, ChainLock) {
    (301..WORLD.tip()).find_map(|height| Some((height, WORLD.chain_lock(height)?))).unwrap()
}

fn name(lock: &ChainLock) -> Inventory {
    Inventory::ChainLock(sha256d::hash(&serialize(lock)).to_byte_array())
}

#[tokio::test]
async fn the_lock_of_a_new_block_is_announced_behind_it_and_served() {
    let (height, lock) = some_lock();
    let network = start(PeerConfig { tip: Some(height - 1), ..PeerConfig::default() }).await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[NetworkMessage::SendHeaders, NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
    network.activate(&chain(height));
    assert_eq!(client.receive_message().await, headers(&WORLD, height..=height));
    assert_eq!(client.receive_message().await, NetworkMessage::Inv(vec![name(&lock)]));
    let unknown = Inventory::ChainLock([7; 32]);
    client.send(&NetworkMessage::GetData(vec![name(&lock), unknown])).await;
    assert_eq!(client.receive_message().await, NetworkMessage::ClSig(lock));
    assert_eq!(client.receive_message().await, NetworkMessage::NotFound(vec![unknown]));
}

#[tokio::test]
async fn locks_come_early_twice_forged_or_not_at_all_where_faults_say_so() {
    let (height, lock) = some_lock();
    for (kind, before) in
        [("early", height - 2), ("twice", height - 1), ("forged", height - 1), ("none", height - 1)]
    {
        let faults = format!("locks={kind}").parse().unwrap();
        let network = start(PeerConfig { tip: Some(before), faults, ..PeerConfig::default() }).await;
        let mut client = Client::ready(network.addresses()[0]).await;
        client.send_all(&[NetworkMessage::SendHeaders, NetworkMessage::Ping(1)]).await;
        client.expect_pong(1).await;
        network.activate(&chain(before + 1));
        assert_eq!(client.receive_message().await, headers(&WORLD, before + 1..=before + 1));
        if kind == "none" {
            client.send(&NetworkMessage::Ping(2)).await;
            client.expect_pong(2).await;
            continue;
        }
        let NetworkMessage::Inv(announced) = client.receive_message().await else { panic!("{kind}") };
        assert_eq!(announced == [name(&lock)], kind != "forged");
        client.send_all(&[NetworkMessage::GetData(announced), NetworkMessage::Ping(2)]).await;
        let NetworkMessage::ClSig(first) = client.receive_message().await else { panic!("{kind}") };
        assert_eq!(
            (first.block_hash, first.signature == lock.signature),
            (lock.block_hash, kind != "forged")
        );
        if kind == "twice" {
            assert_eq!(client.receive_message().await, NetworkMessage::ClSig(first));
        }
        client.expect_pong(2).await;
    }
}

#[tokio::test]
async fn instant_send_locks_are_announced_to_those_who_relay_and_served() {
    let mut locker = InstantLocker::new(&SPEC, &WORLD);
    let lock = locker.lock_number(WORLD.tip(), 1).unwrap();
    let network = start(PeerConfig::default()).await;
    let mut wallet = Client::ready_to_relay(network.addresses()[0]).await;
    let mut other = Client::ready(network.addresses()[0]).await;
    network.lock_instantly(&lock);
    let name = Inventory::InstantLock(sha256d::hash(&serialize(&lock)).to_byte_array());
    assert_eq!(wallet.receive_message().await, NetworkMessage::Inv(vec![name]));
    let unknown = Inventory::InstantLock([7; 32]);
    wallet.send(&NetworkMessage::GetData(vec![name, unknown])).await;
    assert_eq!(wallet.receive_message().await, NetworkMessage::IsdLock(lock));
    assert_eq!(wallet.receive_message().await, NetworkMessage::NotFound(vec![unknown]));
    // Nothing came before the pong.
    other.send(&NetworkMessage::Ping(1)).await;
    other.expect_pong(1).await;
}

#[test]
fn branches_and_blocks_that_are_to_be_unlocked_have_no_locks() {
    let branch = World::generate_branch(&SPEC, 297, 9);
    let locks = |world: &World, heights: std::ops::RangeInclusive<u32>| {
        heights.filter(|&height| world.chain_lock(height).is_some()).count()
    };
    assert!(locks(&WORLD, 280..=297) > 0 && locks(&WORLD, 298..=330) > 0);
    assert_eq!(locks(&branch, 280..=296), locks(&WORLD, 280..=296));
    assert_eq!(locks(&branch, 298..=branch.tip()), 0);
    let gap = World::generate(&GeneratedSpec { unlocked: Unlocked::new(&[(298, 310)]), ..SPEC });
    assert_eq!((locks(&gap, 298..=310), locks(&gap, 311..=gap.tip()) > 0), (0, true));
    assert_eq!(gap.block_hash(298), WORLD.block_hash(298), "the lock of a block stands in the next one");
}
