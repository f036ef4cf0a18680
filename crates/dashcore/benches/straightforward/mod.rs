//! What one would write first: bytes read from a stream, a map of entries, every hash computed anew.
#![allow(dead_code, unreachable_pub, reason = "each benchmark uses another part")]
#![allow(clippy::unwrap_used, reason = "the input is known to be well-formed")]

use std::collections::BTreeMap;
use std::io::Read;

use bitcoin_hashes::sha256d;

pub type Hash = [u8; 32];

#[derive(Debug, Clone)]
pub struct Entry {
    pub version: u16,
    pub pro_reg_tx_hash: Hash,
    pub confirmed_hash: Hash,
    pub ip: [u8; 16],
    pub port: u16,
    pub operator_public_key: [u8; 48],
    pub key_id_voting: [u8; 20],
    pub is_valid: bool,
    pub platform: Option<(u16, [u8; 20])>,
}

#[derive(Debug, Clone)]
pub struct Quorum {
    pub version: u16,
    pub llmq_type: u8,
    pub quorum_hash: Hash,
    pub quorum_index: Option<u16>,
    pub signers: Vec<bool>,
    pub valid_members: Vec<bool>,
    pub public_key: [u8; 48],
    pub vvec_hash: Hash,
    pub quorum_sig: [u8; 96],
    pub members_sig: [u8; 96],
}

#[derive(Debug, Clone)]
pub struct Diff {
    pub base: Hash,
    pub block: Hash,
    pub merkle_hashes: Vec<Hash>,
    pub merkle_flags: Vec<u8>,
    pub coinbase: Vec<u8>,
    pub deleted: Vec<Hash>,
    pub changed: Vec<Entry>,
    pub deleted_quorums: Vec<(u8, Hash)>,
    pub new_quorums: Vec<Quorum>,
    pub signatures: Vec<([u8; 96], Vec<u16>)>,
}

#[derive(Debug, Clone)]
pub struct Snapshot {
    pub mode: u32,
    pub active: Vec<bool>,
    pub skips: Vec<u32>,
}

#[derive(Debug, Clone)]
pub struct Info {
    pub snapshots: Vec<Snapshot>,
    pub diffs: Vec<Diff>,
    pub last_commitments: Vec<Quorum>,
}

pub fn info(from: &mut impl Read) -> Info {
    let mut snapshots = vec![snapshot(from), snapshot(from), snapshot(from)];
    let mut diffs = (0..5).map(|_| diff(from)).collect::<Vec<_>>();
    if u8(from) == 1 {
        snapshots.push(snapshot(from));
        diffs.push(diff(from));
    }
    let last_commitments = many(from, quorum);
    snapshots.extend(many(from, snapshot));
    diffs.extend(many(from, diff));
    Info { snapshots, diffs, last_commitments }
}

pub fn diff(from: &mut impl Read) -> Diff {
    let _version = u16(from);
    let (base, block) = (hash(from), hash(from));
    let _transactions = u32(from);
    Diff {
        base,
        block,
        merkle_hashes: many(from, hash),
        merkle_flags: var_bytes(from),
        coinbase: transaction(from),
        deleted: many(from, hash),
        changed: many(from, entry),
        deleted_quorums: many(from, |from| (u8(from), hash(from))),
        new_quorums: many(from, quorum),
        signatures: many(from, |from| (array(from), many(from, u16))),
    }
}

/// The masternodes and quorums after a block.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub masternodes: BTreeMap<Hash, Entry>,
    pub quorums: BTreeMap<(u8, Hash), Quorum>,
}

impl State {
    /// The state after a diff, and both its roots.
    pub fn advance(&self, diff: Diff) -> (Self, Hash, Hash) {
        let mut next = self.clone();
        for name in &diff.deleted {
            next.masternodes.remove(name).unwrap();
        }
        for entry in diff.changed {
            next.masternodes.insert(entry.pro_reg_tx_hash, entry);
        }
        for name in &diff.deleted_quorums {
            next.quorums.remove(name).unwrap();
        }
        for quorum in diff.new_quorums {
            next.quorums.insert((quorum.llmq_type, quorum.quorum_hash), quorum);
        }
        let list = merkle_root(next.masternodes.values().map(entry_hash).collect());
        let mut quorums: Vec<_> = next.quorums.values().map(quorum_hash).collect();
        quorums.sort();
        let quorums = merkle_root(quorums);
        (next, list, quorums)
    }
}

pub fn merkle_root(mut level: Vec<Hash>) -> Hash {
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| sha256d::hash(&[pair[0], *pair.last().unwrap()].concat()).to_byte_array())
            .collect();
    }
    level.first().copied().unwrap_or_default()
}

pub fn entry_hash(entry: &Entry) -> Hash {
    let mut bytes = Vec::new();
    bytes.extend(entry.pro_reg_tx_hash);
    bytes.extend(entry.confirmed_hash);
    bytes.extend(entry.ip);
    bytes.extend(entry.port.to_be_bytes());
    bytes.extend(entry.operator_public_key);
    bytes.extend(entry.key_id_voting);
    bytes.push(entry.is_valid.into());
    if entry.version >= 2 {
        bytes.extend(u16::from(entry.platform.is_some()).to_le_bytes());
    }
    if let Some((port, node)) = &entry.platform {
        bytes.extend(port.to_le_bytes());
        bytes.extend(node);
    }
    sha256d::hash(&bytes).to_byte_array()
}

fn quorum_hash(quorum: &Quorum) -> Hash {
    let mut bytes = Vec::new();
    bytes.extend(quorum.version.to_le_bytes());
    bytes.push(quorum.llmq_type);
    bytes.extend(quorum.quorum_hash);
    if let Some(index) = quorum.quorum_index {
        bytes.extend(index.to_le_bytes());
    }
    for set in [&quorum.signers, &quorum.valid_members] {
        write_length(set.len(), &mut bytes);
        for bits in set.chunks(8) {
            bytes.push(bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
        }
    }
    bytes.extend(quorum.public_key);
    bytes.extend(quorum.vvec_hash);
    bytes.extend(quorum.quorum_sig);
    bytes.extend(quorum.members_sig);
    sha256d::hash(&bytes).to_byte_array()
}

fn entry(from: &mut impl Read) -> Entry {
    let version = u16(from);
    assert!(version < 3, "no network has entries with extended addresses yet");
    let mut entry = Entry {
        version,
        pro_reg_tx_hash: hash(from),
        confirmed_hash: hash(from),
        ip: array(from),
        port: u16::from_be_bytes(array(from)),
        operator_public_key: array(from),
        key_id_voting: array(from),
        is_valid: u8(from) == 1,
        platform: None,
    };
    if version >= 2 && u16(from) == 1 {
        entry.platform = Some((u16(from), array(from)));
    }
    entry
}

fn quorum(from: &mut impl Read) -> Quorum {
    let version = u16(from);
    Quorum {
        version,
        llmq_type: u8(from),
        quorum_hash: hash(from),
        quorum_index: version.is_multiple_of(2).then(|| u16(from)),
        signers: bits(from),
        valid_members: bits(from),
        public_key: array(from),
        vvec_hash: hash(from),
        quorum_sig: array(from),
        members_sig: array(from),
    }
}

fn snapshot(from: &mut impl Read) -> Snapshot {
    Snapshot { mode: u32(from), active: bits(from), skips: many(from, u32) }
}

/// Returns the payload.
fn transaction(from: &mut impl Read) -> Vec<u8> {
    let version = u32(from);
    many(from, |from| (array::<36>(from), var_bytes(from), u32(from)));
    many(from, |from| (array::<8>(from), var_bytes(from)));
    let _lock_time = u32(from);
    if version >> 16 == 0 { Vec::new() } else { var_bytes(from) }
}

fn bits(from: &mut impl Read) -> Vec<bool> {
    let count = length(from);
    let packed = bytes(from, count.div_ceil(8));
    (0..count).map(|bit| packed[bit / 8] >> (bit % 8) & 1 == 1).collect()
}

fn many<R: Read, T>(from: &mut R, one: impl Fn(&mut R) -> T) -> Vec<T> {
    let count = length(from);
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(one(from));
    }
    all
}

fn var_bytes(from: &mut impl Read) -> Vec<u8> {
    let count = length(from);
    bytes(from, count)
}

fn length(from: &mut impl Read) -> usize {
    match u8(from) {
        0xfd => u16(from).into(),
        0xfe => u32(from).try_into().unwrap(),
        0xff => panic!("nothing here is so long"),
        short => short.into(),
    }
}

fn write_length(length: usize, to: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short) if short < 0xfd => to.push(short),
        _ => {
            to.push(0xfd);
            to.extend(u16::try_from(length).unwrap().to_le_bytes());
        }
    }
}

fn hash(from: &mut impl Read) -> Hash {
    array(from)
}

fn u8(from: &mut impl Read) -> u8 {
    array::<1>(from)[0]
}

fn u16(from: &mut impl Read) -> u16 {
    u16::from_le_bytes(array(from))
}

fn u32(from: &mut impl Read) -> u32 {
    u32::from_le_bytes(array(from))
}

fn array<const N: usize>(from: &mut impl Read) -> [u8; N] {
    let mut array = [0; N];
    from.read_exact(&mut array).unwrap();
    array
}

fn bytes(from: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).unwrap();
    bytes
}
