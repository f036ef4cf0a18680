//! Quorums of mainnet as a store holds them, from recorded answers of a node.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashcore::blockdata::block::Header;
use dashcore::consensus::deserialize;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::hash_types::TxMerkleNode;
use dashcore::network::message_qrinfo::QRInfo;
use dashcore::network::message_sml::MnListDiff;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, ChainParams, Network};
use spv_masternodes::chain_lock::BestLock;
use spv_masternodes::{BlockRef, CheckedDiff, resolve};
use tokio_util::sync::CancellationToken;

use super::{Candidate, Findings, Prover, Survey};
use crate::chain::{BlockId, HeaderChain};
use crate::client::{Client, LockError, LookupError, QuorumProof};
use crate::config::Config;
use crate::store::{Finding, ListRow, ProvenList, SnapshotRow, Store};
use crate::verify::Stages;
use crate::verify::Verification;

/// Recorded data is no part of the project: where it is absent, a test says so and passes, except on CI.
fn recorded() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mainnet-2240504");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the recorded data {} is missing", path.display());
    eprintln!("SKIPPED: the recorded data {} is not there", path.display());
    None
}

#[test]
fn the_fixed_seeds_are_valid_masternodes_of_the_recorded_list() {
    let Some(folder) = recorded() else { return };
    let mainnet = Mainnet::read(&folder);
    let tip = mainnet.client.store().state(mainnet.client.params(), mainnet.chain.tip_height());
    let state = tip.unwrap().unwrap();
    let valid = state.masternodes().iter().filter(|entry| entry.is_valid);
    let addresses: BTreeSet<_> = valid.filter_map(|entry| entry.service_address.socket_addr()).collect();
    assert!(mainnet.client.params().fixed_seeds.iter().all(|seed| addresses.contains(seed)));
}

struct Mainnet {
    client: Client,
    chain: HeaderChain,
}

impl Mainnet {
    /// A store with what was recorded. Of the headers only hashes were, so these headers merely link, and take the
    /// proofs of the coinbases at their word.
    fn read(folder: &Path) -> Self {
        let params = ChainParams::new(Network::Dash);
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("heights.json")).unwrap()).unwrap();
        let mut hashes: BTreeMap<u32, BlockHash> = json["by_height"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(height, hash)| (height.parse().unwrap(), hash.as_str().unwrap().parse().unwrap()))
            .collect();
        let info: QRInfo = deserialize(&fs::read(folder.join("qrinfo.bin")).unwrap()).unwrap();
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut diffs: Vec<MnListDiff> = files
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("mnlistdiff_"))
            .map(|path| deserialize(&fs::read(path).unwrap()).unwrap())
            .collect();
        let known: BTreeSet<BlockHash> = diffs.iter().map(|diff| diff.block_hash).collect();
        diffs.extend(
            resolve(&info, |hash| known.contains(hash)).unwrap().into_iter().map(|roled| roled.diff.clone()),
        );
        for diff in &diffs {
            let coinbase = diff.coinbase_tx.coinbase_payload().unwrap().unwrap();
            hashes.insert(u32::try_from(coinbase.height).unwrap(), diff.block_hash);
        }
        let heights: BTreeMap<BlockHash, u32> =
            hashes.iter().map(|(height, hash)| (*hash, *height)).collect();

        let chain = headers(&params, &hashes, &diffs);
        let store = Store::in_memory(&params.network).unwrap();
        store.save_chain(&chain, None).unwrap();
        store.save_answers(&rows(diffs, &heights, &chain), &[], None).unwrap();
        store.save_snapshots(&snapshots(&info, &heights)).unwrap();
        let client = Client::new(params, Config::default(), Arc::new(store)).unwrap();
        Self { client, chain }
    }

    fn survey(&self) -> Survey {
        let store = self.client.store();
        let proven = store.lists().unwrap().into_iter().map(|(height, _)| height).collect();
        let heights = [self.chain.tip_height()];
        Survey::of(store, self.client.params(), &self.chain, &heights, &proven).unwrap()
    }

    fn prover<R>(&self, prove: impl FnOnce(&Prover<'_>) -> R) -> R {
        prove(&Prover {
            store: self.client.store(),
            params: self.client.params(),
            chain: &self.chain,
            verification: Verification::Threads,
            stages: &Stages::default(),
            cancel: &CancellationToken::new(),
            on_judged: &|_| {},
        })
    }

    fn prove_tip(&self) -> Findings {
        let Survey { mut findings, candidates, unlocated, .. } = self.survey();
        self.prover(|prover| {
            findings.extend(prover.check_quorum_signatures(&unlocated).unwrap().findings);
            findings.extend(prover.prove(candidates).unwrap().findings);
        });
        findings
    }
}

fn headers(params: &ChainParams, hashes: &BTreeMap<u32, BlockHash>, diffs: &[MnListDiff]) -> HeaderChain {
    let roots: BTreeMap<BlockHash, TxMerkleNode> = diffs
        .iter()
        .map(|diff| (diff.block_hash, diff.partial_merkle_tree().extract_matches().unwrap().root))
        .collect();
    let mut chain = HeaderChain::starting_at_or_below(params, *hashes.keys().nth(1).unwrap());
    let tip = *hashes.keys().next_back().unwrap();
    for height in chain.start_height() + 1..=tip {
        let made_up = || {
            let mut hash = [0xee; 32];
            hash[..4].copy_from_slice(&height.to_le_bytes());
            BlockHash::from_byte_array(hash)
        };
        let hash = hashes.get(&height).copied().unwrap_or_else(made_up);
        let merkle_root = roots.get(&hash).copied().unwrap_or_else(TxMerkleNode::all_zeros);
        let header = Header { prev_blockhash: chain.tip_hash(), merkle_root, ..params.genesis };
        chain.push_unmined(header, hash);
    }
    chain
}

fn rows(mut diffs: Vec<MnListDiff>, heights: &BTreeMap<BlockHash, u32>, chain: &HeaderChain) -> Vec<ListRow> {
    let genesis = ProvenList::genesis(ChainParams::new(Network::Dash).genesis_hash);
    let mut lists = BTreeMap::from([(0, genesis)]);
    let mut rows = Vec::new();
    while !diffs.is_empty() {
        let before = diffs.len();
        diffs.retain(|diff| {
            let base_height = if diff.base_block_hash.is_null() { 0 } else { heights[&diff.base_block_hash] };
            let Some(base) = lists.get(&base_height) else { return true };
            let height = heights[&diff.block_hash];
            let block = BlockRef { hash: diff.block_hash, header: chain.header(height).unwrap(), height };
            let (list, row) = base.advance(&CheckedDiff::check(diff.clone(), block).unwrap()).unwrap();
            if lists.insert(height, list).is_none() {
                rows.push(row);
            }
            false
        });
        assert!(diffs.len() < before, "a diff has no base");
    }
    rows
}

fn snapshots(info: &QRInfo, heights: &BTreeMap<BlockHash, u32>) -> Vec<SnapshotRow> {
    let fixed = [
        (&info.mn_list_diff_at_h_minus_c, &info.quorum_snapshot_at_h_minus_c),
        (&info.mn_list_diff_at_h_minus_2c, &info.quorum_snapshot_at_h_minus_2c),
        (&info.mn_list_diff_at_h_minus_3c, &info.quorum_snapshot_at_h_minus_3c),
    ];
    let fourth =
        info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.iter().map(|(snapshot, diff)| (diff, snapshot));
    let row = |(diff, snapshot): (&MnListDiff, &dashcore::network::message_qrinfo::QuorumSnapshot)| {
        let work_block = BlockId { height: heights[&diff.block_hash], hash: diff.block_hash };
        SnapshotRow::served(work_block, snapshot.clone())
    };
    fixed.into_iter().chain(fourth).map(row).collect()
}

/// By type, finding and number.
fn counts(findings: &Findings) -> Vec<(u8, Finding, usize)> {
    let mut counts = BTreeMap::new();
    for ((llmq_type, _), finding) in findings {
        *counts.entry((llmq_type.0, *finding)).or_default() += 1;
    }
    counts.into_iter().map(|((llmq_type, finding), count)| (llmq_type, finding, count)).collect()
}

#[tokio::test]
async fn every_active_quorum_of_mainnet_reaches_the_level_that_can_be() {
    let Some(folder) = recorded() else { return };
    let mainnet = Mainnet::read(&folder);
    let findings = mainnet.prove_tip();
    let expected = [
        // Years old, so that no members can be computed; and three whose height was not recorded.
        (1, Finding::SignedByQuorum, 24),
        (2, Finding::Verified, 4),
        (3, Finding::Verified, 1),
        (3, Finding::SignedByQuorum, 3),
        (4, Finding::Verified, 24),
        // Those of the cycle before have retired, and what proves them is there.
        (5, Finding::VerifiedBySigners, 64),
    ];
    assert_eq!(counts(&findings), expected);
    // A second look has nothing left to do.
    let again = mainnet.survey();
    assert_eq!((again.candidates.len(), again.unlocated.len()), (0, 0));
    assert_eq!(again.findings, findings);

    let client = &mainnet.client;
    let tip = mainnet.chain.tip_height();
    for quorum in client.quorums(tip).await.unwrap() {
        let finding = findings[&(quorum.entry.llmq_type, quorum.entry.quorum_hash)];
        let verified = finding.is_verified();
        let (proof, located) = match finding {
            Finding::Verified => (QuorumProof::Verified, true),
            Finding::VerifiedBySigners => (QuorumProof::VerifiedBySigners, true),
            _ => (QuorumProof::SignedByQuorum, false),
        };
        assert_eq!((quorum.proof(), quorum.base_height.is_some()), (proof, located));
        assert_eq!(quorum.members.is_empty(), !verified);
    }
    // Their network has switched them off.
    let refused = client.signer(LLMQType(1), tip - 32, [7; 32]).await.unwrap_err();
    assert!(matches!(refused, LookupError::SwitchedOff { .. }), "{refused}");
}

#[tokio::test]
async fn the_signers_of_mainnet_s_locks_are_found() {
    let Some(folder) = recorded() else { return };
    let mainnet = Mainnet::read(&folder);
    let (client, chain) = (&mainnet.client, &mainnet.chain);
    let chain_lock = async |block_height: u32| {
        let state = client.state(block_height + 1).await.unwrap();
        let best = BestLock::of_coinbase(state.coinbase().unwrap()).unwrap().unwrap();
        assert_eq!(best.block_height, block_height);
        let block_hash = chain.hash(block_height).unwrap();
        ChainLock { block_height, block_hash, signature: best.signature }
    };
    let lock = chain_lock(2_240_079).await;
    let unchecked = client.verify_chain_lock(&lock).await.unwrap_err();
    assert!(
        matches!(unchecked, LockError::Lookup(LookupError::QuorumUnverified { finding: None, .. })),
        "{unchecked}"
    );
    mainnet.prove_tip();
    for block_height in [2_240_079, 2_240_367] {
        let mut lock = chain_lock(block_height).await;
        let signer = client.verify_chain_lock(&lock).await.unwrap().signer;
        assert_eq!((signer.quorum().entry.llmq_type, signer.members().len()), (LLMQType(2), 400));
        lock.block_hash = chain.hash(block_height - 1).unwrap();
        assert!(matches!(client.verify_chain_lock(&lock).await.unwrap_err(), LockError::Signature(_)));
    }

    // Those of the cycle itself and of the one before.
    let cycle_base = 2_240_352;
    for (top_byte, index) in [(0b0000_0000, 0), (0b0111_1100, 31), (0b1000_0100, 1), (0b0100_1000, 18)] {
        let mut request_id = [0x11; 32];
        request_id[31] = top_byte;
        let cycle_hash = chain.hash(cycle_base).unwrap();
        let signers = client.instant_lock_signers(request_id, cycle_hash).await.unwrap();
        let bases: Vec<_> = signers.iter().map(|signer| signer.quorum().base_height).collect();
        let interval = client.params().rotated().dkg_interval;
        assert_eq!(bases, [cycle_base, cycle_base - interval].map(|base| Some(base + index)));
        assert!(signers.iter().all(|signer| signer.members().len() == 60));
    }
    for quorum in client.quorums(chain.tip_height()).await.unwrap() {
        if quorum.entry.llmq_type == client.params().platform_llmq {
            let height = chain.tip_height();
            let signer = client.platform_signer(quorum.entry.quorum_hash, height).await.unwrap();
            assert_eq!((signer.quorum(), signer.members().len()), (&quorum, 100));
        }
    }
}

#[test]
fn an_old_commitment_with_one_wrong_bit_is_not_signed_by_its_quorum() {
    let Some(folder) = recorded() else { return };
    let mainnet = Mainnet::read(&folder);
    let unlocated: Vec<Candidate> = mainnet.survey().unlocated.into_iter().take(3).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for candidate in &unlocated {
        assert_eq!(candidate.entry.llmq_type, LLMQType::LLMQ_50_60);
        let (bit, byte) = (1 << rng.u8(..8), rng.usize(..48));
        type Flip = fn(
            &mut dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry,
            usize,
            u8,
        );
        let flips: [Flip; 4] = [
            |entry, byte, bit| {
                let mut bytes = *entry.threshold_sig.as_bytes();
                bytes[byte] ^= bit;
                entry.threshold_sig = dashcore::bls_sig_utils::BLSSignature::from_bytes(bytes);
            },
            |entry, byte, bit| {
                let mut bytes = *entry.quorum_public_key.as_bytes();
                bytes[byte] ^= bit;
                entry.quorum_public_key = dashcore::bls_sig_utils::BLSPublicKey::from_bytes(bytes);
            },
            |entry, byte, bit| {
                let mut bytes = entry.quorum_vvec_hash.to_byte_array();
                bytes[byte % 32] ^= bit;
                entry.quorum_vvec_hash = dashcore::hash_types::QuorumVVecHash::from_byte_array(bytes);
            },
            |entry, byte, _| {
                let mut bits: Vec<bool> = entry.valid_members.iter().collect();
                bits[byte] ^= true;
                entry.valid_members = bits.into_iter().collect();
            },
        ];
        for (number, flip) in flips.into_iter().enumerate() {
            let mut wrong = candidate.clone();
            flip(Arc::make_mut(&mut wrong.entry), byte, bit);
            let findings =
                mainnet.prover(|prover| prover.check_quorum_signatures(&[wrong])).unwrap().findings;
            assert!(findings.values().all(|finding| finding.is_failure()), "flip {number}: {findings:?}");
        }
    }
}
