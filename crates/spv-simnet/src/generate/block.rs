use dashcore::blockdata::transaction::special_transaction::coinbase::{BestChainLock, CoinbasePayload};
use dashcore::blockdata::transaction::{COINBASE_TX_TYPE, OutPoint, TxIn, TxOut};
use dashcore::consensus::serialize;
use dashcore::hash_types::{MerkleRootAssetUnlocks, MerkleRootMasternodeList, MerkleRootQuorums};
use dashcore::{BlockHash, Header, Transaction, Txid};

use super::forks::{Forks, is_active};
use super::merkle::coinbase_branch;
use super::profile::QuorumProfile;
use super::random;
use crate::history::CoinbaseProof;

pub(super) struct MinedBlock {
    pub(super) header: Header,
    pub(super) hash: BlockHash,
    pub(super) coinbase: CoinbaseProof,
}

impl MinedBlock {
    /// A block that holds nothing but this coinbase.
    pub(super) fn only_coinbase(header: Header, transaction: Transaction) -> Self {
        Self { header, hash: header.block_hash(), coinbase: CoinbaseProof::alone(transaction) }
    }
}

/// Where a block has its place in the chain.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) height: u32,
    /// Seconds since 1970.
    pub(super) time: u32,
    pub(super) bits: u32,
    pub(super) parent: BlockHash,
}

/// What a coinbase says of the state after its block.
pub(super) struct Commitments {
    pub(super) merkle_root_masternode_list: MerkleRootMasternodeList,
    /// From DIP8 on.
    pub(super) merkle_root_quorums: Option<MerkleRootQuorums>,
    /// From v20 on.
    pub(super) chain_lock: Option<BestChainLock>,
    pub(super) rules: Rules,
}

/// Which rules a coinbase follows from v20 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rules {
    /// Version 3.
    V20,
    /// Version 4, with a root of asset unlocks.
    V24,
    /// A version that is none yet: it appends to what is known.
    Later,
    /// The same, and what is known means something else.
    Opaque,
}

impl Rules {
    pub(super) fn at(forks: &Forks, height: u32) -> Self {
        let newest_first = [(forks.opaque, Self::Opaque), (forks.later, Self::Later), (forks.v24, Self::V24)];
        let active = newest_first.into_iter().find(|(fork, _)| is_active(*fork, height));
        active.map_or(Self::V20, |(_, rules)| rules)
    }
}

impl Commitments {
    fn payload(self, height: u32, rng: &mut fastrand::Rng) -> CoinbasePayload {
        let Self { mut merkle_root_masternode_list, merkle_root_quorums, chain_lock, rules } = self;
        if rules == Rules::Opaque {
            merkle_root_masternode_list = MerkleRootMasternodeList::from_byte_array(random::hash(rng));
        }
        CoinbasePayload {
            version: match (&merkle_root_quorums, &chain_lock, rules) {
                (_, Some(_), Rules::Later | Rules::Opaque) => CoinbasePayload::NEWEST_VERSION + 1,
                (_, Some(_), Rules::V24) => 4,
                (_, Some(_), Rules::V20) => 3,
                (Some(_), None, _) => 2,
                (None, None, _) => 1,
            },
            height: i32::try_from(height).expect("heights are far below 2^31"),
            merkle_root_masternode_list,
            merkle_root_quorums,
            chain_lock,
            merkle_root_asset_unlocks: (rules == Rules::V24)
                .then(|| MerkleRootAssetUnlocks::from_byte_array(random::hash(rng))),
            unknown: match rules {
                Rules::V20 | Rules::V24 => Vec::new(),
                Rules::Later | Rules::Opaque => random::hash::<APPENDED>(rng).to_vec(),
            },
        }
    }
}

/// Makes a block whose coinbase commits to what is given, among random other transactions.
pub(super) fn mine(
    Slot { height, time, bits, parent }: Slot,
    commitments: Option<Commitments>,
    profile: QuorumProfile,
    rng: &mut fastrand::Rng,
) -> MinedBlock {
    let payload = commitments.map(|commitments| commitments.payload(height, rng));
    let (outputs, others) = match profile {
        // Miner, masternode and Platform share the subsidy.
        QuorumProfile::Mainnet => (3, if rng.u8(..10) == 0 { rng.u32(30..100) } else { rng.u32(1..30) }),
        // Most blocks of a quiet chain hold little else than their coinbase; a few are busy.
        _ => (1, if rng.u8(..10) == 0 { rng.u32(1..60) } else { rng.u32(0..4) }),
    };
    let transaction = coinbase_transaction(height, outputs, payload.as_ref(), rng);
    let transactions: Vec<[u8; 32]> = [transaction.txid().to_byte_array()]
        .into_iter()
        .chain((0..others).map(|_| random::hash(rng)))
        .collect();
    let branch = coinbase_branch(&transactions);
    let mut header = Header {
        version: BLOCK_VERSION,
        prev_blockhash: parent,
        merkle_root: branch.root,
        time,
        bits,
        nonce: 0,
    };
    let hash = loop {
        let hash = header.block_hash();
        if header.meets_target(hash) {
            break hash;
        }
        header.nonce += 1;
    };
    let coinbase = CoinbaseProof {
        transaction,
        total_transactions: others + 1,
        merkle_hashes: branch.hashes,
        merkle_flags: branch.flags,
    };
    MinedBlock { header, hash, coinbase }
}

/// Bytes that a later version appends: the root of asset unlocks, and a number.
const APPENDED: usize = 40;
/// Version bits without any signal.
const BLOCK_VERSION: i32 = 0x2000_0000;
const SUBSIDY: i64 = 5_000_000_000;

fn coinbase_transaction(
    height: u32,
    outputs: i64,
    payload: Option<&CoinbasePayload>,
    rng: &mut fastrand::Rng,
) -> Transaction {
    let script = |key: [u8; 20]| [&[0x76, 0xa9, 0x14][..], &key, &[0x88, 0xac]].concat();
    let output = |_| TxOut { value: SUBSIDY / outputs, script_pubkey: script(random::hash(rng)) };
    // The height in the script keeps the ids of coinbases apart that are otherwise equal.
    let script_sig = [&[4][..], &height.to_le_bytes()].concat();
    let previous_output = OutPoint { txid: Txid::all_zeros(), vout: u32::MAX };
    Transaction {
        version: if payload.is_some() { 3 } else { 2 },
        tx_type: if payload.is_some() { COINBASE_TX_TYPE } else { 0 },
        input: vec![TxIn { previous_output, script_sig, sequence: u32::MAX }],
        output: (0..outputs).map(output).collect(),
        lock_time: 0,
        extra_payload: payload.map(serialize).unwrap_or_default(),
    }
}
