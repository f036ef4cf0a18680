//! Nodes that extend the chain, or a part of it, with cheap headers.

use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage};
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::{BlockHash, Header};
use spv_simnet::{ActiveChain, InMemoryNetwork, NetworkConfig, NetworkError, PeerConfig};

use crate::client::Client;
use crate::{WORLD, diff, headers_after, honest, start, start_faulty, start_faulty_in_memory, world_headers};

fn asked_after(hash: BlockHash) -> NetworkMessage {
    let (locator_hashes, stop_hash) = (vec![hash], BlockHash::all_zeros());
    NetworkMessage::GetHeaders(GetHeadersMessage { version: 1, locator_hashes, stop_hash })
}

/// Headers that follow the world's block at `fork`, as valid as a client can see.
fn assert_valid(headers: &[Header], fork: u32) {
    let mut parent = *WORLD.header(fork).unwrap();
    for header in headers {
        assert_eq!(header.prev_blockhash, parent.block_hash());
        assert!(header.meets_target(header.block_hash()));
        assert_eq!((header.version, header.bits), (parent.version, parent.bits));
        assert!((1..10).contains(&(header.time - parent.time)));
        parent = *header;
    }
}

async fn headers<S>(client: &mut Client<S>, request: NetworkMessage) -> Vec<Header>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    client.send(&request).await;
    let NetworkMessage::Headers(HeadersMessage(headers)) = client.receive_message().await else {
        panic!("no headers")
    };
    headers
}

#[tokio::test]
async fn junk_is_claimed_and_shown_on_top_of_the_real_chain() {
    let network = start_faulty("junk-chain=40").await;
    let mut client = Client::connect(network.addresses()[0]).await;
    let tip = WORLD.tip();
    assert_eq!(client.greet().await.start_height, i32::try_from(tip + 40).unwrap());
    let all = headers(&mut client, headers_after(0)).await;
    let (real, junk) = all.split_at(tip as usize);
    assert_eq!(NetworkMessage::Headers(HeadersMessage(real.to_vec())), world_headers(1..=tip));
    assert_eq!(junk.len(), 40);
    assert_valid(junk, tip);
    assert_eq!(headers(&mut client, asked_after(junk[9].block_hash())).await, junk[10..]);
    assert!(headers(&mut client, asked_after(junk[39].block_hash())).await.is_empty());
    // Its lists are missing, as on a node that lacks the data.
    let request =
        GetMnListDiff { base_block_hash: WORLD.block_hash(0).unwrap(), block_hash: junk[39].block_hash() };
    client.send_all(&[NetworkMessage::GetMnListD(request), NetworkMessage::Ping(1), diff(0, tip)]).await;
    client.expect_pong(1).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, tip)));
    assert_eq!(network.stats()[0].refused.getmnlistd, 1);
}

#[tokio::test(start_paused = true)]
async fn junk_can_replace_the_end_of_the_chain() {
    let network = start_faulty_in_memory("junk-chain=500:100");
    let mut client = Client::connect_in_memory(&network).await;
    assert_eq!(client.greet().await.start_height, 600);
    let junk = headers(&mut client, headers_after(100)).await;
    assert_eq!(junk.len(), 500);
    assert_valid(&junk, 100);
    // The real blocks are no part of it, but their lists are served.
    assert_eq!(headers(&mut client, headers_after(120)).await.len(), 600);
    client.send(&diff(100, 120)).await;
    assert_eq!(client.receive_message().await, honest(&diff(100, 120)));
}

#[tokio::test]
async fn real_blocks_do_not_change_it_and_the_seed_does() {
    let mut tips = Vec::new();
    for seed in [1, 1, 2] {
        let faults = "junk-chain=5".parse().unwrap();
        let network = start(PeerConfig { faults, seed, tip: Some(300), ..PeerConfig::default() }).await;
        let mut client = Client::ready(network.addresses()[0]).await;
        let junk = headers(&mut client, headers_after(300)).await;
        client.send_all(&[NetworkMessage::SendHeaders, NetworkMessage::Ping(1)]).await;
        client.expect_pong(1).await;
        network.activate(&ActiveChain::new(WORLD.clone(), 301));
        // A block that it announced would come before the pong.
        client.send(&NetworkMessage::Ping(2)).await;
        client.expect_pong(2).await;
        assert_eq!(headers(&mut client, headers_after(300)).await, junk);
        client.send(&diff(0, 301)).await;
        assert_eq!(client.receive_message().await, honest(&diff(0, 301)));
        tips.push(junk.last().unwrap().block_hash());
    }
    assert_eq!(tips[0], tips[1]);
    assert_ne!(tips[0], tips[2]);
}

#[tokio::test]
async fn a_fork_above_the_tip_is_an_error() {
    let faults = "junk-chain=5:295,behind=10".parse().unwrap();
    let peer = PeerConfig { faults, tip: Some(300), ..PeerConfig::default() };
    let config = NetworkConfig { peers: vec![peer], ..NetworkConfig::default() };
    let error = InMemoryNetwork::start(&WORLD, config).unwrap_err();
    assert!(matches!(error, NetworkError::ForkAboveTip { peer: 0, fork: 295, tip: 290 }), "{error}");
}
