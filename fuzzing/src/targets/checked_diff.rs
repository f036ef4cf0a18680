use std::sync::LazyLock;

use dashcore::BlockHash;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use spv_masternodes::{BlockRef, CheckedDiff, ProofError, ProvenState};

use crate::worlds::WORLD;

/// A diff of the chain and what it leads to.
struct Step {
    base: ProvenState,
    height: u32,
    diff: Vec<u8>,
    truth: ProvenState,
}

static STEPS: LazyLock<Vec<Step>> = LazyLock::new(|| {
    let mut steps = Vec::new();
    let mut base = ProvenState::genesis(WORLD.params().genesis_hash);
    for height in (WORLD.tip() / 2..=WORLD.tip()).step_by(16) {
        let (whole, truth) = step(&ProvenState::genesis(WORLD.params().genesis_hash), height);
        steps.push(whole);
        steps.push(step(&base, height).0);
        base = truth;
    }
    steps
});

fn step(base: &ProvenState, height: u32) -> (Step, ProvenState) {
    let block_hash = WORLD.block_hash(height).expect("it is below the tip");
    let base_block_hash = if base.height() == 0 { BlockHash::all_zeros() } else { base.block_hash() };
    let request = GetMnListDiff { base_block_hash, block_hash };
    let diff = WORLD.active_chain().mn_list_diff(&request).expect("both blocks are of the chain");
    let truth = applied(base, height, diff.clone()).expect("the chain's own diffs are right");
    (Step { base: base.clone(), height, diff: serialize(&diff), truth: truth.clone() }, truth)
}

fn applied(base: &ProvenState, height: u32, diff: MnListDiff) -> Result<ProvenState, ProofError> {
    let hash = WORLD.block_hash(height).expect("it is below the tip");
    let header = WORLD.header(height).expect("it is below the tip");
    base.advance(&CheckedDiff::check(diff, BlockRef { hash, header, height })?)
}

/// The first byte chooses the block and the list before it, the rest is the diff.
pub(crate) fn run(input: &[u8]) -> bool {
    let Some((&chosen, bytes)) = input.split_first() else { return false };
    let Step { base, height, truth, .. } = &STEPS[usize::from(chosen) % STEPS.len()];
    let Ok(diff) = deserialize::<MnListDiff>(bytes) else { return false };
    let Ok(state) = applied(base, *height, diff) else { return false };
    // The roots cover these; a ChainLock signature beside a quorum is checked by whoever uses it.
    assert_eq!(state.masternodes(), truth.masternodes());
    let entries =
        |state: &ProvenState| state.quorums().iter().map(|quorum| quorum.entry.clone()).collect::<Vec<_>>();
    assert_eq!(entries(&state), entries(truth));
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    (0..).zip(STEPS.iter()).map(|(index, step)| [&[index][..], &step.diff].concat()).collect()
}
