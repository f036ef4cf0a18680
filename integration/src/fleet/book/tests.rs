use std::sync::Arc;
use std::time::Duration;

use spv_recovery::{Attempt, Config, FailureKind};

use super::*;
use crate::chain::HeaderChain;
use crate::fleet::heard_chain::Holders;
use crate::fleet::peer_report::OtherChain;

const SECOND: Duration = Duration::from_secs(1);

/// Refusals that the book of the tests lets a peer be made to.
const LIMIT: u32 = 3;

struct Scene {
    book: PeerBook,
    now: Instant,
}

impl Scene {
    fn new(peers: &[SocketAddr]) -> Self {
        let config = Config { ledger_limit: LIMIT, ..Config::default() };
        let recovery = Recovering::new(config, 1).unwrap();
        Self { book: PeerBook::new(peers, &[], recovery), now: tokio::time::Instant::now().into_std() }
    }

    fn standing(&self, peer: SocketAddr) -> Standing {
        self.book.standing(&peer, self.now)
    }

    fn connect(&self, peer: SocketAddr) {
        self.book.on_greeting(peer, 0, 0, self.now);
        self.book.on_proven(peer, self.now);
    }

    /// Requests to the peer time out until it is left alone.
    fn wear_out(&mut self, peer: SocketAddr) {
        while self.standing(peer) == Standing::Ready {
            self.now += SECOND;
            let mut history = History::new();
            history.record(Attempt::new(peer, &FailureKind::Timeout, self.now));
            let _decision = self.book.on_failure(&history, &block(1), &BTreeSet::new(), None, self.now);
        }
    }

    fn serves(&self, peer: SocketAddr, avoid: &[SocketAddr]) -> bool {
        let choice = self.book.list_peers(block(1), &avoid.iter().copied().collect(), self.now);
        self.book.serves_lists(&peer, &choice, self.now)
    }
}

/// A made-up block.
fn block(height: u32) -> BlockId {
    BlockId { height, hash: dashcore::BlockHash::from_byte_array([1; 32]) }
}

fn peers() -> [SocketAddr; 3] {
    ["1.1.1.1:1", "2.2.2.2:2", "3.3.3.3:3"].map(|address| address.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_peer_goes_through_all_its_states_and_may_be_asked_in_one_of_them() {
    let [peer, other, third] = peers();
    let mut scene = Scene::new(&[peer, other, third]);
    scene.connect(other);
    scene.connect(third);
    assert_eq!(scene.standing(peer), Standing::Absent { wait: None });
    scene.book.on_unreachable(peer, "refused".into(), Some(scene.now + SECOND), scene.now);
    assert_eq!(scene.standing(peer), Standing::Absent { wait: Some(SECOND) });
    assert!(!scene.book.serves_headers(&peer, scene.now) && !scene.serves(peer, &[]));

    scene.book.on_greeting(peer, 0, 0, scene.now);
    assert_eq!(scene.standing(peer), Standing::Unproven);
    assert!(!scene.serves(peer, &[]), "nothing but headers");
    scene.book.on_proven(peer, scene.now);
    assert_eq!(scene.standing(peer), Standing::Ready);
    assert!(scene.serves(peer, &[]) && scene.book.serves_headers(&peer, scene.now));

    scene.wear_out(peer);
    let Standing::Resting { wait } = scene.standing(peer) else { panic!("{}", scene.standing(peer)) };
    assert!(!scene.serves(peer, &[]) && scene.book.has_list_slots(&peer, scene.now));
    scene.now += wait;
    assert_eq!(scene.standing(peer), Standing::Ready, "one request may show whether it does better");
    scene.book.on_sent(&peer, scene.now);
    assert_eq!(scene.standing(peer), Standing::Probing);
    assert!(!scene.serves(peer, &[]), "one, and no second");
    scene.book.on_ended(&peer, scene.now);
    assert_eq!(scene.standing(peer), Standing::Ready, "it ended, and nothing is known yet");
    scene.book.on_useful_headers(peer, scene.now);

    for _ in 0..LIMIT {
        assert_eq!(scene.standing(peer), Standing::Ready);
        scene.book.on_refusal(peer, scene.now);
    }
    assert_eq!(scene.standing(peer), Standing::Spent);
    assert!(!scene.serves(peer, &[]) && !scene.book.has_list_slots(&peer, scene.now));
    scene.book.on_left(peer, None, None, scene.now);
    assert_eq!(scene.standing(peer), Standing::Absent { wait: None });
    scene.connect(peer);
    assert_eq!(scene.standing(peer), Standing::Ready, "a new connection counts from zero");
}

#[tokio::test(start_paused = true)]
async fn peers_that_rest_or_are_avoided_are_asked_only_where_there_are_no_others() {
    let [peer, other, _] = peers();
    let mut scene = Scene::new(&[peer, other]);
    scene.connect(peer);
    assert!(scene.serves(peer, &[peer]), "the only one");
    scene.connect(other);
    assert!(!scene.serves(peer, &[peer]) && scene.serves(other, &[peer]));
    scene.wear_out(other);
    assert!(!scene.serves(other, &[]) && scene.serves(peer, &[]));
    // What is to be avoided is avoided even for one that rests.
    assert!(!scene.serves(peer, &[peer]) && scene.serves(other, &[peer]));
    // With both to be avoided, the one that does not rest.
    assert!(scene.serves(peer, &[peer, other]) && !scene.serves(other, &[peer, other]));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_greets_after_the_choice_is_not_asked_for_lists_before_it_has_answered_a_ping() {
    let [peer, newcomer, _] = peers();
    let scene = Scene::new(&[peer]);
    scene.connect(peer);
    let choice = scene.book.list_peers(block(1), &BTreeSet::new(), scene.now);
    scene.book.on_greeting(newcomer, 0, 0, scene.now);
    assert!(!scene.book.serves_lists(&newcomer, &choice, scene.now));
    assert!(!scene.book.serves_headers(&newcomer, scene.now), "there is one that has answered a ping");
    scene.book.on_left(peer, None, None, scene.now);
    assert!(scene.book.serves_headers(&newcomer, scene.now), "there is nobody else");
    scene.book.on_proven(newcomer, scene.now);
    assert!(scene.book.serves_lists(&newcomer, &choice, scene.now));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lacks_a_block_is_not_asked_about_it() {
    let [behind, ahead, unheard] = peers();
    let scene = Scene::new(&[behind, ahead, unheard]);
    let params = dashcore::ChainParams::new(dashcore::Network::Regtest);
    let mut chain = HeaderChain::starting_at_or_below(&params, 0);
    let mut extend = |count: u32| {
        for _ in 0..count {
            let header = dashcore::Header { prev_blockhash: chain.tip_hash(), ..params.genesis };
            chain.push_unmined(header, header.block_hash());
        }
        Arc::new(chain.clone())
    };
    for (peer, chain) in [(behind, extend(5)), (ahead, extend(5))] {
        scene.connect(peer);
        let heard = HeardChain { chain, is_complete: true };
        assert!(scene.book.on_heard(peer, heard.clone(), true, scene.now));
        assert!(!scene.book.on_heard(peer, heard, false, scene.now), "it is known");
    }
    scene.connect(unheard);
    let hash = |height| chain.hash(height).unwrap();
    for (block, expected) in [
        (BlockId { height: 5, hash: hash(5) }, [true, true, true]),
        (BlockId { height: 9, hash: hash(9) }, [false, true, true]),
        (block(9), [false, false, true]),
        (block(11), [false, false, true]),
    ] {
        let choice = scene.book.list_peers(block, &BTreeSet::new(), scene.now);
        let serves = [behind, ahead, unheard].map(|peer| scene.book.serves_lists(&peer, &choice, scene.now));
        assert_eq!(serves, expected, "{block:?}");
        let Holders { ready, others, .. } = scene.book.holders(&block, scene.now);
        assert_eq!(
            (ready.len(), others.len()),
            (expected.iter().filter(|may| **may).count(), 3 - ready.len())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_are_ahead_stand_against_a_peer_only_where_others_have_a_tip_that_is_not() {
    let [liar, honest] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let scene = Scene::new(&[liar, honest]);
    let ahead = |peer| scene.book.reports()[&peer].other_chain;
    [liar, honest].into_iter().for_each(|peer| scene.connect(peer));
    scene.book.on_future_headers(liar);
    scene.book.compare_chains(|_, _| None);
    assert_eq!((ahead(liar), scene.book.is_ahead(&liar), scene.book.any_ahead()), (None, true, true));

    let params = dashcore::ChainParams::new(dashcore::Network::Regtest);
    let chain = Arc::new(HeaderChain::starting_at_or_below(&params, 0));
    let heard = HeardChain { chain, is_complete: true };
    scene.book.on_heard(honest, heard.clone(), true, scene.now);
    scene.book.compare_chains(|_, _| None);
    assert_eq!((ahead(liar), ahead(honest)), (Some(OtherChain::Ahead), None));

    scene.book.on_heard(liar, heard, true, scene.now);
    scene.book.compare_chains(|_, _| None);
    assert_eq!((ahead(liar), scene.book.any_ahead()), (None, false));
}

#[tokio::test(start_paused = true)]
async fn silence_about_a_branch_that_others_have_not_shown_is_no_sign_of_a_limit() {
    let [branch, honest] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let chain = |mark: u8| {
        let params = dashcore::ChainParams::new(dashcore::Network::Regtest);
        let mut chain = HeaderChain::starting_at_or_below(&params, 0);
        for height in 1..=6 {
            let merkle_root = dashcore::hash_types::TxMerkleNode::from_byte_array([mark * (height / 4); 32]);
            let header = dashcore::Header { prev_blockhash: chain.tip_hash(), merkle_root, ..params.genesis };
            chain.push_unmined(header, header.block_hash());
        }
        Arc::new(chain)
    };
    let (branch_chain, honest_chain) = (chain(1), chain(2));
    for (height, is_shared) in [(3, true), (4, false), (6, false)] {
        assert_eq!(branch_chain.diverges_by(&honest_chain, height), !is_shared, "{height}");
        let scene = Scene::new(&[branch, honest]);
        for (peer, chain) in [(branch, &branch_chain), (honest, &honest_chain)] {
            scene.connect(peer);
            let heard = HeardChain { chain: chain.clone(), is_complete: true };
            scene.book.on_heard(peer, heard, true, scene.now);
        }
        scene.book.on_list(branch, scene.now);
        let block = branch_chain.hash(height).unwrap();
        (0..3).for_each(|_| scene.book.on_list_silence(branch, &block, scene.now));
        assert_eq!(scene.book.take_turn(&branch, scene.now).is_err(), is_shared, "{height}");
    }
}
