use std::borrow::Cow;

use dashcore::BlockHash;
use serde::{Deserialize, Serialize};

use super::{Data, NoQuery, Problem, Question};

/// The highest ChainLock that a verified quorum signed.
pub(crate) struct AskChainLock;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChainLockAnswer {
    pub(crate) height: u32,
    pub(crate) block_hash: BlockHash,
    pub(crate) signature: String,
    /// How it is proven: a verified quorum signed it.
    pub(crate) proof: Cow<'static, str>,
    /// Where its block is: `stored` in the stored chain, `other_branch` when that has another block at its height, or
    /// `unknown` when that does not reach so far.
    pub(crate) block: Cow<'static, str>,
}

impl Question for AskChainLock {
    type Query = NoQuery;
    type Answer = ChainLockAnswer;

    fn path(&self) -> String {
        "/v1/chainlock".to_owned()
    }

    fn query(&self) -> &Self::Query {
        &NoQuery {}
    }

    async fn answer(&self, data: &Data) -> Result<Self::Answer, Problem> {
        let found = data.read(|store| {
            let Some(lock) = store.chain_lock()? else { return Ok(None) };
            let stored = store.block_hash(lock.block_height)?;
            Ok(Some((lock, stored)))
        });
        let none = || {
            let message = "no ChainLock was verified yet; sync again, or wait for the next block";
            Problem::transient("no_chain_lock", message)
        };
        let (lock, stored) = found.await?.ok_or_else(none)?;
        let block = match stored {
            Some(stored) if stored == lock.block_hash => "stored",
            Some(_) => "other_branch",
            None => "unknown",
        };
        Ok(ChainLockAnswer {
            height: lock.block_height,
            block_hash: lock.block_hash,
            signature: lock.signature.to_string(),
            proof: "signed_by_verified_quorum".into(),
            block: block.into(),
        })
    }
}
