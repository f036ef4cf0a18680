//! A chain made up for the tests, and a slow, obvious version of what nodes do with it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses another part")]

use std::collections::BTreeMap;

use bitcoin_hashes::sha256d;
use dashcore::blockdata::transaction::special_transaction::coinbase::{BestChainLock, CoinbasePayload};
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::blockdata::transaction::{COINBASE_TX_TYPE, OutPoint, Transaction, TxIn, TxOut};
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::consensus::serialize;
use dashcore::hash_types::{
    ConfirmedHash, MerkleRootMasternodeList, MerkleRootQuorums, PubkeyHash, QuorumVVecHash, TxMerkleNode,
};
use dashcore::network::message_sml::{DeletedQuorum, MnListDiff, QuorumCLSigObject};
use dashcore::sml::address::{ExtendedNetInfo, NetInfoEntry, NetInfoPurpose, ServiceAddress};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use dashcore::{BlockHash, Header, ProTxHash, QuorumHash, Txid};
use spv_masternodes::{BlockRef, CheckedDiff, ProofError, ProvenState};

pub fn hash(of: impl AsRef<[u8]>) -> [u8; 32] {
    sha256d::hash(of.as_ref()).to_byte_array()
}

pub fn genesis_hash() -> BlockHash {
    BlockHash::from_byte_array(hash("genesis"))
}

/// Masternode number `id` as it is in its `revision`.
pub fn masternode(id: u16, revision: u8) -> MasternodeListEntry {
    let noise = hash([id.to_le_bytes()[0], id.to_le_bytes()[1], revision]);
    let version = 1 + u16::from(noise[0]) % 3;
    let port = u16::from(noise[1]) + 9000;
    MasternodeListEntry {
        version,
        pro_reg_tx_hash: ProTxHash::from_byte_array(hash(id.to_be_bytes())),
        confirmed_hash: (noise[2] < 192).then(|| ConfirmedHash::from_byte_array(hash(noise))),
        service_address: if version < 3 {
            ServiceAddress::Socket(([noise[3], noise[4], noise[5], noise[6]], port).into())
        } else {
            let address = noise[3..7].to_vec();
            let entry = NetInfoEntry::Service { network: 1, address, port };
            ServiceAddress::Extended(ExtendedNetInfo::new(&[(NetInfoPurpose::CoreP2p, vec![entry])].into()))
        },
        operator_public_key: BLSPublicKey::from_bytes([noise[7]; 48]),
        key_id_voting: PubkeyHash::from_byte_array([noise[8]; 20]),
        is_valid: noise[9] < 192,
        mn_type: if version >= 2 && noise[10] < 128 {
            EntryMasternodeType::HighPerformance {
                platform_http_port: (version < 3).then_some(443),
                platform_node_id: PubkeyHash::from_byte_array([noise[11]; 20]),
            }
        } else {
            EntryMasternodeType::Regular
        },
    }
}

pub fn quorum(id: u16) -> QuorumEntry {
    let noise = hash(id.to_le_bytes());
    let version = 1 + u16::from(noise[0]) % 4;
    QuorumEntry {
        version,
        llmq_type: LLMQType(1 + noise[1] % 4),
        quorum_hash: QuorumHash::from_byte_array(hash(noise)),
        quorum_index: (version % 2 == 0).then_some(i16::from(noise[2] % 32)),
        signers: (0..50).map(|bit| noise[bit % 32] & 1 == 0).collect(),
        valid_members: (0..50).map(|bit| noise[bit % 32] & 2 == 0).collect(),
        quorum_public_key: BLSPublicKey::from_bytes([noise[3]; 48]),
        quorum_vvec_hash: QuorumVVecHash::from_byte_array(noise),
        threshold_sig: BLSSignature::from_bytes([noise[4]; 96]),
        all_commitment_aggregated_signature: BLSSignature::from_bytes([noise[5]; 96]),
    }
}

/// Quorums share signatures as those of one cycle do; one in five has the null signature.
pub fn chain_lock_signature(id: u16) -> Option<BLSSignature> {
    let byte = u8::try_from(id % 5).unwrap();
    (byte > 0).then(|| BLSSignature::from_bytes([byte; 96]))
}

/// What a block commits to: masternodes by id in some revision, and quorums by id.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub masternodes: BTreeMap<u16, u8>,
    pub quorums: Vec<u16>,
}

#[derive(Debug, Clone)]
pub struct Block {
    pub hash: BlockHash,
    pub header: Header,
    pub height: u32,
    pub world: World,
    pub coinbase: Transaction,
    pub transactions: Vec<[u8; 32]>,
    pub after_v20: bool,
}

impl Block {
    pub fn new(height: u32, world: World, other_transactions: u32, after_v20: bool) -> Self {
        let coinbase = coinbase(height, &world, after_v20);
        let mut transactions = vec![coinbase.txid().to_byte_array()];
        transactions.extend((0..other_transactions).map(|index| hash(index.to_le_bytes())));
        Self::with_coinbase(height, world, coinbase, transactions, after_v20)
    }

    pub fn with_coinbase(
        height: u32,
        world: World,
        coinbase: Transaction,
        transactions: Vec<[u8; 32]>,
        after_v20: bool,
    ) -> Self {
        let header = Header {
            version: 4,
            prev_blockhash: genesis_hash(),
            merkle_root: TxMerkleNode::from_byte_array(slow_merkle_root(&transactions)),
            time: height,
            bits: 0,
            nonce: 0,
        };
        // Any name will do: who calls the crate knows the block's hash.
        let hash = BlockHash::from_byte_array(hash(header.to_bytes()));
        Self { hash, header, height, world, coinbase, transactions, after_v20 }
    }

    pub fn block_ref(&self) -> BlockRef<'_> {
        BlockRef { hash: self.hash, header: &self.header, height: self.height }
    }

    /// Diff from genesis.
    pub fn full_diff(&self) -> MnListDiff {
        self.diff_from(genesis_hash(), &World::default())
    }

    pub fn diff_since(&self, base: &Self) -> MnListDiff {
        self.diff_from(base.hash, &base.world)
    }

    fn diff_from(&self, base_block_hash: BlockHash, base: &World) -> MnListDiff {
        let name = |id: &u16| DeletedQuorum {
            llmq_type: quorum(*id).llmq_type,
            quorum_hash: quorum(*id).quorum_hash,
        };
        let gone = base.masternodes.keys().filter(|id| !self.world.masternodes.contains_key(id));
        let changed =
            self.world.masternodes.iter().filter(|(id, revision)| base.masternodes.get(id) != Some(revision));
        let mut new_quorums: Vec<u16> =
            self.world.quorums.iter().filter(|id| !base.quorums.contains(id)).copied().collect();
        new_quorums.sort_by_key(name);
        let mut deleted_quorums: Vec<_> =
            base.quorums.iter().filter(|id| !self.world.quorums.contains(id)).map(name).collect();
        deleted_quorums.sort();
        let (merkle_hashes, merkle_flags) = coinbase_proof(&self.transactions);
        MnListDiff {
            version: 1,
            base_block_hash,
            block_hash: self.hash,
            total_transactions: u32::try_from(self.transactions.len()).unwrap(),
            merkle_hashes,
            merkle_flags,
            coinbase_tx: self.coinbase.clone(),
            deleted_masternodes: gone.map(|id| masternode(*id, 0).pro_reg_tx_hash).collect(),
            new_masternodes: changed.map(|(id, revision)| masternode(*id, *revision)).collect(),
            deleted_quorums,
            quorums_chainlock_signatures: if self.after_v20 { signatures(&new_quorums) } else { Vec::new() },
            new_quorums: new_quorums.into_iter().map(quorum).collect(),
        }
    }
}

/// From genesis to a block.
pub fn state_at(block: &Block) -> ProvenState {
    advance(&ProvenState::genesis(genesis_hash()), block.full_diff(), block).unwrap()
}

pub fn advance(state: &ProvenState, diff: MnListDiff, block: &Block) -> Result<ProvenState, ProofError> {
    state.advance(&CheckedDiff::check(diff, block.block_ref())?)
}

pub fn payload(height: u32, world: &World, after_v20: bool) -> CoinbasePayload {
    let mut masternodes: Vec<_> = world.masternodes.iter().map(|(id, rev)| masternode(*id, *rev)).collect();
    masternodes.sort_by_key(|entry| entry.pro_reg_tx_hash.to_byte_array());
    let leaves: Vec<_> = masternodes
        .iter()
        .map(|entry| hash(&serialize(entry)[2..])) // all but the version
        .collect();
    let mut quorums: Vec<_> = world.quorums.iter().map(|id| hash(serialize(&quorum(*id)))).collect();
    quorums.sort();
    CoinbasePayload {
        version: if after_v20 { 3 } else { 2 },
        height: i32::try_from(height).unwrap(),
        merkle_root_masternode_list: MerkleRootMasternodeList::from_byte_array(slow_merkle_root(&leaves)),
        merkle_root_quorums: Some(MerkleRootQuorums::from_byte_array(slow_merkle_root(&quorums))),
        chain_lock: after_v20.then(|| BestChainLock {
            best_cl_height_diff: 0,
            best_cl_signature: BLSSignature::from_bytes([7; 96]),
            asset_locked_amount: 1,
        }),
        merkle_root_asset_unlocks: None,
        unknown: Vec::new(),
    }
}

pub fn coinbase(height: u32, world: &World, after_v20: bool) -> Transaction {
    coinbase_with(serialize(&payload(height, world, after_v20)))
}

pub fn coinbase_with(extra_payload: Vec<u8>) -> Transaction {
    Transaction {
        version: 3,
        tx_type: COINBASE_TX_TYPE,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::all_zeros(), vout: u32::MAX },
            script_sig: vec![1, 2, 3],
            sequence: u32::MAX,
        }],
        output: vec![TxOut { value: 100_000_000, script_pubkey: vec![0x51] }],
        lock_time: 0,
        extra_payload,
    }
}

fn signatures(new_quorums: &[u16]) -> Vec<QuorumCLSigObject> {
    let mut groups: BTreeMap<[u8; 32], QuorumCLSigObject> = BTreeMap::new();
    for (index, id) in (0..).zip(new_quorums) {
        let signature = chain_lock_signature(*id).unwrap_or_default();
        let group = groups
            .entry(hash(signature.as_bytes()))
            .or_insert_with(|| QuorumCLSigObject { signature, index_set: Vec::new() });
        group.index_set.push(index);
    }
    groups.into_values().collect()
}

pub fn slow_merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => [0; 32],
        [root] => *root,
        _ => {
            let parents: Vec<_> =
                leaves.chunks(2).map(|pair| hash([pair[0], *pair.last().unwrap()].concat())).collect();
            slow_merkle_root(&parents)
        }
    }
}

/// Depth first: down the left edge to the coinbase, then each right sibling on the way up.
pub fn coinbase_proof(transactions: &[[u8; 32]]) -> (Vec<TxMerkleNode>, Vec<u8>) {
    let mut hashes = vec![transactions[0]];
    let mut bits = vec![true];
    let mut level = transactions.to_vec();
    while level.len() > 1 {
        hashes.push(level[1]);
        bits.insert(0, true);
        bits.push(false);
        level = level.chunks(2).map(|pair| hash([pair[0], *pair.last().unwrap()].concat())).collect();
    }
    let flags = bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |flags, (bit, &set)| flags | u8::from(set) << bit))
        .collect();
    (hashes.into_iter().map(TxMerkleNode::from_byte_array).collect(), flags)
}
