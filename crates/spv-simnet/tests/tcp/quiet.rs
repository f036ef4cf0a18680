//! Nodes that stop to talk.

use dashcore::network::message::NetworkMessage;

use crate::client::Client;
use crate::{diff, headers_after, honest, start_faulty};

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
