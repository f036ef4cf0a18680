use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dashcore::consensus::{Encodable, deserialize};
use dashcore::network::message_qrinfo::{QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, Header};

use super::manifest::Manifest;
use super::{Inconsistency, World, WorldError};
use crate::history::{CoinbaseProof, Coinbases, History, MasternodeHistory, QuorumHistory, genesis_coinbase};

pub(super) fn load(dir: &Path) -> Result<World, WorldError> {
    let manifest = File::read(dir, "manifest.json")?;
    let parsed: Manifest = serde_json::from_slice(&manifest.data)
        .map_err(|source| WorldError::Manifest { path: manifest.path.clone(), source })?;
    if parsed.network != "regtest" {
        return Err(manifest.inconsistent(0, Inconsistency::Network));
    }
    let params = parsed.params();
    let (headers, hashes) = load_headers(&File::read(dir, "headers.bin")?, &parsed, &params)?;
    let mut history = History {
        params,
        headers,
        hashes,
        masternodes: MasternodeHistory::default(),
        quorums: QuorumHistory::default(),
        snapshots: BTreeMap::new(),
    };
    let coinbases = load_blocks(&File::read(dir, "mnlistdiff-from-genesis.bin")?, &mut history)?;
    let mut world = World::new(history, coinbases);
    world.history.snapshots = load_snapshots(&File::read(dir, "qrinfo-from-genesis.bin")?, &world)?;
    Ok(world)
}

fn load_headers(
    file: &File,
    manifest: &Manifest,
    params: &ChainParams,
) -> Result<(Vec<Header>, Vec<BlockHash>), WorldError> {
    let mut headers = Vec::with_capacity(file.data.len() / Header::SIZE);
    let mut hashes: Vec<BlockHash> = Vec::with_capacity(headers.capacity());
    for (height, bytes) in (0..).zip(file.data.chunks(Header::SIZE)) {
        let offset = headers.len() * Header::SIZE;
        let header: Header = deserialize(bytes).map_err(|_| file.truncated(offset))?;
        let hash = header.block_hash();
        match hashes.last() {
            None => {
                let expected = params.genesis_hash;
                if hash != expected || manifest.genesis_hash != expected {
                    return Err(file.inconsistent(offset, Inconsistency::Genesis { found: hash, expected }));
                }
            }
            Some(previous) if header.prev_blockhash != *previous => {
                return Err(file.inconsistent(offset, Inconsistency::Unlinked { height }));
            }
            Some(_) => {}
        }
        headers.push(header);
        hashes.push(hash);
    }
    let found =
        u32::try_from(headers.len()).unwrap_or(u32::MAX).checked_sub(1).ok_or_else(|| file.truncated(0))?;
    if found != manifest.tip {
        return Err(file.inconsistent(file.data.len(), Inconsistency::Tip { expected: manifest.tip, found }));
    }
    Ok((headers, hashes))
}

/// What each block changed, from its diff from genesis; returns the coinbases.
fn load_blocks(file: &File, history: &mut History) -> Result<Coinbases, WorldError> {
    let mut bytes = Vec::new();
    genesis_coinbase().consensus_encode(&mut bytes);
    let mut ends = vec![bytes.len() as u64];
    let mut records = file.records();
    for (expected, hash) in (0..).zip(&history.hashes).skip(1) {
        let record = records.next().ok_or_else(|| file.truncated(file.data.len()))??;
        let height = record.height;
        if height != expected {
            return Err(file.inconsistent(record.offset, Inconsistency::Height { expected, found: height }));
        }
        let diff: MnListDiff = record.decode(file)?;
        let named = if height < history.params.activation.dip3 { BlockHash::all_zeros() } else { *hash };
        if diff.block_hash != named || diff.base_block_hash != history.params.genesis_hash {
            return Err(file.inconsistent(record.offset, Inconsistency::OtherBlock { height }));
        }
        let coinbase = CoinbaseProof {
            transaction: diff.coinbase_tx,
            total_transactions: diff.total_transactions,
            merkle_hashes: diff.merkle_hashes,
            merkle_flags: diff.merkle_flags,
        };
        coinbase.consensus_encode(&mut bytes);
        ends.push(bytes.len() as u64);
        history.masternodes.follow(height, diff.new_masternodes);
        history.quorums.follow(height, diff.new_quorums);
    }
    match records.next() {
        None => Ok(Coinbases::in_memory(bytes, ends)),
        Some(extra) => {
            let record = extra?;
            Err(file.inconsistent(record.offset, Inconsistency::NoSuchHeight { height: record.height }))
        }
    }
}

fn load_snapshots(file: &File, world: &World) -> Result<BTreeMap<u32, QuorumSnapshot>, WorldError> {
    let cycle_length = world.params().rotated().dkg_interval;
    let mut snapshots: BTreeMap<u32, QuorumSnapshot> = BTreeMap::new();
    for record in file.records() {
        let record = record?;
        let (height, offset) = (record.height, record.offset);
        if height > world.tip() {
            return Err(file.inconsistent(offset, Inconsistency::NoSuchHeight { height }));
        }
        let info: QRInfo = record.decode(file)?;
        for (snapshot, diff) in snapshots_with_diffs(info) {
            // A snapshot's cycle begins eight blocks after the block of the diff beside it.
            let work_block = world.height(&diff.block_hash).map(|height| height + 8);
            let cycle = work_block
                .filter(|cycle| cycle.is_multiple_of(cycle_length))
                .ok_or_else(|| file.inconsistent(offset, Inconsistency::OtherBlock { height }))?;
            if snapshots.get(&cycle).is_some_and(|known| *known != snapshot) {
                return Err(file.inconsistent(offset, Inconsistency::Snapshot { cycle }));
            }
            snapshots.insert(cycle, snapshot);
        }
    }
    Ok(snapshots)
}

fn snapshots_with_diffs(info: QRInfo) -> impl Iterator<Item = (QuorumSnapshot, MnListDiff)> {
    let listed = info.quorum_snapshot_list.into_iter().zip(info.mn_list_diff_list);
    [
        (info.quorum_snapshot_at_h_minus_c, info.mn_list_diff_at_h_minus_c),
        (info.quorum_snapshot_at_h_minus_2c, info.mn_list_diff_at_h_minus_2c),
        (info.quorum_snapshot_at_h_minus_3c, info.mn_list_diff_at_h_minus_3c),
    ]
    .into_iter()
    .chain(info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c)
    .chain(listed)
}

/// A file with its name, so that errors can say where.
struct File {
    path: PathBuf,
    data: Vec<u8>,
}

impl File {
    fn read(dir: &Path, name: &str) -> Result<Self, WorldError> {
        let path = dir.join(name);
        match fs::read(&path) {
            Ok(data) => Ok(Self { path, data }),
            Err(source) => Err(WorldError::Read { path, source }),
        }
    }

    /// Records of height, length and payload, to the end of the file.
    fn records(&self) -> impl Iterator<Item = Result<Record<'_>, WorldError>> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            let rest = self.data.get(offset..).filter(|rest| !rest.is_empty())?;
            let record = Record::split(rest, offset).ok_or_else(|| self.truncated(offset));
            offset = record
                .as_ref()
                .map_or(self.data.len(), |record| record.payload_offset() + record.payload.len());
            Some(record)
        })
    }

    fn truncated(&self, offset: usize) -> WorldError {
        WorldError::Truncated { path: self.path.clone(), offset }
    }

    fn inconsistent(&self, offset: usize, reason: Inconsistency) -> WorldError {
        WorldError::Inconsistent { path: self.path.clone(), offset, reason }
    }
}

struct Record<'a> {
    offset: usize,
    height: u32,
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    const PREFIX: usize = 8;

    fn split(data: &'a [u8], offset: usize) -> Option<Self> {
        let (height, rest) = data.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let payload = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        Some(Self { offset, height: u32::from_le_bytes(*height), payload })
    }

    fn payload_offset(&self) -> usize {
        self.offset + Self::PREFIX
    }

    fn decode<T: dashcore::consensus::Decodable>(&self, file: &File) -> Result<T, WorldError> {
        deserialize(self.payload).map_err(|source| WorldError::Decode {
            path: file.path.clone(),
            offset: self.payload_offset() + source.offset,
            height: self.height,
            source,
        })
    }
}
