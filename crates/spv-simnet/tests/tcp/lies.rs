//! Answers that are wrong on purpose, in frames that look fine.

use dashcore::consensus::serialize;
use dashcore::network::framing::Frame;
use dashcore::network::message::NetworkMessage;

use crate::client::Client;
use crate::{diff, headers_after, honest, rotation, start, start_faulty};
use spv_simnet::PeerConfig;

/// Places of the bits in which a payload differs from an honest one of the same length.
fn flipped(frame: &Frame, honest: &[u8]) -> Vec<usize> {
    assert!(frame.checksum_valid);
    assert_eq!(frame.payload.len(), honest.len());
    let bits = |byte: u8| (0..8).filter(move |bit| byte & (1 << bit) != 0);
    let differences = frame.payload.iter().zip(honest).map(|(a, b)| a ^ b).enumerate();
    differences.flat_map(|(place, byte)| bits(byte).map(move |bit| place * 8 + bit)).collect()
}

#[tokio::test]
async fn forgers_flip_the_same_bit_whatever_their_seeds() {
    let mut lies = Vec::new();
    for seed in [1, 2] {
        let faults = "forge=1".parse().unwrap();
        let network = start(PeerConfig { faults, seed, ..PeerConfig::default() }).await;
        let mut client = Client::ready(network.addresses()[0]).await;
        let mut told = Vec::new();
        for request in [diff(0, 50), rotation(300), diff(0, 51)] {
            client.send(&request).await;
            let honest = serialize(&honest(&request));
            let bits = flipped(&client.receive().await.unwrap(), &honest);
            assert_eq!(bits.len(), 1);
            assert!(bits[0] / 8 >= honest.len() * 2 / 3);
            told.push(bits[0]);
        }
        // Headers are spared.
        client.send(&headers_after(0)).await;
        assert_eq!(client.receive_message().await, honest(&headers_after(0)));
        lies.push(told);
    }
    assert_eq!(lies[0], lies[1]);
}

#[tokio::test]
async fn a_padded_answer_is_as_long_as_a_frame_may_be() {
    let network = start_faulty("pad=first:1").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 50)]).await;
    let frame = client.receive().await.unwrap();
    let honest_answer = serialize(&honest(&diff(0, 50)));
    assert!(frame.checksum_valid && frame.payload.starts_with(&honest_answer));
    assert_eq!(frame.payload.len(), 32 << 20);
    client.expect_pong(1).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
}

#[tokio::test]
async fn a_truncated_answer_is_half_an_answer_in_a_whole_frame() {
    let network = start_faulty("truncate=first:1").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 50)]).await;
    let frame = client.receive().await.unwrap();
    let honest_answer = serialize(&honest(&diff(0, 50)));
    assert!(frame.checksum_valid);
    assert_eq!(frame.payload, honest_answer[..honest_answer.len() / 2]);
    client.expect_pong(1).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
}
