use std::borrow::Cow;

use dashcore::consensus::{Decodable, deserialize};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::{BlockHash, Txid};
use serde::{Deserialize, Serialize};
use spv_integration::client::{LockError, LockedBlock, LookupError, Signer, VerifiedLock};

use super::quorums::Quorum;
use super::{Data, NoQuery, Problem, Question};

/// Whether the right quorum signed a lock.
pub(crate) struct AskVerify {
    pub(crate) lock: Lock,
    pub(crate) signed: SignedLock,
}

/// A kind of lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    ChainLock,
    InstantLock,
}

/// The body of a request to verify a lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = r#"{"hex":"…"}"#)]
pub(crate) struct SignedLock {
    /// Payload of the message, in hexadecimal.
    pub(crate) hex: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) lock: Cow<'static, str>,
    /// See [`outcome`].
    pub(crate) outcome: Cow<'static, str>,
    #[serde(flatten)]
    about: About,
    /// The quorum that signed it; `null` unless it is known that one did.
    pub(crate) signer: Option<Quorum>,
    /// Height of the list that proves the signer active; `null` without one.
    pub(crate) proven_at: Option<u32>,
    /// Why it is not valid; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Name of what kept it from being decided; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Cow<'static, str>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum About {
    Block { height: u32, block_hash: BlockHash },
    Transaction { txid: Txid, cycle_hash: BlockHash },
}

impl Lock {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ChainLock => "chainlock",
            Self::InstantLock => "instantlock",
        }
    }
}

impl Question for AskVerify {
    type Query = NoQuery;
    type Answer = Verdict;

    fn path(&self) -> String {
        format!("/v1/verify/{}", self.lock.as_str())
    }

    fn query(&self) -> &Self::Query {
        &NoQuery {}
    }

    fn body(&self) -> Option<String> {
        serde_json::to_string(&self.signed).ok()
    }

    /// The signature is checked where this is polled, which takes milliseconds of a core.
    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        match self.lock {
            Lock::ChainLock => {
                let lock: ChainLock = decode(&self.signed.hex, "clsig")?;
                let about = About::Block { height: lock.block_height, block_hash: lock.block_hash };
                let verified = data.client.verify_chain_lock(&lock).await;
                let other_branch = match &verified {
                    Ok(VerifiedLock { block: LockedBlock::OtherBranch { stored }, .. }) => Some(format!(
                        "the stored chain has {stored} at this height, so it is not the network's: sync again"
                    )),
                    _ => None,
                };
                Ok(Verdict::new(self.lock, about, verified.map(|verified| verified.signer), other_branch))
            }
            Lock::InstantLock => {
                let lock: InstantLock = decode(&self.signed.hex, "isdlock")?;
                let about = About::Transaction { txid: lock.txid, cycle_hash: lock.cyclehash };
                let verified = data.client.verify_instant_lock(&lock).await;
                Ok(Verdict::new(self.lock, about, verified, None))
            }
        }
    }
}

impl Verdict {
    fn new(
        lock: Lock,
        about: About,
        verified: Result<Signer, LockError>,
        other_branch: Option<String>,
    ) -> Self {
        let lock = lock.as_str().into();
        match verified {
            Ok(signer) => Self {
                lock,
                outcome: if other_branch.is_some() { "other_branch" } else { "valid" }.into(),
                about,
                signer: Some(signer.quorum().into()),
                proven_at: Some(signer.quorum().height),
                reason: other_branch,
                error: None,
            },
            Err(error) => Self {
                lock,
                outcome: outcome(&error).into(),
                about,
                signer: None,
                proven_at: None,
                reason: Some(error.to_string()),
                error: match &error {
                    LockError::Lookup(error) if !is_proof_of_wrong(error) => Some(error.kind().into()),
                    _ => None,
                },
            },
        }
    }
}

/// Name of what a lock that is not valid is, as in JSON.
fn outcome(error: &LockError) -> &'static str {
    match error {
        LockError::Signature(_) | LockError::Form => "wrong",
        LockError::Lookup(error) if is_proof_of_wrong(error) => "wrong",
        LockError::Abandoned { .. } => "abandoned_branch",
        LockError::Lookup(error) if error.is_transient() => "not_yet_known",
        _ => "unknown",
    }
}

/// Whether the error means that no quorum can have signed the lock.
const fn is_proof_of_wrong(error: &LookupError) -> bool {
    matches!(error, LookupError::NoQuorum { .. } | LookupError::NoCycle { .. })
}

fn decode<T: Decodable>(text: &str, message: &str) -> Result<T, Problem> {
    let expected = format!("give the payload of a {message} message in hexadecimal");
    let refused = |error: String| Problem::new("malformed_lock", format!("{error}: {expected}"));
    let bytes = hex_conservative::decode_to_vec(text.trim()).map_err(|error| refused(error.to_string()))?;
    deserialize(&bytes).map_err(|error| refused(error.to_string()))
}
