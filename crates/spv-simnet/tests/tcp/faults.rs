use dashcore::network::framing::Frame;
use dashcore::network::message::NetworkMessage;

use crate::client::Client;
use crate::{WORLD, diff, headers_after, honest, rotation, start_faulty, start_faulty_in_memory};

fn decode(frame: &Frame) -> NetworkMessage {
    NetworkMessage::decode(frame.command, &frame.payload).unwrap().unwrap()
}

#[tokio::test]
async fn a_dropped_answer_leaves_its_pong() {
    let network = start_faulty("drop=every:2").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    for nonce in 1..=4 {
        client.send_all(&[diff(0, 50), NetworkMessage::Ping(nonce)]).await;
        if nonce % 2 == 1 {
            client.expect(&["mnlistdiff"]).await;
        }
        client.expect_pong(nonce).await;
    }
    let stats = network.stats()[0];
    assert_eq!((stats.answered.total(), stats.refused.total(), stats.faults), (2, 0, 2));
    assert_eq!(stats.max_misbehaviour, 0);
}

#[tokio::test]
async fn a_refusal_on_purpose_costs_a_point() {
    let network = start_faulty("refuse=first:1").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[rotation(300), NetworkMessage::Ping(1), rotation(300)]).await;
    client.expect_pong(1).await;
    assert_eq!(client.receive_message().await, honest(&rotation(300)));
    let stats = network.stats()[0];
    assert_eq!((stats.refused.getqrinfo, stats.max_misbehaviour, stats.faults), (1, 1, 1));
}

#[tokio::test]
async fn a_stalled_request_takes_its_pong_with_it() {
    let network = start_faulty("stall=first:1").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51), NetworkMessage::Ping(2)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 51)));
    client.expect_pong(2).await;
}

#[tokio::test]
async fn a_node_that_refuses_all_still_serves_headers() {
    let network = start_faulty("refuse-all").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), rotation(300), headers_after(0), NetworkMessage::Ping(1)]).await;
    assert_eq!(client.receive_message().await, honest(&headers_after(0)));
    client.expect_pong(1).await;
    let network = start_faulty("refuse-all,headers").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[headers_after(0), NetworkMessage::Ping(1)]).await;
    client.expect_pong(1).await;
}

#[tokio::test]
async fn a_silent_node_says_nothing_after_the_handshake() {
    let network = start_faulty("silent").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), headers_after(0), NetworkMessage::GetAddr, NetworkMessage::Ping(1)]).await;
    // What closes the connection is the only thing that can be seen.
    client.send(&diff(0, 50)).await;
    client.send_raw("sendaddrv2", &[]).await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_disconnecting_node_closes_instead_of_answering() {
    let network = start_faulty("disconnect=every:2").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), diff(0, 51), NetworkMessage::Ping(1)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    client.expect_end().await;
    let mut again = Client::ready(network.addresses()[0]).await;
    again.send(&diff(0, 52)).await;
    assert_eq!(again.receive_message().await, honest(&diff(0, 52)));
}

#[tokio::test]
async fn a_corrupt_answer_differs_in_one_bit_and_its_frame_looks_fine() {
    let network = start_faulty("corrupt=1").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send(&diff(0, 50)).await;
    let frame = client.receive().await.unwrap();
    assert!(frame.checksum_valid);
    let honest = dashcore::consensus::serialize(&honest(&diff(0, 50)));
    let flipped = frame.payload.iter().zip(&honest).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    assert_eq!((frame.payload.len(), flipped), (honest.len(), 1));
}

#[tokio::test]
async fn a_bad_checksum_is_all_that_is_wrong() {
    let network = start_faulty("bad-checksum=1").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1)]).await;
    let frame = client.receive().await.unwrap();
    assert!(!frame.checksum_valid);
    assert_eq!(decode(&frame), honest(&diff(0, 50)));
    client.expect_pong(1).await;
}

#[tokio::test]
async fn a_wrong_answer_is_the_honest_one_to_another_request() {
    let network = start_faulty("wrong=1,headers").await;
    let mut client = Client::ready(network.addresses()[0]).await;
    client.send(&diff(40, 50)).await;
    let NetworkMessage::MnListDiff(answer) = client.receive_message().await else { panic!("mnlistdiff") };
    assert_eq!(answer.base_block_hash, WORLD.block_hash(40).unwrap());
    let block = WORLD.height(&answer.block_hash).unwrap();
    assert_ne!(block, 50);
    assert_eq!(NetworkMessage::MnListDiff(answer), honest(&diff(40, block)));

    client.send(&rotation(300)).await;
    let NetworkMessage::QRInfo(answer) = client.receive_message().await else { panic!("qrinfo") };
    let cycle = WORLD.height(&answer.mn_list_diff_h.block_hash).unwrap() + 8;
    assert_ne!(cycle, 288);
    assert_eq!(NetworkMessage::QRInfo(answer), honest(&rotation(cycle)));

    client.send(&headers_after(0)).await;
    assert_ne!(client.receive_message().await, honest(&headers_after(0)));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_answer_holds_back_what_follows_and_a_late_one_does_not() {
    let network = start_faulty_in_memory("delay=first:1:30ms");
    let mut client = Client::ready_in_memory(&network).await;
    let started = tokio::time::Instant::now();
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1)]).await;
    client.expect(&["mnlistdiff", "pong"]).await;
    assert!(started.elapsed() >= std::time::Duration::from_millis(30));

    let network = start_faulty_in_memory("late=first:1:200ms");
    let mut client = Client::ready_in_memory(&network).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51), NetworkMessage::Ping(2)]).await;
    client.expect_pong(1).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 51)));
    client.expect_pong(2).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
}

#[tokio::test(start_paused = true)]
async fn a_duplicated_answer_comes_twice_and_counts_once() {
    let network = start_faulty_in_memory("duplicate=first:1");
    let mut client = Client::ready_in_memory(&network).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    client.expect_pong(1).await;
    assert_eq!((network.stats()[0].answered.total(), network.stats()[0].in_flight), (1, 0));

    let network = start_faulty_in_memory("duplicate=first:1:50ms");
    let mut client = Client::ready_in_memory(&network).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    client.expect_pong(1).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 51)));
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
}

#[tokio::test(start_paused = true)]
async fn a_reordered_answer_comes_with_its_pong_behind_the_next_answer() {
    let network = start_faulty_in_memory("reorder=first:1");
    let mut client = Client::ready_in_memory(&network).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51), NetworkMessage::Ping(2)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 51)));
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    client.expect_pong(1).await;
    client.expect_pong(2).await;
    assert_eq!((network.stats()[0].max_in_flight, network.stats()[0].in_flight), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reordered_answer_is_not_held_for_ever() {
    let network = start_faulty_in_memory("reorder=1");
    let mut client = Client::ready_in_memory(&network).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    client.expect_pong(1).await;
    // A request that is not answered frees it too.
    let network = start_faulty_in_memory("reorder=first:1,disconnect=every:2");
    let mut client = Client::ready_in_memory(&network).await;
    client.send_all(&[diff(0, 50), NetworkMessage::Ping(1), diff(0, 51)]).await;
    assert_eq!(client.receive_message().await, honest(&diff(0, 50)));
    client.expect_pong(1).await;
    client.expect_end().await;
    assert_eq!(network.stats()[0].in_flight, 0);
}

#[tokio::test]
async fn equal_seeds_go_wrong_in_the_same_places() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let network = start_faulty("drop=0.5").await;
        let mut client = Client::ready(network.addresses()[0]).await;
        let mut answered = Vec::new();
        for nonce in 0..20 {
            client.send_all(&[diff(0, 50), NetworkMessage::Ping(nonce)]).await;
            let first = client.receive_message().await;
            answered.push(first != NetworkMessage::Pong(nonce));
            if first != NetworkMessage::Pong(nonce) {
                client.expect_pong(nonce).await;
            }
        }
        runs.push(answered);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&true) && runs[0].contains(&false));
}
