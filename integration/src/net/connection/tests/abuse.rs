use std::time::Duration;

use dashcore::network::framing::{Command, FrameError};
use dashcore::network::message::{NetworkMessage, command};
use futures::FutureExt;

use tokio::io::AsyncWriteExt;

use super::node::{Node, answer, ends_within, request};
use crate::net::connection::handling::MAX_FENCED;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::room::Room;
use crate::wire::RequestKind;

const SHORTLY: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn a_limit_is_enforced_by_the_header() {
    for (name, limit) in [(command::HEADERS, 162_009), (command::PONG, 8), (Command::new("tx"), 3 << 20)] {
        let (connection, mut node, _) = Node::connected(&Room::default()).await;
        let header = node.header(name, limit);
        node.send_bytes(&header).await;
        assert_eq!(ends_within(&connection, SHORTLY).await, None, "{name}");
        let (connection, mut node, _) = Node::connected(&Room::default()).await;
        let header = node.header(name, limit + 1);
        node.send_bytes(&header).await;
        let [length, limit] = [limit + 1, limit].map(|bytes| bytes as usize);
        let broken = FrameError::Oversized { command: name, length, limit };
        let reason = ends_within(&connection, SHORTLY).await.unwrap();
        assert!(reason.is_abuse());
        assert_eq!(reason, DisconnectReason::Framing(broken));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_nobody_asked_for_ends_the_connection_by_its_header() {
    for name in [command::QRINFO, command::MNLISTDIFF] {
        let (connection, mut node, _) = Node::connected(&Room::default()).await;
        let header = node.header(name, 100);
        node.send_bytes(&header).await;
        assert_eq!(ends_within(&connection, SHORTLY).await, Some(DisconnectReason::Unasked(name)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_a_kind_that_was_asked_for_has_to_name_what_was() {
    let (connection, mut node, _) = Node::connected(&Room::default()).await;
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(request()).await }
    });
    assert_eq!(node.receive().await.command, command::GETMNLISTD);
    node.send(command::MNLISTDIFF, &answer(200)).await;
    node.answer_ping().await;
    asking.await.unwrap().unwrap();
    let mut other = answer(200);
    other[10] ^= 1;
    node.send(command::MNLISTDIFF, &other).await;
    let unasked = DisconnectReason::Unasked(command::MNLISTDIFF);
    assert_eq!(ends_within(&connection, SHORTLY).await, Some(unasked));
}

#[tokio::test(start_paused = true)]
async fn late_and_repeated_answers_are_harmless() {
    let (connection, mut node, _) = Node::connected(&Room::default()).await;
    assert!(tokio::time::timeout(SHORTLY, connection.request(request())).await.is_err());
    assert_eq!(node.receive().await.command, command::GETMNLISTD);
    for _ in 0..10 {
        node.send(command::MNLISTDIFF, &answer(1 << 20)).await;
    }
    node.answer_ping().await;
    assert_eq!(ends_within(&connection, SHORTLY).await, None);
}

/// Why the connection ends when so many of these come at once.
async fn flooded(count: usize, name: Command, payload: &[u8]) -> Option<DisconnectReason> {
    let (connection, node, _) = Node::connected(&Room::default()).await;
    let message = node.framed(name, payload);
    let (mut read, mut write) = tokio::io::split(node.stream());
    let flood = async {
        for _ in 0..count {
            if write.write_all(&message).await.is_err() {
                break;
            }
        }
    };
    let mut pongs = tokio::io::sink();
    let (reason, (), _) = tokio::join!(
        ends_within(&connection, SHORTLY),
        flood,
        tokio::time::timeout(SHORTLY, tokio::io::copy(&mut read, &mut pongs))
    );
    reason
}

#[tokio::test(start_paused = true)]
async fn floods_end_the_connection() {
    let flood = Some(DisconnectReason::Flood);
    assert_eq!(flooded(600, command::PING, &[1; 8]).await, flood);
    assert_eq!(flooded(600, command::PONG, &[1; 8]).await, flood, "of no ping");
    assert_eq!(flooded(600, Command::new("spork"), &[1; 80]).await, flood);
    assert_eq!(flooded(30, command::INV, &[7]).await, flood, "undecodable");
    assert_eq!(flooded(30, command::HEADERS, &[1; 162_009]).await, flood);
    assert_eq!(flooded(300, command::PING, &[1; 8]).await, None);
    assert_eq!(flooded(10, command::INV, &[7]).await, None, "undecodable, and few");
}

#[tokio::test(start_paused = true)]
async fn honest_announcements_are_far_below_a_flood() {
    let (connection, mut node, mut news) = Node::connected(&Room::default()).await;
    let message = node.framed(command::INV, &inventory(1));
    for _ in 0..3_600 {
        for _ in 0..5 {
            assert!(node.send_bytes(&message).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        news.recv().now_or_never().unwrap().unwrap();
        while let Some(frame) = node.receive().now_or_never() {
            if let Ok(Some(NetworkMessage::Ping(nonce))) =
                NetworkMessage::decode(frame.command, &frame.payload)
            {
                node.send(command::PONG, &nonce.to_le_bytes()).await;
            }
        }
    }
    assert_eq!(ends_within(&connection, SHORTLY).await, None);
}

/// An `inv` of so many blocks.
fn inventory(count: u8) -> Vec<u8> {
    let mut payload = vec![count];
    for byte in 0..count {
        payload.extend(2_u32.to_le_bytes());
        payload.extend([byte; 32]);
    }
    payload
}

#[tokio::test(start_paused = true)]
async fn fences_of_a_node_that_sends_no_pongs_are_bounded() {
    let (connection, _node, _) = Node::connected(&Room::default()).await;
    let shared = &connection.shared;
    for _ in 0..10 * MAX_FENCED {
        let (ticket, _) = shared.correlator.register(request()).unwrap();
        shared.fence_sent(ticket.id(), RequestKind::MnListDiff);
        ticket.withdraw();
    }
    assert_eq!(shared.fenced.lock().len(), MAX_FENCED);
}
