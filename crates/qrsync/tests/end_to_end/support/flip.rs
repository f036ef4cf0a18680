//! Answers with one wrong bit, in a part of one's choice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use dashcore::BlockHash;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::{deserialize, serialize};
use dashcore::network::framing::{DEFAULT_MAX_PAYLOAD, Frame, FrameDecoder, encode_frame};
use dashcore::network::message::command;
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use spv_integration::net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What the wrong bit is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A masternode's entry.
    Entry,
    /// A quorum's commitment.
    Commitment,
    /// The coinbase, all of it.
    Coinbase,
    /// The ChainLock's signature in the coinbase.
    ChainLock,
    /// The proof that the coinbase is in the block.
    CoinbaseProof,
    /// A snapshot in a `qrinfo`: how members of one cycle were used.
    Snapshot,
}

/// One bit of all answers about one block. Whoever answers the same request with the same flip gives the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    pub(crate) block_hash: BlockHash,
    pub(crate) part: Part,
    /// Chooses among entries, and the bit.
    pub(crate) seed: u64,
}

/// What passed through.
#[derive(Debug, Default)]
pub(crate) struct Flipped(AtomicU64);

impl Flipped {
    /// Answers that were changed.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Flip {
    /// A stream whose incoming answers are flipped.
    pub(crate) fn spawn(self, node: DuplexStream, magic: [u8; 4], flipped: Arc<Flipped>) -> impl Stream {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (mut from_client, mut to_client) = tokio::io::split(theirs);
        let (mut from_node, mut to_node) = tokio::io::split(node);
        tokio::spawn(async move {
            // Ends with either side.
            tokio::io::copy(&mut from_client, &mut to_node).await.ok();
            to_node.shutdown().await.ok();
        });
        tokio::spawn(async move {
            let decoder = FrameDecoder::new(magic, DEFAULT_MAX_PAYLOAD);
            let mut buffer = BytesMut::new();
            while from_node.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                    let payload = self.apply(&frame, &flipped);
                    let mut bytes = Vec::new();
                    encode_frame(magic, frame.command, &payload, &mut bytes);
                    if to_client.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
            to_client.shutdown().await.ok();
        });
        ours
    }

    fn apply(&self, frame: &Frame, flipped: &Flipped) -> Vec<u8> {
        let mut payload = frame.payload.to_vec();
        let bytes = match frame.command {
            command::MNLISTDIFF => self.target(&[deserialize(&payload).unwrap()], &[]),
            command::QRINFO => {
                let info: QRInfo = deserialize(&payload).unwrap();
                let (diffs, snapshots) = contents(&info);
                self.target(&diffs, &snapshots)
            }
            _ => None,
        };
        let Some((within, part)) = bytes else { return payload };
        let start = find(&payload, &within).unwrap() + find(&within, &part).unwrap();
        let bit = fastrand::Rng::with_seed(self.seed).usize(..part.len() * 8);
        payload[start + bit / 8] ^= 1 << (bit % 8);
        flipped.0.fetch_add(1, Ordering::Relaxed);
        payload
    }

    /// Bytes of the part, and of what it has to be looked for in, as the same may be in several places.
    fn target(&self, diffs: &[MnListDiff], snapshots: &[(Vec<u8>, BlockHash)]) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.part == Part::Snapshot {
            let (bytes, _) = snapshots.iter().find(|(_, block_hash)| *block_hash == self.block_hash)?;
            return Some((bytes.clone(), bytes.clone()));
        }
        let diff = diffs.iter().find(|diff| diff.block_hash == self.block_hash)?;
        Some((serialize(diff), part_of(diff, self.part, self.seed)?))
    }
}

/// Bytes of a part of a diff; `None` where it has none. The seed chooses among several.
pub(crate) fn part_of(diff: &MnListDiff, part: Part, seed: u64) -> Option<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let bytes = match part {
        Part::Entry => serialize(rng.choice(&diff.new_masternodes)?),
        Part::Commitment => serialize(rng.choice(&diff.new_quorums)?),
        Part::Coinbase => serialize(&diff.coinbase_tx),
        Part::ChainLock => {
            let payload = &diff.coinbase_tx.extra_payload;
            let at = find(payload, best_lock(diff)?.as_bytes())?;
            payload[at..at + 96].to_vec()
        }
        Part::CoinbaseProof => diff.merkle_hashes.iter().flat_map(|hash| *hash.as_byte_array()).collect(),
        Part::Snapshot => return None,
    };
    (!bytes.is_empty()).then_some(bytes)
}

fn best_lock(diff: &MnListDiff) -> Option<BLSSignature> {
    let coinbase = diff.coinbase_tx.coinbase_payload().ok()??;
    coinbase.chain_lock.map(|lock| lock.best_cl_signature)
}

fn contents(info: &QRInfo) -> (Vec<MnListDiff>, Vec<(Vec<u8>, BlockHash)>) {
    let fourth = info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.iter();
    let beside = [
        (&info.quorum_snapshot_at_h_minus_c, &info.mn_list_diff_at_h_minus_c),
        (&info.quorum_snapshot_at_h_minus_2c, &info.mn_list_diff_at_h_minus_2c),
        (&info.quorum_snapshot_at_h_minus_3c, &info.mn_list_diff_at_h_minus_3c),
    ];
    let beside: Vec<_> = beside
        .into_iter()
        .chain(fourth.map(|(snapshot, diff)| (snapshot, diff)))
        .chain(info.quorum_snapshot_list.iter().zip(&info.mn_list_diff_list))
        .collect();
    let diffs = beside.iter().map(|(_, diff)| (*diff).clone()).chain([info.mn_list_diff_h.clone()]).collect();
    let snapshots = beside.iter().map(|(snapshot, diff)| (serialize(*snapshot), diff.block_hash)).collect();
    (diffs, snapshots)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
