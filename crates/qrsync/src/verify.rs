use anyhow::Context;
use dashcore::consensus::{Decodable, deserialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::{BlockHash, Txid};
use serde::Serialize;
use spv_integration::client::{LockError, LockedBlock, LookupError, Signer, VerifiedLock};

use crate::args::{VerifyArgs, VerifyCommand};
use crate::exit::{Exit, NotVerified};
use crate::output;
use crate::query::open;
use crate::quorums::Quorum;

#[derive(Serialize)]
struct Verdict {
    lock: &'static str,
    /// See [`outcome`].
    outcome: &'static str,
    #[serde(flatten)]
    about: About,
    /// The quorum that signed it; `null` unless it is known that one did.
    signer: Option<Quorum>,
    /// Why it is not valid; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum About {
    Block { height: u32, block_hash: BlockHash },
    Transaction { txid: Txid, cycle_hash: BlockHash },
}

pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<Exit> {
    let data = args.command.data();
    let client = open(data)?;
    let (verdict, error) = match &args.command {
        VerifyCommand::Chainlock { hex, .. } => {
            let lock: ChainLock = decode(hex, "clsig")?;
            let about = About::Block { height: lock.block_height, block_hash: lock.block_hash };
            let verified = client.verify_chain_lock(&lock).await;
            let other_branch = match &verified {
                Ok(VerifiedLock { block: LockedBlock::OtherBranch { stored }, .. }) => Some(format!(
                    "the stored chain has {stored} at this height, so it is not the network's: sync again"
                )),
                _ => None,
            };
            verdict("chainlock", about, verified.map(|verified| verified.signer), other_branch)
        }
        VerifyCommand::Instantlock { hex, .. } => {
            let lock: InstantLock = decode(hex, "isdlock")?;
            let about = About::Transaction { txid: lock.txid, cycle_hash: lock.cyclehash };
            verdict("instantlock", about, client.verify_instant_lock(&lock).await, None)
        }
    };
    if data.json {
        output::json(&verdict)?;
    } else {
        let mut text = format!("{}  {}", verdict.lock, verdict.outcome.replace('_', " "));
        if let Some(signer) = &verdict.signer {
            text.push_str(&format!("\n{}", signer.details()));
        }
        if let (Some(reason), None) = (&verdict.reason, &error) {
            text.push_str(&format!("\n{reason}"));
        }
        output::text(&text)?;
    }
    match error {
        None => Ok(Exit::Ok),
        Some(LockError::Lookup(error)) => Err(error.into()),
        Some(error) => Err(NotVerified(error.to_string()).into()),
    }
}

fn verdict(
    lock: &'static str,
    about: About,
    verified: Result<Signer, LockError>,
    other_branch: Option<String>,
) -> (Verdict, Option<LockError>) {
    match verified {
        Ok(signer) => {
            let outcome = if other_branch.is_some() { "other_branch" } else { "valid" };
            let signer = Some(signer.quorum().into());
            (Verdict { lock, outcome, about, signer, reason: other_branch }, None)
        }
        Err(error) => {
            let reason = Some(error.to_string());
            (Verdict { lock, outcome: outcome(&error), about, signer: None, reason }, Some(error))
        }
    }
}

/// Name of what a lock that is not valid is, as in JSON.
fn outcome(error: &LockError) -> &'static str {
    match error {
        LockError::Signature(_)
        | LockError::Form
        | LockError::Lookup(LookupError::NoQuorum { .. } | LookupError::NoCycle { .. }) => "wrong",
        LockError::Abandoned { .. } => "abandoned_branch",
        LockError::Lookup(error) if error.is_transient() => "not_yet_known",
        _ => "unknown",
    }
}

fn decode<T: Decodable>(text: &str, message: &str) -> anyhow::Result<T> {
    let expected = || format!("give the payload of a {message} message in hexadecimal");
    let bytes = hex_conservative::decode_to_vec(text.trim()).with_context(expected)?;
    deserialize(&bytes).map_err(|error| anyhow::anyhow!("{error}: {}", expected()))
}

impl VerifyCommand {
    pub(crate) fn data(&self) -> &crate::args::DataArgs {
        match self {
            Self::Chainlock { data, .. } | Self::Instantlock { data, .. } => data,
        }
    }
}
