//! Nodes that stop to talk.

use std::time::Duration;

use dashcore::network::message::NetworkMessage;
use tokio::time::Instant;

use crate::client::Client;
use crate::{diff, headers_after, honest, rotation, start_faulty, start_faulty_in_memory};

#[tokio::test]
async fn a_node_falls_silent_after_so_many_messages() {
    // Version and verack are two of them.
    let network = start_faulty("mute-after=4").await;
    for _ in 0..2 {
        let mut client = Client::ready(network.addresses()[0]).await;
        client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51), headers_after(0)]).await;
        assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
        client.expect_pong(1).await;
        client.send(&NetworkMessage::Ping(2)).await;
        client.expect_nothing().await;
    }
    let stats = network.stats()[0];
    assert_eq!((stats.answered.total(), stats.requests.total(), stats.pings), (2, 6, 4));
}

#[tokio::test]
async fn a_node_that_is_mute_from_the_beginning_never_greets() {
    let network = start_faulty("mute-after=0").await;
    let mut client = Client::connect(network.addresses()[0]).await;
    client.send(&crate::client::version(70_240)).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_node_without_pongs_answers_the_rest() {
    let network = start_faulty("no-pong").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51), NetworkMessage::Ping(2)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    assert_eq!(client.receive_message().await, honest(&diff(0, 51)));
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_node_that_never_reads_lets_what_is_written_pile_up() {
    let network = start_faulty("never-read").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1)]).await;
    client.expect_nothing().await;
    // More than any system buffers by itself.
    let flood = client.send_raw("unknown", &[0; 16 * 1024 * 1024]);
    assert!(tokio::time::timeout(Duration::from_millis(300), flood).await.is_err());
    assert_eq!(network.stats()[0].requests.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_in_memory_that_never_reads_takes_not_even_one_request() {
    let network = start_faulty_in_memory("never-read");
    let mut client = Client::ready_in_memory(&network).await;
    let written = tokio::time::timeout(Duration::from_secs(600), client.send(&rotation(300))).await;
    assert!(written.is_err());
    drop(client);
    assert_eq!(network.shutdown().await[0].requests.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_trickling_node_sends_byte_after_byte() {
    let network = start_faulty_in_memory("trickle=5");
    let mut client = Client::connect_in_memory(&network).await;
    let started = Instant::now();
    client.greet().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    client.send_all(&[NetworkMessage::Ping(1), NetworkMessage::Ping(2)]).await;
    // A pong has 32 bytes; the first byte is due at once.
    for (nonce, bytes) in [(1, 32), (2, 64)] {
        client.expect_pong(nonce).await;
        let due = Duration::from_millis((bytes - 1) * 200);
        assert!(started.elapsed().abs_diff(due) < Duration::from_millis(100), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_fast_trickle_over_tcp_brings_the_whole_answer() {
    let network = start_faulty("trickle=1000000").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send(&diff(0, 50)).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
}
