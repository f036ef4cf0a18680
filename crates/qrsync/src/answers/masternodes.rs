use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use dashcore::ProTxHash;
use dashcore::hash_types::PubkeyHash;
use serde::{Deserialize, Serialize};
use spv_integration::client::At;

use super::block::Block;
use super::masternode::Masternode;
use super::sort::Sort;
use super::{Data, Problem, Question};

/// Which masternodes, and in which order.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MasternodesQuery {
    /// Height of a stored list [default: the newest]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    /// Only those that are valid; --valid=false shows those that are banned
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) valid: Option<bool>,
    /// Only EvoNodes; --evo=false shows the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evo: Option<bool>,
    /// Only those with this IP address, or this address and port
    #[arg(long, value_name = "IP[:PORT]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<IpFilter>,
    /// Only those with this operator key
    #[arg(long, value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operator_key: Option<String>,
    /// Only those with this voting key
    #[arg(long, value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) voting_key: Option<PubkeyHash>,
    /// Order: pro_tx_hash, service, type or valid; a minus before it reverses
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sort: Option<Sort<MasternodeKey>>,
}

/// What masternodes are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum MasternodeKey {
    ProTxHash,
    Service,
    Type,
    Valid,
}

/// An IP address with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct IpFilter {
    ip: IpAddr,
    port: Option<u16>,
}

impl FromStr for IpFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_port = |address: SocketAddr| Self { ip: address.ip(), port: Some(address.port()) };
        let ip = text.parse().map(|ip| Self { ip, port: None });
        let found = ip.ok().or_else(|| text.parse().ok().map(with_port));
        found.ok_or_else(|| format!("{text:?} is no IP address, with or without a port"))
    }
}

impl TryFrom<String> for IpFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<IpFilter> for String {
    fn from(IpFilter { ip, port }: IpFilter) -> Self {
        port.map_or_else(|| ip.to_string(), |port| SocketAddr::new(ip, port).to_string())
    }
}

/// A height, or the newest.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AtHeight {
    /// Height of a stored list [default: the newest]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
}

/// The list at a height, or part of it.
pub(crate) struct AskMasternodes(pub(crate) MasternodesQuery);

/// One masternode of a list.
pub(crate) struct AskMasternode {
    pub(crate) pro_tx_hash: ProTxHash,
    pub(crate) query: AtHeight,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MasternodesAnswer {
    #[serde(flatten)]
    pub(crate) block: Block,
    /// How it is proven: the root of the list stands in the coinbase of its block.
    pub(crate) proof: Cow<'static, str>,
    pub(crate) merkle_root: String,
    /// Of the whole list; so are the next two.
    pub(crate) count: usize,
    pub(crate) valid: usize,
    pub(crate) evo: usize,
    pub(crate) masternodes: Vec<Masternode>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MasternodeAnswer {
    #[serde(flatten)]
    pub(crate) block: Block,
    pub(crate) proof: Cow<'static, str>,
    pub(crate) masternode: Masternode,
}

/// How lists are proven.
const PROOF: &str = "coinbase";

impl Question for AskMasternodes {
    type Query = MasternodesQuery;
    type Answer = MasternodesAnswer;

    fn path(&self) -> String {
        "/v1/masternodes".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &self.0
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let query = self.0.clone();
        let state = data.client.state(at(query.height)).await?;
        let (height, block_hash) = (state.height(), state.block_hash());
        let known_evo = data.read(move |store| store.evo_nodes(height)).await?;
        let block = Block::new(data, height, block_hash).await?;
        data.work(move || {
            let list = state.masternodes();
            let mut masternodes: Vec<Masternode> = Masternode::all(list, &known_evo).collect();
            let evo = masternodes.iter().filter(|masternode| masternode.is_evo()).count();
            masternodes.retain(|masternode| query.selects(masternode));
            if let Some(sort) = query.sort {
                sort.apply(&mut masternodes, |key, masternode| match key {
                    MasternodeKey::ProTxHash => masternode.pro_tx_hash.to_string(),
                    MasternodeKey::Service => in_order(&masternode.service),
                    MasternodeKey::Type => masternode.kind.to_string(),
                    MasternodeKey::Valid => masternode.valid.to_string(),
                });
            }
            MasternodesAnswer {
                block,
                proof: PROOF.into(),
                merkle_root: list.merkle_root().to_string(),
                count: list.len(),
                valid: list.valid_count(),
                evo,
                masternodes,
            }
        })
        .await
    }
}

impl MasternodesQuery {
    fn selects(&self, masternode: &Masternode) -> bool {
        self.valid.is_none_or(|valid| masternode.valid == valid)
            && self.evo.is_none_or(|evo| masternode.is_evo() == evo)
            && self.ip.is_none_or(|IpFilter { ip, port }| masternode.has_address(ip, port))
            && self
                .operator_key
                .as_ref()
                .is_none_or(|key| masternode.pub_key_operator.eq_ignore_ascii_case(key))
            && self.voting_key.is_none_or(|key| masternode.key_id_voting == key)
    }
}

impl Question for AskMasternode {
    type Query = AtHeight;
    type Answer = MasternodeAnswer;

    fn path(&self) -> String {
        format!("/v1/masternodes/{}", self.pro_tx_hash)
    }

    fn query(&self) -> &Self::Query {
        &self.query
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let found = data.client.masternode(self.pro_tx_hash, at(self.query.height)).await?;
        let block = Block::new(data, found.height, found.block_hash).await?;
        let masternode = Masternode::new(&found.entry, found.is_evo);
        Ok(MasternodeAnswer { block, proof: PROOF.into(), masternode })
    }
}

/// The list at this height, or the newest one.
pub(crate) fn at(height: Option<u32>) -> At {
    height.map_or(At::Newest, At::Height)
}

/// A text by which addresses are sorted as numbers.
fn in_order(service: &str) -> String {
    match service.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(address)) => format!("4{:08x}{:04x}", u32::from(*address.ip()), address.port()),
        Ok(SocketAddr::V6(address)) => format!("6{:032x}{:04x}", u128::from(*address.ip()), address.port()),
        Err(_) => format!("9{service}"),
    }
}
