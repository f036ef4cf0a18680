use std::collections::BTreeMap;

use dashcore::BlockHash;
use dashcore::consensus::{DecodeError, deserialize};
use dashcore::network::message_qrinfo::{QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::MnListDiff;
use spv_masternodes::{BlockRef, CheckedDiff, ProofError, ResolveError, resolve};
use spv_recovery::{Classify, FailureKind};
use tokio::time::Instant;

use super::stage::Stage;
use super::stages::Stages;
use crate::chain::Block;
use crate::plan::Work;
use crate::wire::{Answer, Request};

/// Why an answer does not prove what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It cannot be decoded.
    #[error("the answer cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// The diffs of a `qrinfo` do not fit together.
    #[error("the answer cannot be used: {0}")]
    Resolve(#[from] ResolveError),
    /// A wanted list is not in it.
    #[error("the list of block {block_hash} at height {height} is missing")]
    MissingList {
        /// Its height.
        height: u32,
        /// Its block.
        block_hash: BlockHash,
    },
    /// A diff to this height does not prove its list.
    #[error("the list at height {height} is not proven: {source}")]
    Proof {
        /// Height of the list.
        height: u32,
        /// What is wrong.
        source: ProofError,
    },
}

impl Classify for AnswerError {
    fn failure_kind(&self) -> FailureKind {
        FailureKind::Invalid
    }
}

impl AnswerError {
    /// Whether the answer could be read, so that it may be the data that is at fault and not the sender.
    pub(crate) fn is_about_the_data(&self) -> bool {
        matches!(self, Self::Proof { .. }) || self.is_of_newer_rules()
    }

    /// Whether rules newer than those known here explain it, as far as the answer tells.
    pub(crate) fn is_of_newer_rules(&self) -> bool {
        match self {
            Self::Decode(error) => error.is_of_newer_rules(),
            Self::Proof { source, .. } => source.is_of_newer_rules(),
            Self::Resolve(_) | Self::MissingList { .. } => false,
        }
    }

    /// Name as a metric label.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::Resolve(_) => "resolve",
            Self::MissingList { .. } => "missing_list",
            Self::Proof { .. } => "proof",
        }
    }
}

/// What an answer brings.
#[derive(Debug)]
pub(crate) struct Contents {
    /// A checked diff per wanted block, in order.
    pub(crate) diffs: Vec<CheckedDiff>,
    /// The snapshots of the work's cycles, with the work block of each. Nothing here proves them.
    pub(crate) snapshots: Vec<(Block, QuorumSnapshot)>,
}

/// Decodes an answer and checks all that can be checked without the list that it is based on.
pub(crate) fn check(
    work: &Work,
    answer: &Answer,
    genesis_hash: BlockHash,
    stages: &Stages,
) -> Result<Contents, AnswerError> {
    let started = Instant::now();
    let decoded = decode(work, answer, genesis_hash);
    stages.record(Stage::Decode, 1, started);
    let (mut diffs, snapshots) = decoded?;
    let started = Instant::now();
    let checked: Result<Vec<_>, _> = work
        .wanted
        .iter()
        .map(|block| match diffs.remove(&block.hash) {
            Some(diff) => check_diff(diff, block),
            None => Err(AnswerError::MissingList { height: block.height, block_hash: block.hash }),
        })
        .collect();
    stages.record(Stage::Check, work.wanted.len(), started);
    Ok(Contents { diffs: checked?, snapshots })
}

/// The diffs of an answer by their blocks, and its snapshots.
type Decoded = (BTreeMap<BlockHash, MnListDiff>, Vec<(Block, QuorumSnapshot)>);

fn decode(work: &Work, answer: &Answer, genesis_hash: BlockHash) -> Result<Decoded, AnswerError> {
    let mut snapshots = Vec::new();
    let diffs = match &work.request {
        Request::ListDiff(_) => vec![deserialize::<MnListDiff>(&answer.payload)?],
        Request::QrInfo { message, .. } => {
            let info: QRInfo = deserialize(&answer.payload)?;
            // Where none of the bases is low enough, a node falls back to the empty list of genesis.
            let known = |hash: &BlockHash| {
                message.base_block_hashes.contains(hash) || *hash == genesis_hash || hash.is_null()
            };
            resolve(&info, known)?;
            let (diffs, of_cycles) = taken_apart(info);
            snapshots = wanted_snapshots(work, of_cycles);
            diffs
        }
        Request::Headers(_) | Request::CompressedHeaders(_) => Vec::new(),
    };
    Ok((diffs.into_iter().rev().map(|diff| (diff.block_hash, diff)).collect(), snapshots))
}

/// All diffs, the tip's last as it may be to a work block too; and each snapshot with the work block that it is about:
/// the one to which the diff beside it leads.
fn taken_apart(info: QRInfo) -> (Vec<MnListDiff>, Vec<(BlockHash, QuorumSnapshot)>) {
    let beside = [
        (info.quorum_snapshot_at_h_minus_c, info.mn_list_diff_at_h_minus_c),
        (info.quorum_snapshot_at_h_minus_2c, info.mn_list_diff_at_h_minus_2c),
        (info.quorum_snapshot_at_h_minus_3c, info.mn_list_diff_at_h_minus_3c),
    ];
    let extra = info.quorum_snapshot_list.into_iter().zip(info.mn_list_diff_list);
    let minus_4c = info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c;
    let (mut diffs, snapshots): (Vec<_>, Vec<_>) = beside
        .into_iter()
        .chain(extra)
        .chain(minus_4c)
        .map(|(snapshot, diff)| {
            let block_hash = diff.block_hash;
            (diff, (block_hash, snapshot))
        })
        .unzip();
    diffs.extend([info.mn_list_diff_h, info.mn_list_diff_tip]);
    (diffs, snapshots)
}

fn wanted_snapshots(
    work: &Work,
    of_cycles: Vec<(BlockHash, QuorumSnapshot)>,
) -> Vec<(Block, QuorumSnapshot)> {
    let located = |(hash, snapshot): (BlockHash, QuorumSnapshot)| {
        let block = work.cycles.iter().find(|block| block.hash == hash)?;
        Some((*block, snapshot))
    };
    of_cycles.into_iter().filter_map(located).collect()
}

fn check_diff(diff: MnListDiff, block: &Block) -> Result<CheckedDiff, AnswerError> {
    let reference = BlockRef { hash: block.hash, header: &block.header, height: block.height };
    CheckedDiff::check(diff, reference).map_err(|source| AnswerError::Proof { height: block.height, source })
}
