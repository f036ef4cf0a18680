use std::time::Duration;

use dashcore::network::message::command;
use tokio::time::Instant;

use super::node::{Node, answer, ends_within, request};
use crate::config::Settings;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::room::{FREE, Room};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_read_loses_its_place() {
    let (connection, mut node, _) = Node::connected(&Room::default()).await;
    let start = Instant::now();
    // More pongs than find a place on the way.
    let pings = async {
        for _ in 0..400 {
            node.send(command::PING, &[1; 8]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (reason, ()) = tokio::join!(connection.closed(), pings);
    assert_eq!(reason, DisconnectReason::Unread);
    let took = start.elapsed();
    let limit = Settings::default().ping_timeout;
    assert!((limit..limit + SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_sends_and_answers_no_ping_loses_its_place() {
    let (connection, mut node, _) = Node::connected(&Room::default()).await;
    let start = Instant::now();
    let talk = async {
        while node.send(command::PING, &[1; 8]).await {
            while let Ok(frame) = tokio::time::timeout(SECOND, node.receive()).await {
                assert!(matches!(frame.command, command::PING | command::PONG | command::SENDHEADERS));
            }
        }
    };
    let (reason, ()) = tokio::join!(connection.closed(), talk);
    assert_eq!(reason, DisconnectReason::Silent);
    let Settings { ping_timeout, ping_interval, .. } = Settings::default();
    assert!(start.elapsed() <= ping_interval + ping_timeout + SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_falls_silent_while_it_is_asked_loses_its_place_after_the_timeout() {
    let (connection, _node, _) = Node::connected(&Room::default()).await;
    let start = Instant::now();
    let (answer, reason) = tokio::join!(connection.request(request()), connection.closed());
    assert_eq!(reason, DisconnectReason::Silent);
    assert!(answer.is_err());
    let (took, limit) = (start.elapsed(), Settings::default().ping_timeout);
    assert!((limit..limit + SECOND).contains(&took), "{took:?}");
}

/// Sends an answer of that length, so many bytes of it per second.
async fn answered_by(per_second: usize, length: usize) -> (Result<usize, DisconnectReason>, Duration) {
    let (connection, mut node, _) = Node::connected(&Room::default()).await;
    let start = Instant::now();
    let trickle = async {
        assert_eq!(node.receive().await.command, command::GETMNLISTD);
        let bytes = node.framed(command::MNLISTDIFF, &answer(length));
        for part in bytes.chunks(per_second) {
            tokio::time::sleep(SECOND).await;
            if !node.send_bytes(part).await {
                return;
            }
        }
        // The pings that came meanwhile, and all that follow.
        while node.answer_ping().await {}
    };
    let ended = async {
        let answered = connection.request(request()).await;
        match answered {
            Ok(answer) => {
                assert_eq!(ends_within(&connection, HOUR / 60).await, None, "the fence came in time");
                Ok(answer.payload.len())
            }
            Err(_) => Err(connection.closed().await),
        }
    };
    let ended = tokio::select! {
        biased;
        ended = ended => ended,
        () = trickle => Err(connection.closed().await),
    };
    (ended, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_trickle_loses_its_place_and_a_slow_line_does_not() {
    let (ended, took) = answered_by(1, 100_000).await;
    assert_eq!(ended, Err(DisconnectReason::Silent), "not even a header came");
    assert!(took < Settings::default().ping_timeout + 2 * SECOND, "{took:?}");
    assert_eq!(answered_by(500, 100_000).await.0, Err(DisconnectReason::Slow));
    assert_eq!(answered_by(2_000, 100_000).await.0, Ok(100_000));
}

#[tokio::test(start_paused = true)]
async fn half_a_header_is_a_message_that_has_begun() {
    let (connection, mut node, _) = Node::connected(&Room::default()).await;
    let header = node.header(command::HEADERS, 81);
    node.send_bytes(&header[..10]).await;
    let limit = Settings::default().ping_timeout;
    assert_eq!(ends_within(&connection, limit + SECOND).await, Some(DisconnectReason::Slow));
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_keeps_its_room_only_while_somebody_may_wait_for_it() {
    let (ended, took) = answered_by(4_096, 3 * FREE).await;
    assert_eq!(ended, Err(DisconnectReason::Slow));
    // A mebibyte needs no room.
    let limit = Duration::from_secs(256) + Settings::default().correlation.expire_after;
    assert!((limit - SECOND..limit + 2 * SECOND).contains(&took), "{took:?}");
}
