use std::fs;

use anyhow::Context;
use dashcore::consensus::deserialize;
use dashcore::merkle_tree::merkle_root;
use dashcore::network::message_qrinfo::{QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::MnListDiff;
use dashcore::{BlockHash, ChainParams, Network};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{DecodeArgs, MessageKind};
use crate::exit::{Exit, NotVerified};
use crate::output;

pub(crate) fn run(args: &DecodeArgs) -> anyhow::Result<Exit> {
    let path = args.file.display();
    let payload = fs::read(&args.file).with_context(|| format!("cannot read {path}"))?;
    let malformed = |kind: &str| {
        format!(
            "{path} is no {kind} payload of protocol 70230 or later; give the payload without its 24-byte frame"
        )
    };
    let (report, roots_match) = match args.kind {
        MessageKind::Qrinfo => {
            let info: QRInfo =
                deserialize(&payload).map_err(|error| anyhow::anyhow!("{error}: {}", malformed("qrinfo")))?;
            (describe_qrinfo(&info, payload.len()), true)
        }
        MessageKind::Mnlistdiff => {
            let diff: MnListDiff = deserialize(&payload)
                .map_err(|error| anyhow::anyhow!("{error}: {}", malformed("mnlistdiff")))?;
            describe_diff_file(&diff, payload.len())?
        }
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::text(&serde_json::to_string_pretty(&report)?)?;
    }
    if !roots_match {
        return Err(NotVerified(format!("{path}: the computed roots are not those of the coinbase")).into());
    }
    Ok(Exit::Ok)
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
    coinbase_proven_under: Option<dashcore::hash_types::TxMerkleNode>,
    deleted_masternodes: usize,
    masternodes: usize,
    deleted_quorums: usize,
    new_quorums: usize,
    chain_lock_signatures: usize,
}

/// `coinbase_proven_under` is the transaction root that a header has to have for the coinbase to be in its block.
fn describe_diff(diff: &MnListDiff) -> DiffReport {
    let coinbase_txid = diff.coinbase_tx.txid();
    let proof = diff.partial_merkle_tree().extract_matches().ok();
    DiffReport {
        base_block_hash: diff.base_block_hash,
        block_hash: diff.block_hash,
        height: diff.coinbase_tx.coinbase_payload().ok().flatten().map(|payload| payload.height),
        total_transactions: diff.total_transactions,
        coinbase_txid,
        coinbase_proven_under: proof
            .filter(|proof| proof.transactions == [(0, coinbase_txid)])
            .map(|proof| proof.root),
        deleted_masternodes: diff.deleted_masternodes.len(),
        masternodes: diff.new_masternodes.len(),
        deleted_quorums: diff.deleted_quorums.len(),
        new_quorums: diff.new_quorums.len(),
        chain_lock_signatures: diff.quorums_chainlock_signatures.len(),
    }
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

/// A diff from genesis is a whole list, so its roots can be computed.
fn describe_diff_file(diff: &MnListDiff, bytes: usize) -> anyhow::Result<(Value, bool)> {
    let mut report = json!({ "message": "mnlistdiff", "bytes": bytes, "version": diff.version });
    merge(&mut report, serde_json::to_value(describe_diff(diff))?);
    if !is_from_genesis(diff) {
        return Ok((report, true));
    }
    let coinbase = diff.coinbase_tx.coinbase_payload()?;
    let mut entries: Vec<_> = diff.new_masternodes.iter().collect();
    entries.sort_unstable_by_key(|entry| entry.pro_reg_tx_hash);
    let list_root = merkle_root(entries.into_iter().map(|entry| entry.entry_hash()).collect())?;
    let mut commitments: Vec<_> = diff.new_quorums.iter().map(|quorum| quorum.entry_hash()).collect();
    commitments.sort_unstable();
    let quorum_root = merkle_root(commitments)?;
    let list_root = Root::new(
        dashcore::hash_types::MerkleRootMasternodeList::from_byte_array(list_root).to_string(),
        coinbase.as_ref().map(|payload| payload.merkle_root_masternode_list.to_string()),
    );
    let quorum_root = Root::new(
        dashcore::hash_types::MerkleRootQuorums::from_byte_array(quorum_root).to_string(),
        coinbase.as_ref().and_then(|payload| payload.merkle_root_quorums).map(|root| root.to_string()),
    );
    let matches = list_root.matches && quorum_root.matches;
    merge(&mut report, json!({ "merkle_root_mn_list": list_root, "merkle_root_quorums": quorum_root }));
    Ok((report, matches))
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
