//! Makes up a whole chain.

mod block;
mod chain_locks;
mod forks;
mod keys;
mod members;
mod merkle;
mod pace;
mod profile;
mod quorums;
mod random;
mod registry;
mod rotation;
mod scalar;
mod spec;
mod spec_error;
mod unlocked;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::Encodable;
use dashcore::network::message_qrinfo::QuorumSnapshot;
use dashcore::params::devnet_coinbase;
use dashcore::sml::llmq_type::LLMQParams;
use dashcore::sml::masternode_list_entry::MasternodeListEntry;
use dashcore::{BlockHash, ChainParams, Header, Network};

use crate::history::{CoinbaseProof, History, genesis_coinbase};
use block::{Commitments, MinedBlock, Rules, Slot, mine};
use chain_locks::ChainLocks;
use members::{WorkBlock, rank};
use pace::Pace;
use quorums::{QuorumBook, Session};
use registry::{Registry, Sources};
use rotation::Rotation;

pub(crate) use chain_locks::{SIGNING_DEPTH, hash_of};
pub use forks::Forks;
pub(crate) use keys::KeyRing;
pub use profile::QuorumProfile;
pub use spec::GeneratedSpec;
pub use spec_error::SpecError;
pub use unlocked::Unlocked;

/// Where a chain leaves the one that its specification describes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch {
    /// Height of the last block that both have.
    pub(crate) after: u32,
    /// Decides all later blocks.
    pub(crate) seed: u64,
}

/// Generates a chain; its coinbases are written to `coinbases`, encoded, and where each of them ends is returned.
///
/// # Errors
/// When writing fails.
///
/// # Panics
/// When the specification is out of range.
pub(crate) fn generate(
    spec: &GeneratedSpec,
    branch: Option<Branch>,
    coinbases: impl Write,
) -> io::Result<(History, Vec<u64>)> {
    if let Err(error) = spec.validate() {
        panic!("{error}");
    }
    let mut chain = Generator::new(spec, coinbases)?;
    let cycle_length = chain.params.rotated().dkg_interval;
    let first_served = chain.first_cycle + CYCLES_BEFORE_SERVED * cycle_length;
    let end = first_served + spec.cycles * cycle_length;
    if let Some(time) = spec.tip_time {
        chain.start_time = time - chain.pace.seconds(end - 1);
    }
    for height in 1..end {
        if height <= chain.quiet {
            chain.extend_quietly(height)?;
        } else {
            chain.extend(height)?;
        }
        if let Some(branch) = branch.filter(|branch| branch.after == height) {
            chain.rng = fastrand::Rng::with_seed(branch.seed);
            chain.unlocked = Unlocked::new(&[(branch.after + 1, u32::MAX)]);
        }
    }
    Ok(chain.finish())
}

/// The first cycle about which `getqrinfo` can be asked with extra share comes so many cycles after the first.
const CYCLES_BEFORE_SERVED: u32 = 4;
/// Quarters of a rotated quorum that are from earlier cycles.
const EARLIER_QUARTERS: u32 = 3;

struct Generator<W> {
    profile: QuorumProfile,
    params: ChainParams,
    /// Time from which the blocks' times are counted, in seconds since 1970.
    start_time: u32,
    pace: Pace,
    unlocked: Unlocked,
    /// Blocks before anything happens.
    quiet: u32,
    /// The first cycle with a snapshot.
    first_cycle: u32,
    forks: Forks,
    rng: fastrand::Rng,
    keys: KeyRing,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
    coinbases: W,
    ends: Vec<u64>,
    snapshots: BTreeMap<u32, QuorumSnapshot>,
    registry: Registry,
    quorums: QuorumBook,
    rotation: Rotation,
    chain_locks: ChainLocks,
    /// ChainLocks in the coinbases of the last blocks, oldest first.
    best_locks: VecDeque<BLSSignature>,
}

impl<W: Write> Generator<W> {
    fn new(spec: &GeneratedSpec, coinbases: W) -> io::Result<Self> {
        let profile = spec.profile();
        let (params, quiet) = (spec.params(), spec.quiet_blocks());
        let mut rng = fastrand::Rng::with_seed(spec.seed);
        let mut generator = Self {
            profile,
            start_time: params.genesis.time,
            pace: if spec.retargets { Pace::Retargeting } else { Pace::Regtest },
            unlocked: spec.unlocked,
            quiet,
            first_cycle: quiet + profile.first_cycle(&params),
            forks: spec.forks,
            keys: if spec.signatures { KeyRing::signing(spec.seed) } else { KeyRing::pretending() },
            headers: vec![params.genesis],
            hashes: vec![params.genesis_hash],
            coinbases,
            ends: Vec::new(),
            snapshots: BTreeMap::new(),
            registry: Registry::new(spec, &mut rng),
            quorums: QuorumBook::default(),
            rotation: Rotation::new(params.rotated()),
            chain_locks: ChainLocks::default(),
            best_locks: VecDeque::from([BLSSignature::default()]),
            params,
            rng,
        };
        generator.chain_locks.note(Vec::new());
        generator.write(&genesis_coinbase())?;
        Ok(generator)
    }

    fn finish(self) -> (History, Vec<u64>) {
        let Self { params, headers, hashes, ends, snapshots, registry, quorums, .. } = self;
        let (masternodes, quorums) = (registry.into_history(), quorums.into_history());
        (History { params, headers, hashes, masternodes, quorums, snapshots }, ends)
    }

    /// Adds a block in which nothing happens.
    fn extend_quietly(&mut self, height: u32) -> io::Result<()> {
        let mined = mine(self.slot(height), None, self.profile, &mut self.rng);
        self.push(mined)
    }

    fn push(&mut self, mined: MinedBlock) -> io::Result<()> {
        self.headers.push(mined.header);
        self.hashes.push(mined.hash);
        self.write(&mined.coinbase)
    }

    /// Where the block at `height`, which is the next one, has its place.
    fn slot(&self, height: u32) -> Slot {
        let last = self.headers.len() - 1;
        let time = self.start_time + self.pace.seconds(height);
        let bits = self.pace.bits().unwrap_or(self.headers[last].bits);
        Slot { height, time, bits, parent: self.hashes[last] }
    }

    fn extend(&mut self, height: u32) -> io::Result<()> {
        let parent = self.slot(height).parent;
        let mut sources = Sources { keys: &mut self.keys, rng: &mut self.rng };
        self.registry.advance(height, &self.hashes, &mut sources);
        self.quorums.mine(height, &self.hashes, &mut self.keys, &mut self.rng);
        let chain_lock = (height >= self.params.activation.v20)
            .then(|| self.chain_locks.best(height, parent, self.unlocked, &self.keys, &mut self.rng));
        self.remember(chain_lock.as_ref().map(|lock| lock.best_cl_signature).unwrap_or_default());
        let commitments = (height >= self.params.activation.dip3).then(|| Commitments {
            merkle_root_masternode_list: self.registry.root(),
            merkle_root_quorums: (height >= self.params.activation.dip8).then(|| self.quorums.root()),
            chain_lock,
            rules: Rules::at(&self.forks, height),
        });
        let mined = match (&self.params.network, self.params.devnet_block) {
            (Network::Devnet(name), Some(header)) if height == 1 => {
                MinedBlock::only_coinbase(header, devnet_coinbase(name))
            }
            _ => mine(self.slot(height), commitments, self.profile, &mut self.rng),
        };
        self.push(mined)?;
        self.chain_locks.note(self.quorums.active_of_type(self.params.chain_locks_llmq));
        for llmq in self.params.llmqs.clone() {
            if llmq.llmq_type == self.params.rotated_llmq
                && llmq.rotated
                && height.is_multiple_of(llmq.dkg_interval)
            {
                self.start_cycle(&llmq, height);
            } else if self.profile.begins(&llmq, height - self.quiet) {
                self.start_session(&llmq, height);
            }
        }
        Ok(())
    }

    /// The base block of a cycle of the rotated kind has been connected: the members of all its quorums are settled, and
    /// their DKG sessions begin.
    fn start_cycle(&mut self, llmq: &LLMQParams, height: u32) {
        let work_block = self.work_block(height);
        let list = self.registry.list(work_block.height);
        let cycle = self.rotation.next_cycle(&list, &work_block.modifier(llmq.llmq_type));
        let Some(cycle) = cycle.filter(|_| height >= self.first_cycle) else { return };
        self.snapshots.insert(height, cycle.snapshot);
        // Before, some quarters are from lists that were still filling.
        if height >= self.first_cycle + EARLIER_QUARTERS * llmq.dkg_interval {
            for (base, members) in (height..).zip(cycle.members.unwrap_or_default()) {
                self.run_session(height, Session { llmq: *llmq, base, members });
            }
        }
    }

    /// The base block has been connected: the members are settled and the DKG begins.
    fn start_session(&mut self, llmq: &LLMQParams, height: u32) {
        let work_block = self.chosen_by(height);
        let list = self.registry.list(if self.is_before_v20(height) { height } else { work_block.height });
        let evo_only = llmq.llmq_type == self.params.platform_llmq;
        let is_evo = |entry: &MasternodeListEntry| self.registry.is_evo(&entry.pro_reg_tx_hash);
        let candidates = list.iter().filter(|entry| !evo_only || is_evo(entry));
        let mut members = rank(candidates, &work_block.modifier(llmq.llmq_type));
        members.truncate(llmq.size as usize);
        if members.len() >= llmq.min_size as usize {
            self.run_session(height, Session { llmq: *llmq, base: height, members });
        }
    }

    fn is_before_v20(&self, height: u32) -> bool {
        height.saturating_add(1) < self.params.activation.v20
    }

    /// What decides the members of a quorum that is not rotated: before v20 the base block itself.
    fn chosen_by(&self, base: u32) -> WorkBlock {
        let work_block = self.work_block(base);
        if !self.is_before_v20(work_block.height) {
            return work_block;
        }
        WorkBlock { hash: self.hashes[base as usize], chain_lock: BLSSignature::default(), ..work_block }
    }

    fn work_block(&self, base: u32) -> WorkBlock {
        let height = base - WorkBlock::DEPTH;
        WorkBlock { height, hash: self.hashes[height as usize], chain_lock: self.best_locks[0] }
    }

    fn run_session(&mut self, cycle: u32, session: Session) {
        if self.rng.u32(..self.profile.sessions_per_failure()) > 0 {
            self.quorums.schedule(cycle, session, &mut self.rng);
        }
    }

    fn remember(&mut self, best_lock: BLSSignature) {
        self.best_locks.push_back(best_lock);
        if self.best_locks.len() > WorkBlock::DEPTH as usize + 1 {
            self.best_locks.pop_front();
        }
    }

    fn write(&mut self, coinbase: &CoinbaseProof) -> io::Result<()> {
        let mut bytes = Vec::new();
        coinbase.consensus_encode(&mut bytes);
        self.coinbases.write_all(&bytes)?;
        self.ends.push(self.ends.last().copied().unwrap_or(0) + bytes.len() as u64);
        Ok(())
    }
}
