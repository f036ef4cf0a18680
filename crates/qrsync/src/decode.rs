use std::fs;

use anyhow::Context;
use dashcore::blockdata::transaction::special_transaction::coinbase::CoinbasePayload;
use dashcore::consensus::deserialize;
use dashcore::hash_types::{MerkleRootMasternodeList, MerkleRootQuorums, TxMerkleNode};
use dashcore::merkle_tree::{MerkleError, merkle_root};
use dashcore::network::message_qrinfo::{QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, Network};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{DecodeArgs, MessageKind};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: &DecodeArgs) -> anyhow::Result<Exit> {
    let path = args.file.display();
    let payload = fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let malformed = |kind: &str| {
        format!(
            "{path} is no {kind} payload of protocol 70230 or later; give the payload without its 24-byte frame"
        )
    };
    let (report, wrong) = match args.kind {
        MessageKind::Qrinfo => {
            let info: QRInfo =
                deserialize(&payload).map_err(|error| anyhow::anyhow!("{error}: {}", malformed("qrinfo")))?;
            (describe_qrinfo(&info, payload.len()), wrong_in_qrinfo(&info))
        }
        MessageKind::Mnlistdiff => {
            let diff: MnListDiff = deserialize(&payload)
                .map_err(|error| anyhow::anyhow!("{error}: {}", malformed("mnlistdiff")))?;
            (describe_diff_file(&diff, payload.len())?, wrong_in_diff(&diff).map(str::to_owned))
        }
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::text(&serde_json::to_string_pretty(&report)?)?;
    }
    match wrong {
        Some(wrong) => anyhow::bail!("{path}: {wrong}"),
        None => Ok(Exit::Ok),
    }
}

/// The first diff in which something is wrong, and what.
fn wrong_in_qrinfo(info: &QRInfo) -> Option<String> {
    let minus_4c = info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.as_ref().map(|(_, diff)| diff);
    let always = [
        &info.mn_list_diff_tip,
        &info.mn_list_diff_h,
        &info.mn_list_diff_at_h_minus_c,
        &info.mn_list_diff_at_h_minus_2c,
        &info.mn_list_diff_at_h_minus_3c,
    ];
    let diffs = always.into_iter().chain(minus_4c).chain(&info.mn_list_diff_list);
    diffs.into_iter().find_map(|diff| {
        wrong_in_diff(diff).map(|wrong| format!("in the diff to block {}, {wrong}", diff.block_hash))
    })
}

/// The first thing that is wrong, as far as it can be checked without the list at the base and without the header.
fn wrong_in_diff(diff: &MnListDiff) -> Option<&'static str> {
    if proof_of_coinbase(diff).is_none() {
        return Some("the merkle proof is not one of the coinbase");
    }
    let Ok(coinbase) = diff.coinbase_tx.coinbase_payload() else {
        return Some("the payload of the coinbase cannot be decoded");
    };
    let coinbase = coinbase.as_ref();
    match Roots::of(diff) {
        Ok(Some(roots)) if !roots.list(coinbase).matches || !roots.quorums(coinbase).matches => {
            Some("the computed roots are not those of the coinbase")
        }
        Ok(_) => None,
        Err(_) => Some("two neighbouring entries are the same, so the roots do not tell which list it is"),
    }
}

fn describe_qrinfo(info: &QRInfo, bytes: usize) -> Value {
    let minus_4c = info.quorum_snapshot_and_mn_list_diff_at_h_minus_4c.as_ref();
    let extra = info.quorum_snapshot_list.iter().zip(&info.mn_list_diff_list);
    json!({
        "message": "qrinfo",
        "bytes": bytes,
        "mn_list_diff_tip": describe_diff(&info.mn_list_diff_tip),
        "mn_list_diff_h": describe_diff(&info.mn_list_diff_h),
        "h_minus_c": describe_cycle(&info.quorum_snapshot_at_h_minus_c, &info.mn_list_diff_at_h_minus_c),
        "h_minus_2c": describe_cycle(&info.quorum_snapshot_at_h_minus_2c, &info.mn_list_diff_at_h_minus_2c),
        "h_minus_3c": describe_cycle(&info.quorum_snapshot_at_h_minus_3c, &info.mn_list_diff_at_h_minus_3c),
        "h_minus_4c": minus_4c.map(|(snapshot, diff)| describe_cycle(snapshot, diff)),
        "last_commitment_per_index": info.last_commitment_per_index.len(),
        "extra_cycles": extra.map(|(snapshot, diff)| describe_cycle(snapshot, diff)).collect::<Vec<_>>(),
    })
}

fn describe_cycle(snapshot: &QuorumSnapshot, diff: &MnListDiff) -> Value {
    json!({
        "snapshot": {
            "mode": snapshot.skip_list_mode as i32,
            "masternodes": snapshot.active_quorum_members.len(),
            "used": snapshot.active_quorum_members.count_ones(),
            "skips": snapshot.skip_list.len(),
        },
        "mn_list_diff": describe_diff(diff),
    })
}

#[derive(Serialize)]
struct DiffReport {
    base_block_hash: BlockHash,
    block_hash: BlockHash,
    height: Option<i32>,
    total_transactions: u32,
    coinbase_txid: dashcore::Txid,
    coinbase_proven_under: Option<TxMerkleNode>,
    deleted_masternodes: usize,
    masternodes: usize,
    deleted_quorums: usize,
    new_quorums: usize,
    chain_lock_signatures: usize,
}

fn describe_diff(diff: &MnListDiff) -> DiffReport {
    DiffReport {
        base_block_hash: diff.base_block_hash,
        block_hash: diff.block_hash,
        height: diff.coinbase_tx.coinbase_payload().ok().flatten().map(|payload| payload.height),
        total_transactions: diff.total_transactions,
        coinbase_txid: diff.coinbase_tx.txid(),
        coinbase_proven_under: proof_of_coinbase(diff),
        deleted_masternodes: diff.deleted_masternodes.len(),
        masternodes: diff.new_masternodes.len(),
        deleted_quorums: diff.deleted_quorums.len(),
        new_quorums: diff.new_quorums.len(),
        chain_lock_signatures: diff.quorums_chainlock_signatures.len(),
    }
}

/// The transaction root that a header has to have for the coinbase to be in its block; `None` if the proof is none.
fn proof_of_coinbase(diff: &MnListDiff) -> Option<TxMerkleNode> {
    let proof = diff.partial_merkle_tree().extract_matches().ok()?;
    (proof.transactions == [(0, diff.coinbase_tx.txid())]).then_some(proof.root)
}

#[derive(Serialize)]
struct Root {
    computed: String,
    coinbase: Option<String>,
    matches: bool,
}

impl Root {
    fn new(computed: String, coinbase: Option<String>) -> Self {
        // A coinbase below version 2 has no quorum root to compare with.
        let matches = coinbase.as_ref().is_none_or(|coinbase| *coinbase == computed);
        Self { computed, coinbase, matches }
    }
}

/// The roots of a whole list, as they are computed.
struct Roots {
    list: MerkleRootMasternodeList,
    quorums: MerkleRootQuorums,
}

impl Roots {
    /// A diff from genesis is a whole list; others cannot be computed without the list at their base.
    fn of(diff: &MnListDiff) -> Result<Option<Self>, MerkleError> {
        if !is_from_genesis(diff) {
            return Ok(None);
        }
        let mut entries: Vec<_> = diff.new_masternodes.iter().collect();
        entries.sort_unstable_by_key(|entry| entry.pro_reg_tx_hash);
        let list = merkle_root(entries.into_iter().map(|entry| entry.entry_hash()).collect())?;
        let mut commitments: Vec<_> = diff.new_quorums.iter().map(|quorum| quorum.entry_hash()).collect();
        commitments.sort_unstable();
        let quorums = merkle_root(commitments)?;
        Ok(Some(Self {
            list: MerkleRootMasternodeList::from_byte_array(list),
            quorums: MerkleRootQuorums::from_byte_array(quorums),
        }))
    }

    fn list(&self, coinbase: Option<&CoinbasePayload>) -> Root {
        let named = coinbase.map(|payload| payload.merkle_root_masternode_list.to_string());
        Root::new(self.list.to_string(), named)
    }

    fn quorums(&self, coinbase: Option<&CoinbasePayload>) -> Root {
        let named = coinbase.and_then(|payload| payload.merkle_root_quorums).map(|root| root.to_string());
        Root::new(self.quorums.to_string(), named)
    }
}

fn describe_diff_file(diff: &MnListDiff, bytes: usize) -> anyhow::Result<Value> {
    let mut report = json!({ "message": "mnlistdiff", "bytes": bytes, "version": diff.version });
    merge(&mut report, serde_json::to_value(describe_diff(diff))?);
    if let Ok(Some(roots)) = Roots::of(diff) {
        let coinbase = diff.coinbase_tx.coinbase_payload().ok().flatten();
        let (list, quorums) = (roots.list(coinbase.as_ref()), roots.quorums(coinbase.as_ref()));
        merge(&mut report, json!({ "merkle_root_mn_list": list, "merkle_root_quorums": quorums }));
    }
    Ok(report)
}

fn is_from_genesis(diff: &MnListDiff) -> bool {
    let networks = [Network::Dash, Network::Testnet, Network::Regtest];
    diff.base_block_hash.is_null()
        || networks.into_iter().any(|network| ChainParams::new(network).genesis_hash == diff.base_block_hash)
}

fn merge(report: &mut Value, more: Value) {
    if let (Value::Object(report), Value::Object(more)) = (report, more) {
        report.extend(more);
    }
}
