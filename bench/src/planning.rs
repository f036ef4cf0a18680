//! How many requests and bytes our plans need, beside one `getmnlistd` for every list that a quorum needs.
//!
//! What is counted, for the quorums that are active at the tip, or that were active at the first list of a range or mined
//! after:
//!
//! - One list for each quorum, that of its work block, eight blocks below its base block; four for a rotated one, whose
//!   quarters were chosen in its own cycle and in each of the three before (DIP 24). So the 32 rotated quorums of a cycle
//!   count 128, though they share four lists: this is what asking quorum by quorum costs.
//! - The distinct ones among these lists: what somebody asks who remembers what was asked, and the least that can be done
//!   with `getmnlistd` alone.
//! - Requests of our plans, all of them: for the lists of cycles and the tip, and then for what members still need. They
//!   bring the tip's own list, without which nobody knows the quorums, and the snapshots of rotated quorums, which no list
//!   holds; neither is counted for the others. For the ChainLock of the tip the client may ask for a list more.
//! - Bytes of the answers to our requests, beside those of the distinct lists as answers from genesis.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use dashcore::BlockHash;
use dashcore::consensus::serialize;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::sml::llmq_type::LLMQType;
use spv_integration::chain::HeaderChain;
use spv_integration::plan::{Plan, Work};
use spv_masternodes::members::Needs;
use spv_simnet::{ActiveChain, GeneratedSpec, QRInfoConstruction, QuorumProfile, World};

use crate::workload::headers_of;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Masternodes of the generated chain, whose quorums are of mainnet's kinds and sizes; from 1,000 on
    #[arg(long, default_value_t = 3_200)]
    masternodes: u32,
}

/// One line per range: what our plans ask, and what others would.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let spec = spec(args.masternodes, 70);
    spec.validate()?;
    let comparison = Comparison::new(World::generate(&spec));
    println!("{spec}: {} blocks\n\n{HEADING}", comparison.world.tip());
    for range in [Range::Tip, Range::Cycles(20), Range::Cycles(60)] {
        println!("| {range} {}", comparison.count(range)?);
    }
    Ok(())
}

fn spec(masternodes: u32, cycles: u32) -> GeneratedSpec {
    GeneratedSpec {
        masternodes,
        cycles,
        seed: 5,
        quorums: Some(QuorumProfile::Mainnet),
        // Nothing is verified here.
        signatures: false,
        ..GeneratedSpec::DEFAULT
    }
}

/// Whose quorums are to be proven.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// Those that are active at the tip.
    Tip,
    /// Those that were active or mined in so many cycles up to the tip.
    Cycles(u32),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tip => f.write_str("tip"),
            Self::Cycles(cycles) => write!(f, "{cycles} cycles"),
        }
    }
}

/// What a range takes.
#[derive(Debug)]
struct Counts {
    quorums: usize,
    /// Lists, counted for each quorum on its own.
    per_quorum: usize,
    distinct: usize,
    requests: usize,
    bytes: usize,
    bytes_from_genesis: usize,
}

const HEADING: &str = "\
| quorums of | how many | one getmnlistd for each of their lists | one per distinct list | our requests | saved | saved of \
distinct | our bytes | bytes from genesis | saved |
|---|---|---|---|---|---|---|---|---|---|";

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quorums, per_quorum, distinct, requests, bytes, bytes_from_genesis } = *self;
        write!(
            f,
            "| {quorums} | {per_quorum} | {distinct} | {requests} | {:.1} % | {:.1} % | {bytes} | {bytes_from_genesis} \
             | {:.1} % |",
            saved(requests, per_quorum),
            saved(requests, distinct),
            saved(bytes, bytes_from_genesis),
        )
    }
}

struct Comparison {
    world: Arc<World>,
    chain: HeaderChain,
    active: ActiveChain,
    /// Length of a cycle of rotated quorums, blocks.
    cycle: u32,
}

impl Comparison {
    fn new(world: World) -> Self {
        let world = Arc::new(world);
        let cycle = world.params().rotated().dkg_interval;
        Self { chain: headers_of(&world), active: world.active_chain(), cycle, world }
    }

    fn count(&self, range: Range) -> anyhow::Result<Counts> {
        let (params, tip) = (self.world.params(), self.world.tip());
        let cycles = match range {
            Range::Tip => TIP_CYCLES,
            Range::Cycles(cycles) => cycles,
        };
        let from = tip.saturating_sub(cycles * self.cycle);
        let plan = Plan::new(params, &self.chain, from, &BTreeSet::new());
        let (plan, first) = match range {
            Range::Tip => (plan.with_lists_for_tip(params, &self.chain, &BTreeSet::new()), tip),
            Range::Cycles(_) => {
                let lowest =
                    plan.works().iter().flat_map(Work::heights).min().context("nothing is planned")?;
                (plan, lowest)
            }
        };
        let headers_from = from.saturating_sub(HEADER_MARGIN_CYCLES * self.cycle);
        let quorums = self.quorums_since(first, headers_from)?;
        let needs = quorums.iter().map(|&(llmq_type, base_height)| Needs::of(llmq_type, base_height, params));
        let needs: Vec<Needs> = needs.collect::<Result<_, _>>()?;
        let lists: Vec<u32> = needs.iter().flat_map(|needs| &needs.lists).copied().collect();
        let distinct: BTreeSet<u32> = lists.iter().copied().collect();

        let then = self.plan_for_members(&plan, &needs);
        let works = || plan.works().iter().chain(then.works());
        let mut bytes = 0;
        for work in works() {
            bytes += self.answer_size(&work.message())?;
        }
        let mut bytes_from_genesis = 0;
        for &height in &distinct {
            bytes_from_genesis += serialize(&self.diff(BlockHash::all_zeros(), height)?).len();
        }
        Ok(Counts {
            quorums: quorums.len(),
            per_quorum: lists.len(),
            distinct: distinct.len(),
            requests: works().count(),
            bytes,
            bytes_from_genesis,
        })
    }

    /// What the client asks once it knows the quorums: lists and snapshots for their members that the first plan does not
    /// bring.
    fn plan_for_members(&self, first: &Plan, needs: &[Needs]) -> Plan {
        let held: BTreeSet<u32> = first.works().iter().flat_map(Work::heights).collect();
        let snapshots_held: BTreeSet<u32> = first.works().iter().flat_map(Work::snapshots).collect();
        let needed =
            |of: fn(&Needs) -> &Vec<u32>| needs.iter().flat_map(of).copied().collect::<BTreeSet<_>>();
        let lists = &needed(|needs| &needs.lists) - &held;
        let snapshots = &needed(|needs| &needs.snapshots) - &snapshots_held;
        Plan::further(self.world.params(), &self.chain, &lists, &snapshots, &held)
    }

    /// Kind and base height of each quorum that is active at `first` or mined after. On mainnet the last quorums of a kind
    /// that was given up stay active for ever; their base blocks are below the headers that a client holds, and nobody
    /// can ask what their members follow from.
    fn quorums_since(&self, first: u32, headers_from: u32) -> anyhow::Result<BTreeSet<(LLMQType, u32)>> {
        let mut quorums = BTreeSet::new();
        let mut base = BlockHash::all_zeros();
        for height in first..=self.world.tip() {
            for quorum in self.diff(base, height)?.new_quorums {
                let base_height =
                    self.world.height(&quorum.quorum_hash.into()).context("an unknown base block")?;
                if base_height >= headers_from {
                    quorums.insert((quorum.llmq_type, base_height));
                }
            }
            base = self.world.block_hash(height).context("no such block")?;
        }
        Ok(quorums)
    }

    fn diff(&self, base_block_hash: BlockHash, height: u32) -> anyhow::Result<MnListDiff> {
        let block_hash = self.world.block_hash(height).context("no such block")?;
        Ok(self.active.mn_list_diff(&GetMnListDiff { base_block_hash, block_hash })?)
    }

    fn answer_size(&self, request: &NetworkMessage) -> anyhow::Result<usize> {
        Ok(match request {
            NetworkMessage::GetQRInfo(request) => {
                serialize(&self.active.qr_info(request, QRInfoConstruction::Efficient)?).len()
            }
            NetworkMessage::GetMnListD(request) => serialize(&self.active.mn_list_diff(request)?).len(),
            other => anyhow::bail!("no work is done by {other:?}"),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn saved(used: usize, instead: usize) -> f64 {
    100.0 * (1.0 - used as f64 / instead.max(1) as f64)
}

/// As far back a client looks that only wants the tip's quorums, and as far below that its headers begin, where
/// checkpoints allow it.
const TIP_CYCLES: u32 = 6;
const HEADER_MARGIN_CYCLES: u32 = 8;

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static COMPARISON: LazyLock<Comparison> =
        LazyLock::new(|| Comparison::new(World::generate(&spec(1_000, 18))));

    #[test]
    fn plans_save_seventy_percent_of_requests_and_most_bytes() {
        let comparison = &*COMPARISON;
        for range in [Range::Tip, Range::Cycles(8)] {
            let counts = comparison.count(range).unwrap();
            assert!(counts.distinct < counts.per_quorum, "{counts}");
            assert!(saved(counts.requests, counts.per_quorum) > 70.0, "{counts}");
            // A whole list of 1,000 is a third of mainnet's, a diff is not.
            assert!(saved(counts.bytes, counts.bytes_from_genesis) > 80.0, "{counts}");
        }
    }

    #[test]
    fn a_rotated_quorum_counts_four_lists_and_any_other_one() {
        let counts = COMPARISON.count(Range::Tip).unwrap();
        // Of mainnet's kinds: 32 rotated, 4 and 4 of 400 members, 24 of Platform's; some sessions fail.
        assert!((60..=64).contains(&counts.quorums), "{counts}");
        assert_eq!(counts.per_quorum, counts.quorums + 3 * 32);
    }
}
