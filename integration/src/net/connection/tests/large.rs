use bytes::BytesMut;
use dashcore::network::framing::{Command, FrameDecoder};
use dashcore::network::message::command;
use dashcore::{ChainParams, Network};
use futures::future::join_all;

use super::node::{Node, answer, request};
use crate::net::connection::begun::Begun;
use crate::net::room::{FREE, Room};

const ANSWER: usize = 4 * FREE;

#[tokio::test(start_paused = true)]
async fn large_answers_of_many_nodes_wait_for_room_and_all_come() {
    const TOTAL: usize = 3 * FREE;
    let room = Room::new(TOTAL);
    let answers = (0..8).map(|_| async {
        let (connection, mut node, _) = Node::connected(&room).await;
        let serve = async {
            assert_eq!(node.receive().await.command, command::GETMNLISTD);
            let bytes = node.framed(command::MNLISTDIFF, &answer(ANSWER));
            let mut most = 0;
            for part in bytes.chunks(1_024) {
                assert!(node.send_bytes(part).await);
                most = most.max(room.taken());
            }
            assert!(node.answer_ping().await);
            most
        };
        let (answer, most) = tokio::join!(connection.request(request()), serve);
        assert_eq!(answer.unwrap().payload.len(), ANSWER);
        most
    });
    let most = join_all(answers).await.into_iter().max().unwrap();
    assert!((TOTAL / 2..=TOTAL + ANSWER).contains(&most), "{most}");
    assert_eq!(room.taken(), 0);
}

#[test]
fn what_nobody_reads_is_not_kept_and_memory_grows_with_what_comes() {
    let params = ChainParams::new(Network::Regtest);
    let mut bytes = Vec::new();
    dashcore::network::framing::encode_frame(params.magic, Command::new("block"), &[5; 200_000], &mut bytes);
    let decoder = FrameDecoder::new(params.magic, usize::MAX);
    let header = decoder.header(&bytes).unwrap().unwrap();
    for is_wanted in [false, true] {
        let mut begun = Begun::new(header, is_wanted, false);
        assert_eq!(begun.payload.capacity(), 0, "only the header has come");
        let mut buffer = BytesMut::from(&bytes[24..]);
        let mut steps = Vec::new();
        while begun.left() > 0 {
            if let Some(capacity) = begun.next_capacity() {
                begun.grow_to(capacity);
                steps.push(capacity);
            }
            begun.take_from(&mut buffer);
        }
        assert_eq!(steps, if is_wanted { vec![65_536, 131_072, 200_000] } else { vec![] });
        assert_eq!(begun.finish().map(|frame| frame.payload.len()), is_wanted.then_some(200_000));
    }
}
