//! In which form headers are asked for.

use std::time::Duration;

use dashcore::consensus::{deserialize, serialize};
use dashcore::network::framing::{Command, FrameError};
use dashcore::network::message::command;
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage};
use dashcore::network::message_headers2::Headers2Message;
use dashcore::network::message_network::{PROTOCOL_VERSION, service_flags};
use dashcore::{BlockHash, ChainParams, Header, Network};
use futures::FutureExt;

use super::node::{Node, ends_within};
use crate::net::announcement::{Announcement, News};
use crate::net::connection::Connection;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::request_error::RequestError;
use crate::net::room::Room;
use crate::wire::{Answer, Request};

const SHORTLY: Duration = Duration::from_millis(10);
const OFFERED: u64 = service_flags::HEADERS_COMPRESSED;

fn child() -> Header {
    let genesis = ChainParams::new(Network::Regtest).genesis;
    Header { prev_blockhash: genesis.block_hash(), ..genesis }
}

fn message() -> GetHeadersMessage {
    let locator_hashes = vec![child().prev_blockhash];
    GetHeadersMessage { version: 1, locator_hashes, stop_hash: BlockHash::all_zeros() }
}

/// Asks for headers; the node answers a request of this name with that message.
async fn ask(
    connection: &Connection,
    node: &mut Node,
    asked: Command,
    (answer, payload): (Command, &[u8]),
) -> Result<Answer, RequestError> {
    let serve = async {
        let request = node.receive().await;
        assert_eq!(request.command, asked);
        assert_eq!(deserialize(&request.payload), Ok(message()));
        node.send(answer, payload).await;
        node.answer_ping().await;
    };
    tokio::join!(connection.request(Request::Headers(message())), serve).0
}

#[tokio::test(start_paused = true)]
async fn compressed_headers_are_asked_for_where_they_are_offered() {
    for (services, version, limit) in [(OFFERED, PROTOCOL_VERSION, 8_000), (OFFERED | 1, 70_234, 2_000)] {
        let (connection, mut node, _) = Node::connected_to(services, version, &Room::default()).await;
        let payload = serialize(&Headers2Message(vec![child()]));
        for _ in 0..2 {
            let answer = (command::HEADERS2, &payload[..]);
            let answer = ask(&connection, &mut node, command::GETHEADERS2, answer).await.unwrap();
            assert_eq!((&answer.payload[..], answer.headers2_limit), (&payload[..], Some(limit)));
        }
    }
    let (connection, mut node, _) = Node::connected_to(1, PROTOCOL_VERSION, &Room::default()).await;
    let payload = serialize(&HeadersMessage(vec![child()]));
    let answer = (command::HEADERS, &payload[..]);
    let answer = ask(&connection, &mut node, command::GETHEADERS, answer).await.unwrap();
    assert_eq!((&answer.payload[..], answer.headers2_limit), (&payload[..], None));
}

#[tokio::test(start_paused = true)]
async fn after_an_undecodable_answer_headers_are_asked_for_plainly() {
    let (connection, mut node, _) = Node::connected_to(OFFERED, PROTOCOL_VERSION, &Room::default()).await;
    let mut broken = serialize(&Headers2Message(vec![child()]));
    broken[1] = 0;
    let answer = (command::HEADERS2, &broken[..]);
    let error = ask(&connection, &mut node, command::GETHEADERS2, answer).await.unwrap_err();
    assert_eq!(error, RequestError::Undecodable);
    let plain = serialize(&HeadersMessage(vec![child()]));
    let answer = ask(&connection, &mut node, command::GETHEADERS, (command::HEADERS, &plain)).await.unwrap();
    assert_eq!(answer.payload, plain);
    assert_eq!(ends_within(&connection, SHORTLY).await, None);
}

#[tokio::test(start_paused = true)]
async fn compressed_headers_that_answer_something_else_are_no_reason_to_ask_plainly() {
    let (connection, mut node, _) = Node::connected_to(OFFERED, PROTOCOL_VERSION, &Room::default()).await;
    let grandchild = Header { prev_blockhash: child().block_hash(), ..child() };
    let payload = serialize(&Headers2Message(vec![grandchild]));
    let answer = (command::HEADERS2, &payload[..]);
    let error = ask(&connection, &mut node, command::GETHEADERS2, answer).await.unwrap_err();
    assert!(matches!(error, RequestError::Correlation(_)), "{error:?}");
    let payload = serialize(&Headers2Message(vec![child()]));
    ask(&connection, &mut node, command::GETHEADERS2, (command::HEADERS2, &payload)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_announced_meanwhile_is_no_answer() {
    let (connection, mut node, mut news) =
        Node::connected_to(OFFERED, PROTOCOL_VERSION, &Room::default()).await;
    let announced = serialize(&HeadersMessage(vec![child()]));
    let payload = serialize(&Headers2Message(vec![child()]));
    let serve = async {
        assert_eq!(node.receive().await.command, command::GETHEADERS2);
        node.send(command::HEADERS, &announced).await;
        node.send(command::HEADERS2, &payload).await;
        node.answer_ping().await;
    };
    let (answer, ()) = tokio::join!(connection.request(Request::Headers(message())), serve);
    assert_eq!(answer.unwrap().payload, payload);
    let Some(Some(Announcement { news, .. })) = news.recv().now_or_never() else { panic!("no news") };
    assert_eq!(news, News::Headers(announced.into()));
}

#[tokio::test(start_paused = true)]
async fn compressed_headers_that_nobody_asked_for_end_the_connection_by_their_header() {
    for services in [0, OFFERED] {
        let (connection, mut node, _) =
            Node::connected_to(services, PROTOCOL_VERSION, &Room::default()).await;
        let header = node.header(command::HEADERS2, 100);
        node.send_bytes(&header).await;
        let unasked = DisconnectReason::Unasked(command::HEADERS2);
        assert_eq!(ends_within(&connection, SHORTLY).await, Some(unasked));
    }
}

#[tokio::test(start_paused = true)]
async fn compressed_headers_have_a_limit_that_is_enforced_by_their_header() {
    const LIMIT: u32 = 648_009;
    for (length, ends) in [(LIMIT, false), (LIMIT + 1, true)] {
        let (connection, mut node, _) = Node::connected_to(OFFERED, PROTOCOL_VERSION, &Room::default()).await;
        let asking = tokio::spawn({
            let connection = connection.clone();
            async move { connection.request(Request::Headers(message())).await }
        });
        assert_eq!(node.receive().await.command, command::GETHEADERS2);
        let header = node.header(command::HEADERS2, length);
        node.send_bytes(&header).await;
        let broken = FrameError::Oversized {
            command: command::HEADERS2,
            length: length as usize,
            limit: LIMIT as usize,
        };
        let reason = ends.then_some(DisconnectReason::Framing(broken));
        assert_eq!(ends_within(&connection, SHORTLY).await, reason);
        asking.abort();
    }
}
