//! What decoding, applying and verifying allocates.

use std::alloc::System;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::Arc;

use anyhow::Context as _;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::message_qrinfo::{GetQRInfo, QRInfo};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, ChainParams};
use spv_masternodes::members::{Evidence, Needs};
use spv_masternodes::verification::{QuorumCandidate, QuorumVerifier};
use spv_masternodes::{BlockRef, CheckedDiff, ProofError, ProvenState};
use spv_simnet::{ActiveChain, GeneratedSpec, QRInfoConstruction, QuorumProfile, World};
use stats_alloc::{Region, StatsAlloc};

use crate::workload::WORK_BLOCK_DEPTH;

/// One line per operation, on a chain with as many masternodes and quorums as mainnet has.
pub(crate) fn run(allocator: &'static StatsAlloc<System>) -> anyhow::Result<()> {
    let spec = GeneratedSpec {
        masternodes: 3_200,
        cycles: 4,
        seed: 5,
        quorums: Some(QuorumProfile::Mainnet),
        ..GeneratedSpec::DEFAULT
    };
    let chain = Chain(Arc::new(World::generate(&spec)).active_chain());
    println!("{spec}\n\n| | allocations | bytes allocated | bytes kept |\n|---|---|---|---|");
    let counter = Counter(allocator);
    lists(&chain, counter)?;
    qrinfo(&chain, counter)?;
    quorums(&chain, counter)
}

/// The whole list, then a diff that changes both masternodes and quorums.
fn lists(chain: &Chain, counter: Counter) -> anyhow::Result<()> {
    let tip = chain.0.tip();
    let bases = (1..tip / STEP).rev().map(|step| step * STEP);
    let (base, following) = bases
        .filter_map(|base| Some((base, chain.diff(base, base + STEP).ok()?)))
        .find(|(_, diff)| !diff.new_masternodes.is_empty() && !diff.new_quorums.is_empty())
        .context("nothing changes on this chain")?;
    let mut state = ProvenState::genesis(chain.params().genesis_hash);
    let steps = [
        ("the whole list".to_owned(), chain.diff(0, base)?, base),
        (format!("a diff of {STEP} blocks"), following, base + STEP),
    ];
    for (name, diff, height) in steps {
        let (masternodes, quorums) = (diff.new_masternodes.len(), diff.new_quorums.len());
        let payload = serialize(&diff);
        let bytes = payload.len();
        let name = format!("decode {name}: masternodes {masternodes}, quorums {quorums}, bytes {bytes}");
        let diff = counter.line(&name, || deserialize::<MnListDiff>(&payload))?;
        let checked = counter.line("check it: coinbase, hashes", || chain.check(diff, height))??;
        state = counter.line("apply it, both roots", || state.advance(&checked))?;
    }
    Ok(())
}

fn qrinfo(chain: &Chain, counter: Counter) -> anyhow::Result<()> {
    let cycle = chain.params().rotated().dkg_interval;
    let newest = chain.0.tip() / cycle * cycle;
    let payload = serialize(&chain.qrinfo(newest, newest - 4 * cycle - WORK_BLOCK_DEPTH)?);
    let name = format!("decode a qrinfo of five cycles: bytes {}", payload.len());
    counter.line(&name, || deserialize::<QRInfo>(&payload))?;
    Ok(())
}

/// The newest quorum of each kind.
fn quorums(chain: &Chain, counter: Counter) -> anyhow::Result<()> {
    let params = chain.params();
    let tip = chain.state(chain.0.tip())?;
    let mut newest: BTreeMap<LLMQType, QuorumCandidate> = BTreeMap::new();
    for quorum in tip.quorums().iter() {
        let (entry, llmq_type) = (Arc::clone(&quorum.entry), quorum.entry.llmq_type);
        let base_height = chain.0.height(&entry.quorum_hash.into()).context("an unknown base block")?;
        if newest.get(&llmq_type).is_none_or(|other| other.base_height < base_height) {
            let evidence = chain.evidence(llmq_type, base_height)?;
            let members = evidence.members(llmq_type, entry.quorum_hash, base_height, params)?;
            newest.insert(llmq_type, QuorumCandidate { entry, base_height, members });
        }
    }
    for (llmq_type, candidate) in newest {
        let QuorumCandidate { entry, base_height, members } = &candidate;
        let name = format!("type {llmq_type}, {} members", members.len());
        let evidence = chain.evidence(llmq_type, *base_height)?;
        let compute = || evidence.members(llmq_type, entry.quorum_hash, *base_height, params);
        // What is worked out once for each masternode is there for all later quorums.
        compute()?;
        if llmq_type == params.rotated_llmq {
            let cycle_base = base_height - base_height % params.rotated().dkg_interval;
            let cycle = || evidence.cycle(cycle_base, params);
            counter.line(&format!("{name}: choose those of all quorums of the cycle"), cycle)?;
        } else {
            counter.line(&format!("{name}: choose them"), compute)?;
        }
        let mut verifier = QuorumVerifier::new(params.clone(), CACHED_KEYS);
        for what in ["verify, no key seen before", "verify, keys cached"] {
            let candidates = slice::from_ref(&candidate).to_vec();
            let verified = counter.line(&format!("{name}: {what}"), || verifier.verify(candidates));
            verified.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
    }
    Ok(())
}

/// A chain as a node has it.
struct Chain(ActiveChain);

impl Chain {
    fn params(&self) -> &ChainParams {
        self.0.world().params()
    }

    fn hash(&self, height: u32) -> anyhow::Result<BlockHash> {
        self.0.world().block_hash(height).context("no such block")
    }

    /// From height 0, all of the list.
    fn diff(&self, base: u32, height: u32) -> anyhow::Result<MnListDiff> {
        let request = GetMnListDiff { base_block_hash: self.hash(base)?, block_hash: self.hash(height)? };
        Ok(self.0.mn_list_diff(&request)?)
    }

    /// About the cycle that begins at `cycle_base`, based on the list at `base`.
    fn qrinfo(&self, cycle_base: u32, base: u32) -> anyhow::Result<QRInfo> {
        let request = GetQRInfo {
            base_block_hashes: vec![self.hash(base)?],
            block_request_hash: self.hash(cycle_base)?,
            extra_share: true,
        };
        Ok(self.0.qr_info(&request, QRInfoConstruction::Efficient)?)
    }

    fn check(&self, diff: MnListDiff, height: u32) -> anyhow::Result<Result<CheckedDiff, ProofError>> {
        let header = self.0.world().header(height).context("no such block")?;
        Ok(CheckedDiff::check(diff, BlockRef { hash: self.hash(height)?, header, height }))
    }

    fn state(&self, height: u32) -> anyhow::Result<ProvenState> {
        let checked = self.check(self.diff(0, height)?, height)??;
        Ok(ProvenState::genesis(self.params().genesis_hash).advance(&checked)?)
    }

    /// What the members of a quorum follow from.
    fn evidence(&self, llmq_type: LLMQType, base_height: u32) -> anyhow::Result<Evidence> {
        let needs = Needs::of(llmq_type, base_height, self.params())?;
        let mut evidence = Evidence::new();
        for &height in &needs.lists {
            evidence.add_state(self.state(height)?);
        }
        if let [third, second, first] = needs.snapshots[..] {
            let cycle = self.params().rotated().dkg_interval;
            let info = self.qrinfo(first + cycle, 0)?;
            evidence.add_snapshot(first, info.quorum_snapshot_at_h_minus_c);
            evidence.add_snapshot(second, info.quorum_snapshot_at_h_minus_2c);
            evidence.add_snapshot(third, info.quorum_snapshot_at_h_minus_3c);
        }
        Ok(evidence)
    }
}

#[derive(Clone, Copy)]
struct Counter(&'static StatsAlloc<System>);

impl Counter {
    /// Does it once and prints what it allocated, reallocations included, and how much of that its result keeps.
    fn line<T>(self, name: &str, operation: impl FnOnce() -> T) -> T {
        let region = Region::new(self.0);
        let result = operation();
        let used = region.change();
        println!(
            "| {name} | {} | {} | {} |",
            used.allocations + used.reallocations,
            used.bytes_allocated,
            used.bytes_allocated.saturating_sub(used.bytes_deallocated),
        );
        result
    }
}

/// Blocks between the sessions of Platform's quorums, whose lists are most of those that a client applies.
const STEP: u32 = 24;
const CACHED_KEYS: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
