//! Masternodes with keys of their own, states that list them, and the commitments that they would sign.
#![allow(dead_code, unreachable_pub, reason = "each test file uses another part")]

use std::sync::Arc;

use dash_pkc::bls::{BlsScChia, BlsScIetf, BlsScheme as Scheme, BlsSecretKey, BlsSignature};
use dashcore::blockdata::transaction::special_transaction::coinbase::{BestChainLock, CoinbasePayload};
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::consensus::{Encodable, serialize};
use dashcore::hash_types::{
    ConfirmedHash, MerkleRootMasternodeList, MerkleRootQuorums, PubkeyHash, QuorumVVecHash, TxMerkleNode,
};
use dashcore::network::message_sml::{MnListDiff, QuorumCLSigObject};
use dashcore::sml::address::ServiceAddress;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use dashcore::{BlockHash, ChainParams, Header, Network, ProTxHash, QuorumHash};
use spv_masternodes::members::Members;
use spv_masternodes::{BlockRef, CheckedDiff, ProvenState};

use super::support::{coinbase_with, genesis_hash, hash, slow_merkle_root};

/// A local network where the basic scheme or the legacy one is in use all the time, and a rotated kind of 3 quorums
/// with 8 members each.
pub fn params(basic: bool) -> ChainParams {
    let mut params = ChainParams::new(Network::Regtest);
    let activation = &mut params.activation;
    activation.dip3 = 2;
    (activation.v19, activation.v20) = if basic { (1, 300) } else { (u32::MAX, u32::MAX) };
    let rotated = params.llmqs.iter_mut().find(|llmq| llmq.rotated).unwrap();
    *rotated = LLMQParams { size: 8, min_size: 6, threshold: 5, signing_active_quorum_count: 4, ..*rotated };
    params
}

fn secret<S: Scheme>(id: u16) -> BlsSecretKey<S> {
    BlsSecretKey::from_ikm(&hash(id.to_le_bytes())).unwrap()
}

fn secret_of<S: Scheme>(member: &MasternodeListEntry) -> BlsSecretKey<S> {
    let id = (0..1_000).find(|id| name(*id) == member.pro_reg_tx_hash).unwrap();
    secret(id)
}

pub fn name(id: u16) -> ProTxHash {
    ProTxHash::from_byte_array(hash(id.to_be_bytes()))
}

/// Masternode number `id`: every third one is an EvoNode where there are any.
pub fn masternode(id: u16, basic: bool) -> MasternodeListEntry {
    let [low, high] = id.to_le_bytes();
    MasternodeListEntry {
        version: if basic { 2 } else { 1 },
        pro_reg_tx_hash: name(id),
        confirmed_hash: Some(ConfirmedHash::from_byte_array(hash([low, high, 1]))),
        service_address: ServiceAddress::Socket(([10, 0, high, low], 9999).into()),
        operator_public_key: BLSPublicKey::from_bytes(if basic {
            secret::<BlsScIetf>(id).public_key().to_bytes()
        } else {
            secret::<BlsScChia>(id).public_key().to_bytes()
        }),
        key_id_voting: PubkeyHash::from_byte_array([low; 20]),
        is_valid: true,
        mn_type: if basic && id.is_multiple_of(3) {
            EntryMasternodeType::HighPerformance {
                platform_http_port: Some(443),
                platform_node_id: PubkeyHash::from_byte_array(*hash([low, high, 2]).first_chunk().unwrap()),
            }
        } else {
            EntryMasternodeType::Regular
        },
    }
}

/// A block that commits to this list and these quorums, and the diff to it from genesis.
pub struct ListBlock {
    pub header: Header,
    pub hash: BlockHash,
    pub height: u32,
    pub diff: MnListDiff,
}

impl ListBlock {
    pub fn new(
        height: u32,
        mut masternodes: Vec<MasternodeListEntry>,
        quorums: Vec<QuorumEntry>,
        chain_lock: Option<BLSSignature>,
    ) -> Self {
        masternodes.sort_by_key(|entry| entry.pro_reg_tx_hash);
        let leaves: Vec<_> = masternodes.iter().map(|entry| hash(&serialize(entry)[2..])).collect();
        let mut quorum_leaves: Vec<_> = quorums.iter().map(|entry| hash(serialize(entry))).collect();
        quorum_leaves.sort_unstable();
        let payload = CoinbasePayload {
            version: if chain_lock.is_some() { 3 } else { 2 },
            height: i32::try_from(height).unwrap(),
            merkle_root_masternode_list: MerkleRootMasternodeList::from_byte_array(slow_merkle_root(&leaves)),
            merkle_root_quorums: Some(MerkleRootQuorums::from_byte_array(slow_merkle_root(&quorum_leaves))),
            chain_lock: chain_lock.map(|best_cl_signature| BestChainLock {
                best_cl_height_diff: 0,
                best_cl_signature,
                asset_locked_amount: 0,
            }),
            merkle_root_asset_unlocks: None,
            unknown: Vec::new(),
        };
        let coinbase_tx = coinbase_with(serialize(&payload));
        let merkle_root = TxMerkleNode::from(coinbase_tx.txid());
        let header = Header {
            version: 4,
            prev_blockhash: genesis_hash(),
            merkle_root,
            time: height,
            bits: 0,
            nonce: 0,
        };
        let block_hash = BlockHash::from_byte_array(hash(header.to_bytes()));
        let all = (0..u16::try_from(quorums.len()).unwrap()).collect();
        let signatures = chain_lock.filter(|_| !quorums.is_empty());
        let diff = MnListDiff {
            version: 1,
            base_block_hash: genesis_hash(),
            block_hash,
            total_transactions: 1,
            merkle_hashes: vec![merkle_root],
            merkle_flags: vec![1],
            coinbase_tx,
            deleted_masternodes: Vec::new(),
            new_masternodes: masternodes,
            deleted_quorums: Vec::new(),
            new_quorums: quorums,
            quorums_chainlock_signatures: signatures
                .map(|_| QuorumCLSigObject { signature: BLSSignature::default(), index_set: all })
                .into_iter()
                .collect(),
        };
        Self { header, hash: block_hash, height, diff }
    }

    pub fn prove(&self, diff: MnListDiff) -> Result<ProvenState, spv_masternodes::ProofError> {
        let block = BlockRef { hash: self.hash, header: &self.header, height: self.height };
        ProvenState::genesis(genesis_hash()).advance(&CheckedDiff::check(diff, block)?)
    }

    pub fn state(&self) -> ProvenState {
        self.prove(self.diff.clone()).unwrap()
    }
}

/// The block hash that quorums with their base at this height are named by.
pub fn quorum_hash(base_height: u32) -> QuorumHash {
    QuorumHash::from_byte_array(hash(base_height.to_le_bytes()))
}

/// The commitment of a quorum whose members all took part, and all but the first one signed.
pub fn commitment(llmq: &LLMQParams, base_height: u32, members: &Members, basic: bool) -> Arc<QuorumEntry> {
    let index = llmq.rotated.then(|| i16::try_from(base_height % llmq.dkg_interval).unwrap());
    let of_members = |bit: usize| bit < members.len();
    let mut entry = QuorumEntry {
        version: 1 + u16::from(llmq.rotated) + 2 * u16::from(basic),
        llmq_type: llmq.llmq_type,
        quorum_hash: quorum_hash(base_height),
        quorum_index: index,
        signers: (0..llmq.size as usize).map(|bit| of_members(bit) && (bit > 0 || llmq.size == 1)).collect(),
        valid_members: (0..llmq.size as usize).map(of_members).collect(),
        quorum_public_key: BLSPublicKey::default(),
        quorum_vvec_hash: QuorumVVecHash::from_byte_array(hash(base_height.to_be_bytes())),
        threshold_sig: BLSSignature::default(),
        all_commitment_aggregated_signature: BLSSignature::default(),
    };
    if basic {
        sign::<BlsScIetf>(&mut entry, members)
    } else {
        sign::<BlsScChia>(&mut entry, members)
    }
    Arc::new(entry)
}

/// The commitment of a quorum whose member has shared nothing with anybody.
pub fn unshared(entry: &QuorumEntry, members: &Members) -> Arc<QuorumEntry> {
    let mut entry = QuorumEntry { quorum_vvec_hash: QuorumVVecHash::all_zeros(), ..entry.clone() };
    sign::<BlsScIetf>(&mut entry, members);
    Arc::new(entry)
}

fn sign<S: Scheme>(entry: &mut QuorumEntry, members: &Members) {
    let key = quorum_secret::<S>(&entry.quorum_hash);
    entry.quorum_public_key = BLSPublicKey::from_bytes(key.public_key().to_bytes());
    let hash = commitment_hash(entry);
    entry.threshold_sig = BLSSignature::from_bytes(key.sign_digest(&hash).to_bytes());
    let signers: Vec<_> = members
        .iter()
        .zip(entry.signers.iter())
        .filter(|(_, signs)| *signs)
        .map(|(member, _)| secret_of::<S>(member))
        .collect();
    let signatures: Vec<_> = signers.iter().map(|secret| secret.sign_digest(&hash)).collect();
    let keys: Vec<_> = signers.iter().map(BlsSecretKey::public_key).collect();
    let aggregate = match &signatures[..] {
        [signature] => *signature,
        _ => {
            let signatures: Vec<_> = signatures.iter().collect();
            BlsSignature::secure_aggregate(&signatures, &keys.iter().collect::<Vec<_>>()).unwrap()
        }
    };
    entry.all_commitment_aggregated_signature = BLSSignature::from_bytes(aggregate.to_bytes());
}

fn quorum_secret<S: Scheme>(quorum_hash: &QuorumHash) -> BlsSecretKey<S> {
    BlsSecretKey::from_ikm(&hash(quorum_hash.as_byte_array())).unwrap()
}

pub fn commitment_hash(entry: &QuorumEntry) -> [u8; 32] {
    let mut bytes = vec![entry.llmq_type.0];
    bytes.extend(entry.quorum_hash.to_byte_array());
    entry.valid_members.consensus_encode(&mut bytes);
    bytes.extend(entry.quorum_public_key.as_bytes());
    bytes.extend(entry.quorum_vvec_hash.to_byte_array());
    hash(bytes)
}

/// What the quorum answers to a request, in the basic scheme.
pub fn quorum_signature(entry: &QuorumEntry, request_id: [u8; 32], message_hash: [u8; 32]) -> BLSSignature {
    let mut bytes = vec![entry.llmq_type.0];
    bytes.extend(entry.quorum_hash.to_byte_array());
    bytes.extend(request_id);
    bytes.extend(message_hash);
    let key = quorum_secret::<BlsScIetf>(&entry.quorum_hash);
    BLSSignature::from_bytes(key.sign_digest(&hash(bytes)).to_bytes())
}

pub fn llmq(params: &ChainParams, llmq_type: LLMQType) -> &LLMQParams {
    params.llmq(llmq_type).unwrap()
}
