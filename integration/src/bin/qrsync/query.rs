use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, ChainParams, ProTxHash};
use serde::Serialize;
use spv_integration::store::{Finding, Store};
use spv_masternodes::{ActiveQuorum, ProvenState};

use crate::args::{DataArgs, QueryArgs, QuorumArgs};
use crate::exit::Exit;
use crate::output;

#[derive(Serialize)]
struct Status {
    network: String,
    tip: Option<Tip>,
    headers: u64,
    lists: u64,
    lowest_list: Option<u32>,
    highest_list: Option<u32>,
}

#[derive(Serialize)]
struct Tip {
    height: u32,
    hash: BlockHash,
}

#[derive(Serialize)]
struct Masternodes {
    height: u32,
    block_hash: BlockHash,
    merkle_root: String,
    count: usize,
    valid: usize,
    evo: usize,
    masternodes: Vec<Masternode>,
}

#[derive(Serialize)]
struct Masternode {
    pro_tx_hash: ProTxHash,
    confirmed_hash: Option<dashcore::hash_types::ConfirmedHash>,
    service: String,
    pub_key_operator: String,
    key_id_voting: dashcore::hash_types::PubkeyHash,
    valid: bool,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Quorums {
    height: u32,
    quorums: Vec<Quorum>,
}

#[derive(Serialize)]
struct Quorum {
    #[serde(rename = "type")]
    llmq_type: LLMQType,
    quorum_hash: dashcore::QuorumHash,
    index: i16,
    /// Height of the base block; `null` where it is below the stored headers.
    height: Option<u32>,
    public_key: String,
    /// In order; empty unless verified.
    members: Vec<ProTxHash>,
    verified: bool,
    /// What the check of its signatures found; `not_checked` when there was none.
    finding: &'static str,
}

pub(crate) fn status(args: &DataArgs) -> anyhow::Result<Exit> {
    let (store, _) = open(args)?;
    let lists = store.lists()?;
    let status = Status {
        network: store.network().to_string(),
        tip: store.tip()?.map(|(height, hash)| Tip { height, hash }),
        headers: store.header_count()?,
        lists: lists.len() as u64,
        lowest_list: lists.first().map(|(height, _)| *height),
        highest_list: lists.last().map(|(height, _)| *height),
    };
    if args.json {
        output::json(&status)?;
        return Ok(Exit::Ok);
    }
    let tip = status.tip.map_or_else(|| "none".to_owned(), |tip| format!("{} {}", tip.height, tip.hash));
    let range = match (status.lowest_list, status.highest_list) {
        (Some(lowest), Some(highest)) => format!(", heights {lowest} to {highest}"),
        _ => String::new(),
    };
    output::text(&format!(
        "network  {}\ntip      {tip}\nheaders  {}\nlists    {}{range}",
        status.network, status.headers, status.lists
    ))?;
    Ok(Exit::Ok)
}

pub(crate) fn masternodes(args: &QueryArgs) -> anyhow::Result<Exit> {
    let (store, state) = state(args)?;
    let known_evo = store.evo_nodes(state.height())?;
    let list = state.masternodes();
    let masternodes: Vec<Masternode> = list
        .iter()
        .map(|entry| Masternode {
            pro_tx_hash: entry.pro_reg_tx_hash,
            confirmed_hash: entry.confirmed_hash,
            service: entry.service_address.to_string(),
            pub_key_operator: entry.operator_public_key.to_string(),
            key_id_voting: entry.key_id_voting,
            valid: entry.is_valid,
            kind: kind(entry.is_evo(), entry.pro_reg_tx_hash, &known_evo),
        })
        .collect();
    let answer = Masternodes {
        height: state.height(),
        block_hash: state.block_hash(),
        merkle_root: list.merkle_root().to_string(),
        count: list.len(),
        valid: list.valid_count(),
        evo: masternodes.iter().filter(|masternode| masternode.kind == EVO).count(),
        masternodes,
    };
    if args.data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    let mut text = format!(
        "{} masternodes at height {} ({}): {} valid, {} Evo; merkle root {}",
        answer.count, answer.height, answer.block_hash, answer.valid, answer.evo, answer.merkle_root
    );
    for masternode in &answer.masternodes {
        let valid = if masternode.valid { "valid " } else { "banned" };
        text.push_str(&format!(
            "\n{}  {valid}  {:7}  {}",
            masternode.pro_tx_hash, masternode.kind, masternode.service
        ));
    }
    output::text(&text)?;
    Ok(Exit::Ok)
}

pub(crate) fn quorums(args: &QueryArgs) -> anyhow::Result<Exit> {
    let (store, state) = state(args)?;
    let quorums =
        state.quorums().iter().map(|quorum| describe(&store, quorum)).collect::<anyhow::Result<_>>()?;
    print_quorums(&Quorums { height: state.height(), quorums }, args.data.json)
}

pub(crate) fn quorum(args: &QuorumArgs) -> anyhow::Result<Exit> {
    let (store, state) = state(&args.query)?;
    let Some(quorum) = state.quorums().get(LLMQType(args.llmq_type), args.hash) else {
        bail!(
            "no active quorum of type {} with hash {} at height {}; `qrsync quorums --height {}` lists all",
            args.llmq_type,
            args.hash,
            state.height(),
            state.height()
        );
    };
    let quorums = vec![describe(&store, quorum)?];
    print_quorums(&Quorums { height: state.height(), quorums }, args.query.data.json)
}

const EVO: &str = "Evo";
const REGULAR: &str = "Regular";

/// A revoked EvoNode's entry does not say its type, but earlier lists did.
fn kind(entry_says_evo: bool, name: ProTxHash, known_evo: &BTreeSet<ProTxHash>) -> &'static str {
    if entry_says_evo || known_evo.contains(&name) { EVO } else { REGULAR }
}

fn print_quorums(answer: &Quorums, json: bool) -> anyhow::Result<Exit> {
    if json {
        output::json(answer)?;
        return Ok(Exit::Ok);
    }
    let mut text = format!("{} active quorums at height {}", answer.quorums.len(), answer.height);
    for quorum in &answer.quorums {
        let height = quorum.height.map_or_else(|| "-".to_owned(), |height| height.to_string());
        let verified = quorum.finding.replace('_', " ");
        text.push_str(&format!(
            "\n{:>3}  {}  index {:>2}  base {height}  {verified}",
            quorum.llmq_type, quorum.quorum_hash, quorum.index
        ));
    }
    output::text(&text)?;
    Ok(Exit::Ok)
}

fn describe(store: &Store, quorum: &ActiveQuorum) -> anyhow::Result<Quorum> {
    let entry = &quorum.entry;
    let row = store.quorum(entry.llmq_type, entry.quorum_hash, quorum.entry_hash)?;
    let finding = row.as_ref().map(|row| row.finding);
    Ok(Quorum {
        llmq_type: entry.llmq_type,
        quorum_hash: entry.quorum_hash,
        index: entry.quorum_index.unwrap_or(0),
        height: store.height_of(&entry.quorum_hash.into())?,
        public_key: entry.quorum_public_key.to_string(),
        members: row.map(|row| row.members).unwrap_or_default(),
        verified: finding.is_some_and(Finding::is_verified),
        finding: finding.map_or("not_checked", Finding::as_str),
    })
}

fn open(args: &DataArgs) -> anyhow::Result<(Store, ChainParams)> {
    let config = args.network.config()?;
    let store = Store::open(&config.data_dir()?)?;
    let params = ChainParams::new(store.network().clone());
    Ok((store, params))
}

fn state(args: &QueryArgs) -> anyhow::Result<(Store, Arc<ProvenState>)> {
    let (store, params) = open(&args.data)?;
    let heights: Vec<u32> = store.lists()?.into_iter().map(|(height, _)| height).collect();
    let Some(&newest) = heights.last() else {
        bail!("no list is stored yet; run `qrsync sync` first");
    };
    let height = args.height.unwrap_or(newest);
    match store.state(&params, height)? {
        Some(state) => Ok((store, state)),
        None => {
            let nearest = heights.iter().min_by_key(|stored| stored.abs_diff(height)).unwrap_or(&newest);
            bail!("no list is stored for height {height}; the nearest one is for height {nearest}");
        }
    }
}
