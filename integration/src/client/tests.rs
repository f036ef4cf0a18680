use std::sync::LazyLock;

use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{Network, ProTxHash, QuorumHash};
use spv_masternodes::verification::BlsScheme;
use spv_masternodes::{BlockRef, CheckedDiff};
use spv_simnet::{GeneratedSpec, World};

use super::*;
use crate::chain::HeaderChain;
use crate::config::ClientSettings;
use crate::plan::sessions_between;
use crate::store::{Finding, ListRow, ProvenList, QuorumRow, StoreError};

pub(super) static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| world(2, 1));

fn world(cycles: u32, seed: u64) -> Arc<World> {
    Arc::new(World::generate(&GeneratedSpec { masternodes: 8, cycles, seed, ..GeneratedSpec::default() }))
}

fn diff(world: &Arc<World>, height: u32) -> MnListDiff {
    let [base_block_hash, block_hash] = [0, height].map(|height| world.block_hash(height).unwrap());
    world.active_chain().mn_list_diff(&GetMnListDiff { base_block_hash, block_hash }).unwrap()
}

fn row(world: &Arc<World>, height: u32) -> ListRow {
    let hash = world.block_hash(height).unwrap();
    let block = BlockRef { hash, header: world.header(height).unwrap(), height };
    let checked = CheckedDiff::check(diff(world, height), block).unwrap();
    ProvenList::genesis(world.params().genesis_hash).advance(&checked).unwrap().1
}

fn chain(world: &World, tip: u32) -> HeaderChain {
    let mut chain = HeaderChain::starting_at_or_below(world.params(), 0);
    let headers = (1..=tip).map(|height| (*world.header(height).unwrap(), world.block_hash(height).unwrap()));
    let (headers, hashes): (Vec<_>, Vec<_>) = headers.unzip();
    chain.extend(&headers, &hashes, u32::MAX).unwrap();
    chain
}

fn with_store(store: Store, settings: ClientSettings) -> Client {
    let config = Config { client: settings, ..Config::default() };
    Client::new(WORLD.params().clone(), config, Arc::new(store)).unwrap()
}

/// A client with lists at some heights.
pub(super) fn filled() -> Client {
    let store = Store::in_memory(&Network::Regtest).unwrap();
    store.save_chain(&chain(&WORLD, WORLD.tip()), None).unwrap();
    store.save_answers(&[100, 150, 180, 200].map(|height| row(&WORLD, height)), &[], None).unwrap();
    with_store(store, ClientSettings::default())
}

#[tokio::test]
async fn a_list_is_found_by_its_height_or_the_next_one_below() {
    let client = filled();
    assert_eq!(client.stored_heights().await.unwrap(), [100, 150, 180, 200]);
    assert_eq!(client.tip().await.unwrap().unwrap().0, 200, "headers above are not proven");
    for (at, height) in [
        (At::Newest, 200),
        (At::default(), 200),
        (At::AtOrBelow(u32::MAX), 200),
        (At::AtOrBelow(199), 180),
        (At::AtOrBelow(180), 180),
        (At::from(150), 150),
    ] {
        let state = client.state(at).await.unwrap();
        assert_eq!((state.height(), state.block_hash()), (height, WORLD.block_hash(height).unwrap()));
        assert_eq!(state.masternodes().len(), diff(&WORLD, height).new_masternodes.len());
    }
}

#[tokio::test]
async fn a_list_that_is_not_there_is_explained() {
    let client = filled();
    let error = async |at: At| client.state(at).await.unwrap_err();
    for below in [At::Height(99), At::AtOrBelow(99)] {
        assert!(matches!(error(below).await, LookupError::BelowStart { height: 99, start: 100 }));
    }
    for (height, expected) in [(151, 150), (165, 150), (166, 180), (199, 200)] {
        match error(At::Height(height)).await {
            LookupError::NotStored { nearest, .. } => assert_eq!(nearest, expected, "height {height}"),
            other => panic!("{other}"),
        }
    }
    let above = error(At::Height(201)).await;
    assert!(matches!(above, LookupError::AboveTip { height: 201, tip: 200 }));

    let empty = with_store(Store::in_memory(&Network::Regtest).unwrap(), ClientSettings::default());
    for at in [At::Newest, At::AtOrBelow(7), At::Height(7)] {
        assert!(matches!(empty.state(at).await.unwrap_err(), LookupError::Empty));
    }
    assert_eq!(empty.tip().await.unwrap(), None);
}

#[tokio::test]
async fn masternodes_and_quorums_are_those_of_the_list() {
    let client = filled();
    let state = client.state(At::Newest).await.unwrap();
    for entry in state.masternodes().iter() {
        let found = client.masternode(entry.pro_reg_tx_hash, At::Newest).await.unwrap();
        assert_eq!((&found.entry, found.is_evo), (entry, entry.is_evo()));
        assert_eq!((found.height, found.block_hash), (200, state.block_hash()));
    }
    let nobody = ProTxHash::from_byte_array([9; 32]);
    let error = client.masternode(nobody, 150).await.unwrap_err();
    assert!(
        matches!(error, LookupError::UnknownMasternode { pro_tx_hash, height: 150 } if pro_tx_hash == nobody)
    );

    let quorums = client.quorums(At::Newest).await.unwrap();
    assert!(
        quorums.iter().map(|quorum| &quorum.entry).eq(state.quorums().iter().map(|quorum| &quorum.entry))
    );
    for quorum in quorums {
        let found =
            client.quorum(quorum.entry.llmq_type, quorum.entry.quorum_hash, At::Newest).await.unwrap();
        assert_eq!(found, quorum);
        assert_eq!(WORLD.block_hash(found.base_height.unwrap()), Some(found.entry.quorum_hash.into()));
    }
    let hash = QuorumHash::from_byte_array([9; 32]);
    let error = client.quorum(LLMQType(100), hash, At::Newest).await.unwrap_err();
    assert!(matches!(error, LookupError::UnknownQuorum { height: 200, .. }));
    let error = client.quorum(LLMQType(5), hash, At::Newest).await.unwrap_err();
    assert!(matches!(error, LookupError::UnknownType(LLMQType(5))));
}

#[tokio::test]
async fn only_a_verified_quorum_signs() {
    let client = filled();
    let quorum = client.quorums(At::Newest).await.unwrap().remove(0);
    assert_eq!((quorum.finding, quorum.proof()), (None, QuorumProof::Active));
    let base_height = quorum.base_height.unwrap();
    let members = vec![ProTxHash::from_byte_array([1; 32])];
    for (finding, proof) in [
        (Finding::Verified, QuorumProof::Verified),
        (Finding::VerifiedBySigners, QuorumProof::VerifiedBySigners),
        (Finding::SignedByQuorum, QuorumProof::SignedByQuorum),
        (Finding::MissingList, QuorumProof::Active),
        (Finding::MissingSnapshot, QuorumProof::Active),
        (Finding::WrongMembers, QuorumProof::Active),
        (Finding::WrongCommitment, QuorumProof::Active),
        (Finding::WrongSignature, QuorumProof::Active),
    ] {
        let members_of_row = if proof.is_usable() { members.clone() } else { Vec::new() };
        let row = QuorumRow::made_up(&quorum.entry, base_height, finding, members_of_row);
        client.store().save_quorums(&[row]).unwrap();
        let found = client.quorum(quorum.entry.llmq_type, quorum.entry.quorum_hash, 200).await.unwrap();
        assert_eq!((found.finding, found.proof()), (Some(finding), proof));
        match Signer::new(found, BlsScheme::Basic) {
            Ok(signer) => {
                assert!(proof.is_usable(), "{finding:?}");
                assert_eq!(signer.members(), members);
            }
            Err(LookupError::QuorumUnverified { finding: why, .. }) => {
                assert_eq!((why, proof.is_usable()), (Some(finding), false));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// What stands at one height before a reorganisation is not found there after it, cached or not.
#[tokio::test]
async fn a_list_whose_block_left_the_chain_is_gone() {
    let client = filled();
    let before = client.state(100).await.unwrap();
    let other = world(1, 9);
    client.store().save_chain(&chain(&other, other.tip()), Some(0)).unwrap();
    assert!(matches!(client.state(100).await.unwrap_err(), LookupError::Empty));
    client.store().save_answers(&[row(&other, 100)], &[], None).unwrap();
    let after = client.state(100).await.unwrap();
    assert_ne!(before.block_hash(), after.block_hash());
    assert_eq!(after.block_hash(), other.block_hash(100).unwrap());
    // Nobody who still has the old block's hash gets the other block's list for it.
    assert!(
        client.shared.lists.get(client.place, 200, WORLD.block_hash(200).unwrap()).await.unwrap().is_none()
    );
}

/// The blocks of another branch do not tell what was mined below a list of the one that was left.
#[tokio::test]
async fn a_reorganisation_between_two_reads_leaves_no_wrong_certainty() {
    let client = filled();
    let state = client.state(200).await.unwrap();
    let other = world(2, 9);
    client.store().save_chain(&chain(&other, other.tip()), Some(0)).unwrap();
    let mut asked = 0;
    for llmq in client.params().llmqs.iter().filter(|llmq| !llmq.rotated) {
        for height in 150..200 {
            if sessions_between(llmq, height, 200).next().is_some() {
                assert!(!client.is_unchanged(llmq, &state, height, None).await.unwrap(), "{height}");
                asked += 1;
            }
        }
    }
    assert!(asked > 0);
}

#[tokio::test]
async fn tips_are_watched_from_the_one_that_is_there_on() {
    let client = filled();
    let mut tips = client.tips().await.unwrap();
    assert!(tips.has_changed().unwrap(), "what is there already counts");
    assert_eq!(*tips.borrow_and_update(), Some((200, WORLD.block_hash(200).unwrap())));
    assert_eq!(client.wait_for_height(150).await.unwrap().0, 200);

    let mut waiting = Box::pin(client.wait_for_height(210));
    assert!(futures::poll!(&mut waiting).is_pending());
    client.store().save_answers(&[row(&WORLD, 205)], &[], None).unwrap();
    assert!(tips.has_changed().unwrap());
    assert!(futures::poll!(&mut waiting).is_pending(), "height 205 is not enough");
    client.store().save_answers(&[row(&WORLD, 160)], &[], None).unwrap();
    client.store().save_answers(&[row(&WORLD, 212)], &[], None).unwrap();
    assert_eq!(waiting.await.unwrap(), (212, WORLD.block_hash(212).unwrap()));
    client.state(210).await.unwrap_err();

    // A branch that takes the place of this one has no list yet.
    let other = world(1, 9);
    client.store().save_chain(&chain(&other, other.tip()), Some(0)).unwrap();
    assert_eq!(*tips.borrow_and_update(), None);
    let empty = with_store(Store::in_memory(&Network::Regtest).unwrap(), ClientSettings::default());
    assert!(!empty.tips().await.unwrap().has_changed().unwrap(), "there is nothing to tell");
}

/// A flipped bit in the key of an index makes a block look unknown; the checked quorum remembers where it was.
#[tokio::test]
async fn a_checked_quorum_whose_base_block_is_not_where_it_was_is_damage() {
    let client = filled();
    let quorum = client.quorums(200).await.unwrap().remove(0);
    let elsewhere = quorum.base_height.unwrap() + 1;
    let row = QuorumRow::made_up(&quorum.entry, elsewhere, Finding::Verified, Vec::new());
    client.store().save_quorums(&[row]).unwrap();
    let error = client.quorums(200).await.unwrap_err();
    let LookupError::Store(error) = error else { panic!("{error}") };
    assert!(matches!(*error, StoreError::Damaged { what: "height of a block", .. }), "{error}");
}

/// An inline read needs no thread of the runtime's: it is done at the first poll while the only blocking thread is busy.
#[test]
fn an_inline_handle_reads_where_it_is_polled() {
    use futures::FutureExt;

    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (release, busy) = std::sync::mpsc::channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || busy.recv());
        let client = filled();
        let mut waiting = Box::pin(client.state(At::Newest));
        assert!(futures::poll!(&mut waiting).is_pending(), "a usual read waits for a blocking thread");
        let inline = client.inline();
        let state = inline.state(At::Newest).now_or_never().unwrap().unwrap();
        let quorums = inline.quorums(200).now_or_never().unwrap().unwrap();

        release.send(()).unwrap();
        occupied.await.unwrap().unwrap();
        assert_eq!(state, waiting.await.unwrap());
        assert_eq!(quorums, client.quorums(200).await.unwrap());
    });
}

/// A compile-time check: applications run a client with `tokio::spawn`.
#[test]
fn what_a_client_returns_can_be_spawned() {
    fn sendable(_: impl Send) {}
    let client = filled();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    sendable(client.sync(&progress, &cancel));
    sendable(client.follow(&progress, |_: &Step| {}, &cancel));
    sendable(client.state(At::Newest));
    sendable(client.tips());
}
