use std::borrow::Cow;

use clap::{ArgGroup, Args};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::{BlockHash, QuorumHash, Txid};
use serde::{Deserialize, Serialize};
use spv_integration::client::Signer;

use super::block::Block;
use super::quorums::Quorum;
use super::{Data, Problem, Question, problem};

/// Asks which quorum locks the block at a height.
pub(crate) struct AskChainLockSigner(pub(crate) ChainLockQuery);

/// Asks which quorum signs an InstantSend lock.
pub(crate) struct AskInstantLockSigner(pub(crate) InstantLockQuery);

/// Asks which quorum signs for Platform.
pub(crate) struct AskPlatformSigner(pub(crate) PlatformQuery);

#[derive(Debug, Clone, Copy, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainLockQuery {
    /// Height of the block
    #[arg(long)]
    pub(crate) height: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, Args)]
#[command(group(ArgGroup::new("at").required(true).args(["height", "cycle_hash"])))]
#[serde(deny_unknown_fields)]
pub(crate) struct InstantLockQuery {
    /// Request id
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Txid,
    /// Height of the tip when the signature was requested
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    /// Cycle hash of the lock; shows both quorums whose signature nodes accept
    #[arg(long, value_name = "HASH")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cycle_hash: Option<BlockHash>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["quorum_hash", "request_id"])))]
#[serde(deny_unknown_fields)]
pub(crate) struct PlatformQuery {
    /// Core chain locked height of the proof, or with --request-id the height at which the signature was requested
    #[arg(long)]
    pub(crate) height: u32,
    /// Quorum hash that the proof contains
    #[arg(long, value_name = "HASH")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quorum_hash: Option<QuorumHash>,
    /// Request id
    #[arg(long, value_name = "ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<Txid>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SignerAnswer {
    #[serde(rename = "for")]
    pub(crate) role: Cow<'static, str>,
    pub(crate) height: Option<u32>,
    /// As Dash Core's RPC prints it; `null` where the quorum was named.
    pub(crate) request_id: Option<Txid>,
    /// Those that may have signed, the likelier one first. One, but for InstantSend locks that name their cycle, and for
    /// ChainLocks where it is not known whether a commitment had been mined.
    pub(crate) signers: Vec<Active>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Active {
    /// Height of a stored list that shows it to be active.
    pub(crate) proven_at: u32,
    /// Whether the block of that list is at or below a verified ChainLock.
    pub(crate) chain_locked: bool,
    #[serde(flatten)]
    pub(crate) quorum: Quorum,
}

impl SignerAnswer {
    async fn new(
        data: &Data,
        role: &'static str,
        height: Option<u32>,
        request_id: Option<Txid>,
        found: &[Signer],
    ) -> Result<Self, Problem> {
        let mut signers = Vec::new();
        for signer in found {
            let quorum = signer.quorum();
            let block = Block::new(data, quorum.height, quorum.block_hash).await?;
            let chain_locked = block.chain_locked;
            signers.push(Active { proven_at: quorum.height, chain_locked, quorum: quorum.into() });
        }
        Ok(Self { role: role.into(), height, request_id, signers })
    }
}

impl Question for AskChainLockSigner {
    type Query = ChainLockQuery;
    type Answer = SignerAnswer;

    fn path(&self) -> String {
        "/v1/signer/chainlock".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &self.0
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let height = self.0.height;
        let request_id = Txid::from_byte_array(ChainLock::request_id(height));
        let signers = data.client.chain_lock_signers(height).await?;
        SignerAnswer::new(data, "chainlock", Some(height), Some(request_id), &signers).await
    }
}

impl Question for AskInstantLockSigner {
    type Query = InstantLockQuery;
    type Answer = SignerAnswer;

    fn path(&self) -> String {
        "/v1/signer/instantlock".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &self.0
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let InstantLockQuery { request_id, height, cycle_hash } = self.0;
        let id = request_id.to_byte_array();
        let signers = match (height, cycle_hash) {
            (None, Some(cycle_hash)) => data.client.instant_lock_signers(id, cycle_hash).await?,
            (Some(height), None) => {
                vec![data.client.signer(data.client.params().rotated_llmq, height, id).await?]
            }
            _ => return Err(one_of("height", "cycle_hash")),
        };
        SignerAnswer::new(data, "instantsend", height, Some(request_id), &signers).await
    }
}

impl Question for AskPlatformSigner {
    type Query = PlatformQuery;
    type Answer = SignerAnswer;

    fn path(&self) -> String {
        "/v1/signer/platform".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &self.0
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let PlatformQuery { height, quorum_hash, request_id } = self.0;
        let signer = match (quorum_hash, request_id) {
            (Some(quorum_hash), None) => data.client.platform_signer(quorum_hash, height).await?,
            (None, Some(id)) => {
                let platform = data.client.params().platform_llmq;
                data.client.signer(platform, height, id.to_byte_array()).await?
            }
            _ => return Err(one_of("quorum_hash", "request_id")),
        };
        SignerAnswer::new(data, "platform", Some(height), request_id, &[signer]).await
    }
}

fn one_of(one: &str, other: &str) -> Problem {
    Problem::new(problem::BAD_REQUEST, format!("give one of {one} and {other}, not both and not neither"))
}
