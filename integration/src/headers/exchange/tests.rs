use dashcore::consensus::serialize;
use dashcore::network::framing::Frame;
use dashcore::network::message::command;
use dashcore::network::message_blockdata::HeadersMessage;
use dashcore::network::message_headers2::{Headers2Message, MAX_HEADERS2};

use super::*;
use crate::fleet::Scene;

#[tokio::test(start_paused = true)]
async fn headers_earn_something_when_they_add_work_and_nothing_when_they_are_known() {
    let scene = Scene::with("", |_| {}).await;
    let exchange = HeaderExchange::new(scene.peers.clone(), Verification::Inline);
    let headers = |heights: std::ops::RangeInclusive<u32>| {
        let headers = heights.filter_map(|height| scene.world.header(height).copied()).collect();
        let answered = AnsweredHeaders::plain(&serialize(&HeadersMessage(headers))).unwrap();
        Batch { peer: scene.peer, answered, permit: None }
    };
    let start = Arc::new(HeaderChain::starting_at_or_below(scene.world.params(), 0));
    let Judged::New(chain) = exchange.judge(&[start], headers(1..=5)).await else { panic!("new") };
    assert_eq!((chain.tip_height(), scene.accepted(RequestKind::GetHeaders)), (5, 1));
    for (known, tip) in [(headers(1..=5), 5), (headers(2..=4), 4)] {
        let judged = exchange.judge(std::slice::from_ref(&chain), known).await;
        let Judged::Known(known) = judged else { panic!("{judged:?}") };
        assert_eq!(known.tip_height(), tip);
    }
    assert_eq!(scene.accepted(RequestKind::GetHeaders), 1, "what is known earns nothing");
    let Judged::New(longer) = exchange.judge(&[chain], headers(3..=9)).await else { panic!("new") };
    assert_eq!((longer.tip_height(), scene.accepted(RequestKind::GetHeaders)), (9, 2));
    let unconnected = exchange.judge(&[longer], headers(20..=30)).await;
    assert!(matches!(unconnected, Judged::Unconnected), "{unconnected:?}");
}

#[tokio::test(start_paused = true)]
async fn compressed_headers_come_to_the_same_as_plain_ones() {
    let scene = Scene::with("", |_| {}).await;
    let exchange = HeaderExchange::new(scene.peers.clone(), Verification::Inline);
    let start = Arc::new(HeaderChain::starting_at_or_below(scene.world.params(), 0));
    let headers = |heights: std::ops::RangeInclusive<u32>| -> Vec<Header> {
        heights.filter_map(|height| scene.world.header(height).copied()).collect()
    };
    let in_both_forms = |headers: &[Header]| {
        [
            (command::HEADERS, serialize(&HeadersMessage(headers.to_vec()))),
            (command::HEADERS2, Headers2Message::encode_chain(headers)),
        ]
        .map(|(command, payload)| {
            let frame = Frame { command, payload: payload.into(), checksum_valid: true };
            let answered = Answer::of(frame, MAX_HEADERS2).unwrap().headers().unwrap();
            Batch { peer: scene.peer, answered, permit: None }
        })
    };
    let [known, _] = in_both_forms(&headers(1..=9));
    let Judged::New(known) = exchange.judge(&[start], known).await else { panic!("new") };
    let mut forged = headers(6..=12);
    forged[4].merkle_root = forged[0].merkle_root;
    for (sent, expected) in [
        (headers(1..=9), "known to 9"),
        (headers(2..=4), "known to 4"),
        (headers(6..=12), "new to 12"),
        (headers(10..=12), "new to 12"),
        (headers(11..=12), "unconnected"),
        (forged, "invalid"),
        (vec![], "empty"),
    ] {
        for batch in in_both_forms(&sent) {
            let judged = match exchange.judge(std::slice::from_ref(&known), batch).await {
                Judged::Known(chain) => format!("known to {}", chain.tip_height()),
                Judged::New(chain) => {
                    assert_eq!(Some(chain.tip_hash()), scene.world.block_hash(chain.tip_height()));
                    format!("new to {}", chain.tip_height())
                }
                Judged::Unconnected => "unconnected".to_owned(),
                Judged::Invalid => "invalid".to_owned(),
                Judged::Empty => "empty".to_owned(),
                Judged::Future => "future".to_owned(),
                Judged::Unseen => "unseen".to_owned(),
            };
            assert_eq!(judged, expected);
        }
    }
}
