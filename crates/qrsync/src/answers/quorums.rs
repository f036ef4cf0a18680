use std::borrow::Cow;

use clap::{Args, ValueEnum};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ProTxHash, QuorumHash};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spv_integration::client;
use spv_integration::store::Finding;

use super::block::Block;
use super::masternodes::{AtHeight, at};
use super::sort::Sort;
use super::{Data, Problem, Question};

/// Which quorums, and in which order.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QuorumsQuery {
    /// Height of a stored list [default: the newest]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    /// Only those of this type: a number, or a name such as llmq_400_60
    #[arg(long = "type", value_name = "TYPE")]
    #[serde(
        rename = "type",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "type_from_text",
        serialize_with = "type_as_text"
    )]
    pub(crate) llmq_type: Option<LLMQType>,
    /// Only those whose key may be used; --verified=false shows the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<bool>,
    /// Only those that this masternode is a member of
    #[arg(long, value_name = "PROTXHASH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<ProTxHash>,
    /// Order: type, height, index, quorum_hash or proof; a minus before it reverses
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sort: Option<Sort<QuorumKey>>,
}

/// What quorums are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum QuorumKey {
    Type,
    Height,
    Index,
    QuorumHash,
    Proof,
}

/// The active quorums at a height, or some of them.
pub(crate) struct AskQuorums(pub(crate) QuorumsQuery);

/// One quorum, with the addresses of its members.
pub(crate) struct AskQuorum {
    pub(crate) llmq_type: LLMQType,
    pub(crate) quorum_hash: QuorumHash,
    pub(crate) query: AtHeight,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QuorumsAnswer {
    #[serde(flatten)]
    pub(crate) block: Block,
    pub(crate) quorums: Vec<Quorum>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quorum {
    #[serde(rename = "type")]
    pub(crate) llmq_type: LLMQType,
    /// As Dash Core calls it; `null` of a type that is not known here.
    pub(crate) type_name: Option<Cow<'static, str>>,
    pub(crate) quorum_hash: QuorumHash,
    pub(crate) index: i16,
    /// Height of the base block; `null` where it is below the stored headers.
    pub(crate) height: Option<u32>,
    pub(crate) public_key: String,
    /// In order; empty unless verified.
    pub(crate) members: Vec<ProTxHash>,
    /// Addresses of the members in the list that proves the quorum, in the same order, where one quorum was asked for;
    /// `null` of a member that the list no longer has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) member_services: Option<Vec<Option<String>>>,
    /// Whether both signatures verify, so that its key is usable.
    pub(crate) verified: bool,
    /// How far it is proven.
    pub(crate) proof: Cow<'static, str>,
    /// What the check of its signatures found; `not_checked` when there was none.
    pub(crate) finding: Cow<'static, str>,
}

impl From<&client::Quorum> for Quorum {
    fn from(quorum: &client::Quorum) -> Self {
        let entry = &quorum.entry;
        Self {
            llmq_type: entry.llmq_type,
            type_name: entry.llmq_type.name().map(Cow::from),
            quorum_hash: entry.quorum_hash,
            index: entry.quorum_index.unwrap_or(0),
            height: quorum.base_height,
            public_key: entry.quorum_public_key.to_string(),
            members: quorum.members.clone(),
            member_services: None,
            verified: quorum.proof().is_usable(),
            proof: quorum.proof().as_str().into(),
            finding: quorum.finding.map_or("not_checked", Finding::as_str).into(),
        }
    }
}

impl Question for AskQuorums {
    type Query = QuorumsQuery;
    type Answer = QuorumsAnswer;

    fn path(&self) -> String {
        "/v1/quorums".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &self.0
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let query = &self.0;
        if let Some(llmq_type) = query.llmq_type.filter(|&one| data.client.params().llmq(one).is_none()) {
            return Err(client::LookupError::UnknownType(llmq_type).into());
        }
        let state = data.client.state(at(query.height)).await?;
        let (height, block_hash) = (state.height(), state.block_hash());
        let mut quorums: Vec<Quorum> = data.client.quorums(height).await?.iter().map(Quorum::from).collect();
        quorums.retain(|quorum| query.selects(quorum));
        if let Some(sort) = query.sort {
            sort.apply(&mut quorums, |key, quorum| match key {
                QuorumKey::Type => (i64::from(quorum.llmq_type.0), String::new()),
                QuorumKey::Height => (quorum.height.map_or(-1, i64::from), String::new()),
                QuorumKey::Index => (quorum.index.into(), String::new()),
                QuorumKey::QuorumHash => (0, quorum.quorum_hash.to_string()),
                QuorumKey::Proof => (0, quorum.proof.to_string()),
            });
        }
        Ok(QuorumsAnswer { block: Block::new(data, height, block_hash).await?, quorums })
    }
}

impl QuorumsQuery {
    fn selects(&self, quorum: &Quorum) -> bool {
        self.llmq_type.is_none_or(|llmq_type| quorum.llmq_type == llmq_type)
            && self.verified.is_none_or(|verified| quorum.verified == verified)
            && self.member.is_none_or(|member| quorum.members.contains(&member))
    }
}

impl Question for AskQuorum {
    type Query = AtHeight;
    type Answer = QuorumsAnswer;

    fn path(&self) -> String {
        format!("/v1/quorums/{}/{}", self.llmq_type, self.quorum_hash)
    }

    fn query(&self) -> &Self::Query {
        &self.query
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let found = match self.query.height {
            Some(height) => data.client.quorum(self.llmq_type, self.quorum_hash, height).await?,
            None => data.client.find_quorum(self.llmq_type, self.quorum_hash).await?,
        };
        let list = data.client.state(found.height).await?;
        let service = |member: &ProTxHash| {
            list.masternodes().get(member).map(|masternode| masternode.service_address.to_string())
        };
        let mut quorum = Quorum::from(&found);
        quorum.member_services = Some(found.members.iter().map(service).collect());
        let block = Block::new(data, found.height, found.block_hash).await?;
        Ok(QuorumsAnswer { block, quorums: vec![quorum] })
    }
}

fn type_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LLMQType>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn type_as_text<S: Serializer>(llmq_type: &Option<LLMQType>, serializer: S) -> Result<S::Ok, S::Error> {
    llmq_type.map(|llmq_type| llmq_type.0).serialize(serializer)
}
