//! How many requests a plan needs, beside one `getmnlistd` for every list that a quorum needs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::consensus::serialize;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_sml::GetMnListDiff;
use spv_integration::plan::{Plan, Work};
use spv_simnet::{ActiveChain, QRInfoConstruction};

use spv_integration::headers::HeaderChain;
use spv_simnet::{GeneratedSpec, QuorumProfile, World};

use crate::workload::headers_of;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Masternodes of the generated chain
    #[arg(long, default_value_t = 1_000)]
    masternodes: u32,
}

/// One line per range: what our plan asks, and what others would.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let spec = GeneratedSpec {
        masternodes: args.masternodes,
        cycles: 70,
        seed: 5,
        quorums: Some(QuorumProfile::Small),
        signatures: false,
    };
    spec.validate()?;
    let world = Arc::new(World::generate(&spec));
    println!("{} masternodes\n\n{}", args.masternodes, table(&world, &headers_of(&world)));
    Ok(())
}

fn table(world: &Arc<World>, chain: &HeaderChain) -> String {
    let params = world.params();
    let tip = chain.tip_height();
    let mut out = String::from(
        "| lists wanted | our requests | lists they bring | one getmnlistd per quorum's list | saved | one per distinct \
         height | saved | our bytes | bytes from genesis | saved |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let history =
        |cycles: u32| Plan::new(params, chain, tip.saturating_sub(cycles * CYCLE), &BTreeSet::new());
    let tip_only = history(5).with_lists_for_tip(params, chain, &BTreeSet::new());
    let ranges = [("tip (5 cycles and what its quorums need)", tip_only, true)]
        .into_iter()
        .chain([(20, "20 cycles"), (60, "60 cycles")].map(|(cycles, name)| (name, history(cycles), false)));
    for (name, plan, only_tip) in ranges {
        let lowest = plan.works().iter().flat_map(Work::heights).min().unwrap_or(0);
        let per_quorum = lists_of_quorums(world, if only_tip { tip } else { lowest });
        let distinct: BTreeSet<u32> = per_quorum.iter().copied().collect();
        let requests = plan.works().len();
        let active = world.active_chain();
        let ours: usize = plan.works().iter().map(|work| answer_size(&active, &work.message())).sum();
        let from_genesis: usize = distinct.iter().map(|&height| full_size(&active, height)).sum();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {name} | {requests} | {} | {} | {:.1} % | {} | {:.1} % | {ours} | {from_genesis} | {:.1} % |",
            plan.works().iter().flat_map(Work::heights).count(),
            per_quorum.len(),
            saved(requests, per_quorum.len()),
            distinct.len(),
            saved(requests, distinct.len()),
            saved(ours, from_genesis),
        );
    }
    out
}

/// Heights of the lists that members of quorums follow from, once for each quorum that is active at `from` or mined
/// after: a rotated quorum needs those of four cycles, any other the one of its work block.
fn lists_of_quorums(world: &Arc<World>, from: u32) -> Vec<u32> {
    let active = world.active_chain();
    let tip = world.tip();
    let params = world.params();
    let mut seen = BTreeSet::new();
    let mut heights = Vec::new();
    for height in from..=tip {
        let Some(block_hash) = world.block_hash(height) else { continue };
        let base = if height == from { None } else { world.block_hash(height - 1) };
        let request =
            GetMnListDiff { base_block_hash: base.unwrap_or_else(BlockHash::all_zeros), block_hash };
        let Ok(diff) = active.mn_list_diff(&request) else { continue };
        for quorum in &diff.new_quorums {
            let rotated = quorum.llmq_type == params.rotated_llmq;
            let index = quorum.quorum_index.unwrap_or(0);
            if !seen.insert((quorum.llmq_type, quorum.quorum_hash, index)) {
                continue;
            }
            let Some(quorum_height) =
                world.height(&BlockHash::from_byte_array(quorum.quorum_hash.to_byte_array()))
            else {
                continue;
            };
            let cycle_base = quorum_height - quorum_height % CYCLE;
            let ages = if rotated { 0..4 } else { 0..1 };
            heights.extend(ages.filter_map(|age| cycle_base.checked_sub(WORK_BLOCK_DEPTH + age * CYCLE)));
        }
    }
    heights
}

fn answer_size(active: &ActiveChain, message: &NetworkMessage) -> usize {
    match message {
        NetworkMessage::GetQRInfo(request) => active
            .qr_info(request, QRInfoConstruction::Efficient)
            .map_or(0, |answer| serialize(&answer).len()),
        NetworkMessage::GetMnListD(request) => {
            active.mn_list_diff(request).map_or(0, |answer| serialize(&answer).len())
        }
        _ => 0,
    }
}

fn full_size(active: &ActiveChain, height: u32) -> usize {
    let block_hash = active.world().block_hash(height).unwrap_or_default();
    let request = GetMnListDiff { base_block_hash: BlockHash::all_zeros(), block_hash };
    active.mn_list_diff(&request).map_or(0, |answer| serialize(&answer).len())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn saved(used: usize, instead: usize) -> f64 {
    100.0 * (1.0 - used as f64 / instead.max(1) as f64)
}

const CYCLE: u32 = 24;
const WORK_BLOCK_DEPTH: u32 = 8;
