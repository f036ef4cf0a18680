//! `getqrinfo` and `qrinfo`: what it takes to compute the members of rotated quorums (DIP24; Dash Core llmq/snapshot.h).

use super::message_sml::MnListDiff;
use crate::bitset::BitSet;
use crate::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_vec};
use crate::hash_types::BlockHash;

/// Most cycles beside the fixed ones. No node sends more than three per quorum index, of which the largest rotated kind
/// has 32; the rest is room for networks with other parameters.
const MAX_EXTRA_CYCLES: usize = 1024;

/// `getqrinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GetQRInfo {
    /// Blocks whose lists the asker has; empty for genesis only.
    pub base_block_hashes: Vec<BlockHash>,
    /// Any block of the cycle that is asked about.
    pub block_request_hash: BlockHash,
    /// Whether the snapshot and list of H-4C are wanted too.
    pub extra_share: bool,
}

impl Encodable for GetQRInfo {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        encode_vec(&self.base_block_hashes, out);
        self.block_request_hash.consensus_encode(out);
        self.extra_share.consensus_encode(out);
    }
}

impl Decodable for GetQRInfo {
    const MIN_SIZE: usize = 34;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            base_block_hashes: reader.vec("getqrinfo.baseBlockHashes")?,
            block_request_hash: reader.read("getqrinfo.blockRequestHash")?,
            extra_share: reader.read("getqrinfo.extraShare")?,
        })
    }
}

/// `qrinfo`. H is the base height of the requested block's cycle, C the cycle length; the list of a height X stands
/// for the *work block* X - 8. Only the tip's diff depends on the server instead of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QRInfo {
    /// Snapshot of cycle H-C.
    pub quorum_snapshot_at_h_minus_c: QuorumSnapshot,
    /// Snapshot of cycle H-2C.
    pub quorum_snapshot_at_h_minus_2c: QuorumSnapshot,
    /// Snapshot of cycle H-3C.
    pub quorum_snapshot_at_h_minus_3c: QuorumSnapshot,
    /// Diff to the serving node's tip.
    pub mn_list_diff_tip: MnListDiff,
    /// Diff to the work block of H.
    pub mn_list_diff_h: MnListDiff,
    /// Diff to the work block of H-C.
    pub mn_list_diff_at_h_minus_c: MnListDiff,
    /// Diff to the work block of H-2C.
    pub mn_list_diff_at_h_minus_2c: MnListDiff,
    /// Diff to the work block of H-3C.
    pub mn_list_diff_at_h_minus_3c: MnListDiff,
    /// Snapshot of, and diff to the work block of, H-4C; when extra share was asked for.
    pub quorum_snapshot_and_mn_list_diff_at_h_minus_4c: Option<(QuorumSnapshot, MnListDiff)>,
    /// Newest commitment per index, mined at or before the requested block.
    pub last_commitment_per_index: Vec<QuorumEntry>,
    /// Snapshots of further cycles that those commitments need, ascending.
    pub quorum_snapshot_list: Vec<QuorumSnapshot>,
    /// Diffs to the work blocks of those cycles, parallel to the snapshots.
    pub mn_list_diff_list: Vec<MnListDiff>,
}

impl QRInfo {
    /// The work block of the requested cycle (`mn_list_diff_h.block_hash`), which alone names the request.
    ///
    /// # Errors
    /// When the payload is malformed before that point.
    pub fn peek_work_block(payload: &[u8]) -> Result<BlockHash, DecodeError> {
        let mut reader = Reader::new(payload);
        for _ in 0..3 {
            QuorumSnapshot::consensus_decode(&mut reader)?;
        }
        MnListDiff::consensus_decode(&mut reader)?;
        let diff_h = reader.bytes(reader.remaining())?;
        MnListDiff::peek(diff_h).map(|names| names.block_hash)
    }
}

impl Encodable for QRInfo {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.quorum_snapshot_at_h_minus_c.consensus_encode(out);
        self.quorum_snapshot_at_h_minus_2c.consensus_encode(out);
        self.quorum_snapshot_at_h_minus_3c.consensus_encode(out);
        self.mn_list_diff_tip.consensus_encode(out);
        self.mn_list_diff_h.consensus_encode(out);
        self.mn_list_diff_at_h_minus_c.consensus_encode(out);
        self.mn_list_diff_at_h_minus_2c.consensus_encode(out);
        self.mn_list_diff_at_h_minus_3c.consensus_encode(out);
        self.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.is_some().consensus_encode(out);
        if let Some((snapshot, diff)) = &self.quorum_snapshot_and_mn_list_diff_at_h_minus_4c {
            snapshot.consensus_encode(out);
            diff.consensus_encode(out);
        }
        encode_vec(&self.last_commitment_per_index, out);
        encode_vec(&self.quorum_snapshot_list, out);
        encode_vec(&self.mn_list_diff_list, out);
    }
}

impl Decodable for QRInfo {
    const MIN_SIZE: usize = 3 * QuorumSnapshot::MIN_SIZE + 5 * MnListDiff::MIN_SIZE + 4;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let info = Self {
            quorum_snapshot_at_h_minus_c: QuorumSnapshot::consensus_decode(reader)?,
            quorum_snapshot_at_h_minus_2c: QuorumSnapshot::consensus_decode(reader)?,
            quorum_snapshot_at_h_minus_3c: QuorumSnapshot::consensus_decode(reader)?,
            mn_list_diff_tip: MnListDiff::consensus_decode(reader)?,
            mn_list_diff_h: MnListDiff::consensus_decode(reader)?,
            mn_list_diff_at_h_minus_c: MnListDiff::consensus_decode(reader)?,
            mn_list_diff_at_h_minus_2c: MnListDiff::consensus_decode(reader)?,
            mn_list_diff_at_h_minus_3c: MnListDiff::consensus_decode(reader)?,
            quorum_snapshot_and_mn_list_diff_at_h_minus_4c: if reader.read("qrinfo.extraShare")? {
                Some((QuorumSnapshot::consensus_decode(reader)?, MnListDiff::consensus_decode(reader)?))
            } else {
                None
            },
            last_commitment_per_index: reader.vec("qrinfo.lastCommitmentPerIndex")?,
            quorum_snapshot_list: reader.vec_up_to("qrinfo.quorumSnapshotList", MAX_EXTRA_CYCLES)?,
            mn_list_diff_list: reader.vec_up_to("qrinfo.mnListDiffList", MAX_EXTRA_CYCLES)?,
        };
        if info.quorum_snapshot_list.len() != info.mn_list_diff_list.len() {
            let kind = DecodeErrorKind::LengthTooLarge {
                length: info.mn_list_diff_list.len() as u64,
                limit: info.quorum_snapshot_list.len(),
            };
            return Err(reader.error(kind));
        }
        Ok(info)
    }
}

/// Which masternodes of a cycle's work-block list were already members, and which were passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumSnapshot {
    /// How to read the skip list.
    pub skip_list_mode: MNSkipListMode,
    /// A bit per masternode of the list, in rank order: whether it is a member of an earlier quarter.
    pub active_quorum_members: BitSet,
    /// Positions that were passed over: the first absolute, all others relative to the first.
    pub skip_list: Vec<i32>,
}

/// How a snapshot's skip list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum MNSkipListMode {
    /// Nothing was passed over.
    NoSkipping = 0,
    /// The entries were passed over.
    SkipFirst = 1,
    /// Defined, never produced.
    SkipExcept = 2,
    /// Defined, never produced.
    SkipAll = 3,
}

impl Encodable for QuorumSnapshot {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        (self.skip_list_mode as i32).consensus_encode(out);
        self.active_quorum_members.consensus_encode(out);
        encode_vec(&self.skip_list, out);
    }
}

impl Decodable for QuorumSnapshot {
    const MIN_SIZE: usize = 6;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let skip_list_mode = match reader.read::<i32>("snapshot.mode")? {
            0 => MNSkipListMode::NoSkipping,
            1 => MNSkipListMode::SkipFirst,
            2 => MNSkipListMode::SkipExcept,
            3 => MNSkipListMode::SkipAll,
            mode => {
                let kind = DecodeErrorKind::UnknownValue { value: i64::from(mode) };
                return Err(reader.error_at(start, kind));
            }
        };
        Ok(Self {
            skip_list_mode,
            active_quorum_members: reader.read("snapshot.activeQuorumMembers")?,
            skip_list: reader.vec("snapshot.skipList")?,
        })
    }
}
