use std::sync::Arc;

use dashcore::{BlockHash, ChainParams};
use spv_simnet::{ActiveChain, GeneratedSpec, Unlocked, World};

use super::Days;

/// Height of the tip at the beginning.
pub(super) const START: u32 = 450;

/// Blocks per day, one every two and a half minutes.
pub const BLOCKS_PER_DAY: u32 = 576;

/// Between the times of two blocks.
const SECONDS_PER_BLOCK: u32 = 150;

/// Blocks of a branch beyond those that it replaces, before the main chain overtakes it.
const BRANCH_LEAD: u32 = 4;

/// When a branch overtakes the main chain, in blocks since the start, and how many blocks it replaces. The last ones are
/// announced by hash alone.
const FORKS: [(u32, u32); 7] = [(40, 1), (130, 2), (420, 3), (900, 7), (1_500, 8), (2_100, 12), (3_300, 30)];

/// The chain that wins in the end, and branches that are ahead of it for a while.
pub(super) struct Chains {
    main: Arc<World>,
    branches: Vec<Branch>,
}

struct Branch {
    world: Arc<World>,
    /// Height at which it overtakes.
    overtakes: u32,
}

impl Chains {
    pub(super) fn new(days: &Days<'_>) -> Self {
        let (blocks, seed) = (days.blocks, days.seed);
        let spec = |tip: u32| {
            let cycles = cycles_up_to(tip);
            let tip_time =
                days.start_time.map(|start| start + (last_block(cycles) - START) * SECONDS_PER_BLOCK);
            let unlocked = Unlocked::new(&replaced());
            GeneratedSpec { masternodes: 24, cycles, seed, tip_time, unlocked, ..GeneratedSpec::default() }
        };
        let main = Arc::new(World::generate(&spec(START + blocks)));
        let branches =
            FORKS.iter().filter(|(after, _)| after + BRANCH_LEAD < blocks).map(|&(after, replaces)| {
                let overtakes = START + after;
                let spec = spec(overtakes + BRANCH_LEAD);
                let branch = World::generate_branch(&spec, overtakes - 1 - replaces, u64::from(after));
                Branch { world: Arc::new(branch), overtakes }
            });
        Self { branches: branches.collect(), main }
    }

    pub(super) fn main(&self) -> &Arc<World> {
        &self.main
    }

    pub(super) fn params(&self) -> &ChainParams {
        self.main.params()
    }

    /// The best chain when its tip is at `height`.
    pub(super) fn at(&self, height: u32) -> ActiveChain {
        let ahead = |branch: &&Branch| (branch.overtakes..branch.overtakes + BRANCH_LEAD).contains(&height);
        let world = self.branches.iter().find(ahead).map_or(&self.main, |branch| &branch.world);
        ActiveChain::new(Arc::clone(world), height)
    }

    pub(super) fn tip(&self, height: u32) -> (u32, BlockHash) {
        (height, self.at(height).tip_hash())
    }
}

/// First and last height of the blocks that each branch replaces: no quorum locks them.
fn replaced() -> [(u32, u32); FORKS.len()] {
    FORKS.map(|(after, replaces)| (START + after - replaces, START + after - 1))
}

/// Height of the last block of a generated chain with this number of cycles.
fn last_block(cycles: u32) -> u32 {
    let spec = GeneratedSpec { masternodes: 4, cycles, signatures: false, ..GeneratedSpec::default() };
    World::generate(&spec).tip()
}

/// Cycles that a generated chain needs to reach this height; its first is that of block 216.
fn cycles_up_to(tip: u32) -> u32 {
    (tip - 216) / 24 + 1
}
