//! Answers of two branches of the chain, at the same heights.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dashcore::consensus::serialize;
use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{GeneratedSpec, World};

use super::apply::{Application, Checked, Ended};
use super::check::check;
use super::{Stages, Verification, Verifier};
use crate::chain::{BlockId, HeaderChain};
use crate::plan::Work;
use crate::store::Store;
use crate::wire::{Answer, RequestKind};

/// The base of what is asked for, and the list that is based on it.
const BASE: u32 = 100;
const NEXT: u32 = 120;

struct Branch {
    world: Arc<World>,
    chain: HeaderChain,
}

/// Two chains that have nothing but genesis in common.
static BRANCHES: LazyLock<[Branch; 2]> = LazyLock::new(|| [1, 2].map(Branch::new));

impl Branch {
    fn new(seed: u64) -> Self {
        let spec =
            GeneratedSpec { masternodes: 8, cycles: 1, seed, signatures: false, ..GeneratedSpec::DEFAULT };
        let world = Arc::new(World::generate(&spec));
        let headers = (1..=world.tip()).map(|at| (*world.header(at).unwrap(), world.block_hash(at).unwrap()));
        let (headers, hashes): (Vec<_>, Vec<_>) = headers.unzip();
        let mut chain = HeaderChain::starting_at_or_below(world.params(), 0);
        chain.extend(&headers, &hashes, u32::MAX).unwrap();
        Self { world, chain }
    }

    fn block(&self, height: u32) -> BlockId {
        BlockId { height, hash: self.chain.hash(height).unwrap() }
    }

    /// What asks for a list of this branch, and the honest answer.
    fn work(&self, base: u32, height: u32) -> (Arc<Work>, Answer) {
        let work = Work::list(self.world.params(), &self.chain, base, height).unwrap();
        let [base_block_hash, block_hash] = [base, height].map(|height| self.block(height).hash);
        let request = GetMnListDiff { base_block_hash, block_hash };
        let payload = Bytes::from(serialize(&self.world.active_chain().mn_list_diff(&request).unwrap()));
        (
            Arc::new(work),
            Answer { kind: RequestKind::MnListDiff, headers2_limit: None, payload, checksum_valid: true },
        )
    }

    fn checked<T>(&self, base: u32, height: u32, tag: T) -> Checked<T> {
        let (work, answer) = self.work(base, height);
        let contents = check(&work, &answer, self.block(0).hash, &Stages::default()).unwrap();
        Checked { work, contents, tag }
    }

    fn store(&self) -> Store {
        let store = Store::in_memory(&self.world.params().network).unwrap();
        store.save_chain(&self.chain, None).unwrap();
        store
    }
}

fn proven<T: Copy>(ended: &[Ended<T>]) -> Vec<(T, usize)> {
    ended.iter().map(|ended| (ended.tag, ended.result.as_ref().unwrap().lists.len())).collect()
}

#[test]
fn an_answer_waits_for_its_base_while_the_other_branch_s_list_is_at_that_height() {
    let [left, right] = &*BRANCHES;
    let mut application = Application::new(left.block(0).hash);
    let mut offer = |checked| application.offer(checked, |_| Ok(None)).unwrap();
    // Whether the other branch's list comes while the answer waits, or is there before it.
    assert!(offer(right.checked(BASE, NEXT, "waits")).is_empty());
    assert_eq!(proven(&offer(left.checked(0, BASE, "other branch"))), [("other branch", 1)]);
    assert!(offer(right.checked(BASE, NEXT + 1, "waits too")).is_empty());
    let ended = offer(right.checked(0, BASE, "base"));
    let mut ended = proven(&ended);
    ended.sort_unstable();
    assert_eq!(ended, [("base", 1), ("waits", 1), ("waits too", 1)]);
    // The other branch's list is there all the while.
    assert_eq!(proven(&offer(left.checked(BASE, NEXT, "other branch"))), [("other branch", 1)]);
}

#[test]
fn a_list_that_is_not_stored_any_more_is_proven_again() {
    let [left, _] = &*BRANCHES;
    let mut application = Application::new(left.block(0).hash);
    let base = || left.checked(0, BASE, ());
    assert_eq!(proven(&application.offer(base(), |_| Ok(None)).unwrap()), [((), 1)]);
    application.keep_stored(|block| Ok(block == left.block(BASE))).unwrap();
    assert_eq!(proven(&application.offer(base(), |_| Ok(None)).unwrap()), [((), 0)]);
    application.keep_stored(|_| Ok(false)).unwrap();
    assert_eq!(proven(&application.offer(base(), |_| Ok(None)).unwrap()), [((), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_blamed_for_an_answer_whose_base_is_on_the_branch_that_the_chain_went_to() {
    let [left, right] = &*BRANCHES;
    for verification in [Verification::Threads, Verification::Inline] {
        let store = Arc::new(right.store());
        let (verifier, _failed) =
            Verifier::start(right.world.params(), store.clone(), 8, verification).unwrap();
        let verify = |(work, answer)| verifier.verify(work, answer);
        let (waits, rest) = tokio::join!(biased; verify(right.work(BASE, NEXT)), async {
            // Asked for before the reorganisation, answered after it.
            let other_branch = verify(left.work(0, BASE)).await.unwrap().unwrap();
            let base = verify(right.work(0, BASE)).await.unwrap().unwrap();
            (other_branch.lists, base.lists)
        });
        assert_eq!((waits.unwrap().unwrap().lists, rest), (1, (1, 1)));
        let stored: Vec<BlockId> =
            store.lists().unwrap().into_iter().map(|(height, hash)| BlockId { height, hash }).collect();
        assert_eq!(stored, [BASE, NEXT].map(|height| right.block(height)));
    }
}

/// A list that the chain left and came back to is stored anew, with what is based on it.
#[tokio::test]
async fn a_chain_that_goes_back_and_forth_has_its_lists_stored() {
    let [left, right] = &*BRANCHES;
    let store = Arc::new(left.store());
    let (verifier, _failed) =
        Verifier::start(left.world.params(), store.clone(), 8, Verification::Threads).unwrap();
    let verify = async |(work, answer)| verifier.verify(work, answer).await.unwrap().unwrap().lists;
    assert_eq!(verify(left.work(0, BASE)).await, 1);
    store.save_chain(&right.chain, Some(0)).unwrap();
    assert_eq!(verify(right.work(0, BASE)).await, 1);
    store.save_chain(&left.chain, Some(0)).unwrap();
    assert!(store.lists().unwrap().is_empty());
    assert_eq!(verify(left.work(0, BASE)).await, 1);
    assert_eq!(verify(left.work(BASE, NEXT)).await, 1);
    for height in [BASE, NEXT] {
        let state = store.state(left.world.params(), height).unwrap().unwrap();
        assert_eq!(state.block_hash(), left.block(height).hash);
    }
}
