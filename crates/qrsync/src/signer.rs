use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::{ChainParams, Txid};
use serde::Serialize;
use spv_integration::Client;
use spv_integration::client::{LookupError, Signer};

use crate::args::{DataArgs, SignerArgs, SignerCommand};
use crate::exit::Exit;
use crate::output;
use crate::query::open;
use crate::quorums::Quorum;

#[derive(Serialize)]
struct Answer {
    #[serde(rename = "for")]
    role: &'static str,
    height: Option<u32>,
    /// As Dash Core's RPC prints it; `null` where the quorum was named.
    request_id: Option<String>,
    /// Those that may have signed, the likelier one first. One, but for InstantSend locks that name their cycle, and for
    /// ChainLocks where it is not known whether a commitment had been mined.
    signers: Vec<Active>,
}

#[derive(Serialize)]
struct Active {
    /// Height of a stored list that shows it to be active.
    proven_at: u32,
    #[serde(flatten)]
    quorum: Quorum,
}

pub(crate) async fn run(args: SignerArgs) -> anyhow::Result<Exit> {
    let data = args.command.data();
    let client = open(data)?;
    let (height, request_id) = args.command.about();
    let signers = signers(&client, &args.command).await?;
    let answer = Answer {
        role: args.command.role(),
        height,
        request_id: request_id.map(|id| Txid::from_byte_array(id).to_string()),
        signers: signers
            .iter()
            .map(|signer| Active { proven_at: signer.quorum().height, quorum: signer.quorum().into() })
            .collect(),
    };
    if data.json {
        output::json(&answer)?;
        return Ok(Exit::Ok);
    }
    let mut text = answer.request_id.map(|id| format!("request id  {id}\n")).unwrap_or_default();
    for signer in &answer.signers {
        text.push_str(&format!("{}\nactive at   height {}\n", signer.quorum.details(), signer.proven_at));
    }
    output::text(text.trim_end())?;
    Ok(Exit::Ok)
}

async fn signers(client: &Client, command: &SignerCommand) -> Result<Vec<Signer>, LookupError> {
    let ChainParams { rotated_llmq, platform_llmq, .. } = *client.params();
    let one = match command {
        SignerCommand::Chainlock { height, .. } => return client.chain_lock_signers(*height).await,
        SignerCommand::Instantsend { request_id, at, .. } => match (at.height, at.cycle_hash) {
            (_, Some(cycle_hash)) => {
                return client.instant_lock_signers(request_id.to_byte_array(), cycle_hash).await;
            }
            (height, None) => {
                let height = height.unwrap_or_default();
                client.signer(rotated_llmq, height, request_id.to_byte_array()).await?
            }
        },
        SignerCommand::Platform { height, which, .. } => match (which.quorum_hash, which.request_id) {
            (Some(quorum_hash), _) => client.platform_signer(quorum_hash, *height).await?,
            (None, id) => {
                let request_id = id.unwrap_or_default().to_byte_array();
                client.signer(platform_llmq, *height, request_id).await?
            }
        },
    };
    Ok(vec![one])
}

impl SignerCommand {
    pub(crate) fn data(&self) -> &DataArgs {
        match self {
            Self::Chainlock { data, .. } | Self::Instantsend { data, .. } | Self::Platform { data, .. } => {
                data
            }
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Self::Chainlock { .. } => "chainlock",
            Self::Instantsend { .. } => "instantsend",
            Self::Platform { .. } => "platform",
        }
    }

    /// Height and request.
    fn about(&self) -> (Option<u32>, Option<[u8; 32]>) {
        match self {
            Self::Chainlock { height, .. } => (Some(*height), Some(ChainLock::request_id(*height))),
            Self::Instantsend { request_id, at, .. } => (at.height, Some(request_id.to_byte_array())),
            Self::Platform { height, which, .. } => {
                (Some(*height), which.request_id.map(|id| id.to_byte_array()))
            }
        }
    }
}
