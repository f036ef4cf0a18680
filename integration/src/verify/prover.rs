use std::io;
use std::sync::Arc;

use bytes::Bytes;
use dashcore::ChainParams;

use super::threads::{Verifier, VerifierError};

use super::{AnswerError, Verdict};
use crate::plan::Work;
use crate::store::Store;
use crate::verification::Verification;
use crate::wire::Answer;

/// Proves answers, whoever downloaded them, and stores what they prove: the verification of a sync on its own.
#[derive(Debug)]
pub struct Prover {
    verifier: Verifier,
}

/// Why an answer is not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproven {
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] AnswerError),
    /// The database failed; nothing more can be proven.
    #[error("the proven lists cannot be stored")]
    Stopped,
    /// Checking it panicked.
    #[error("an internal error stopped the check of the answer")]
    Panicked,
}

impl Prover {
    /// Stores into `store`. At most `capacity` answers are held at a time, those that wait for their base included.
    ///
    /// # Errors
    /// When the system starts no threads.
    pub fn new(
        params: &ChainParams,
        store: Arc<Store>,
        capacity: usize,
        verification: Verification,
    ) -> io::Result<Self> {
        // That the store failed shows in what `prove` returns.
        let (verifier, _) = Verifier::start(params, store, capacity, verification)?;
        Ok(Self { verifier })
    }

    /// Resolves once the lists of an answer to `work` are proven and stored. Waits for the list that they are based on
    /// as long as that takes.
    ///
    /// # Errors
    /// See [`Unproven`].
    ///
    /// # Cancel safety
    /// The answer is verified to its end all the same.
    pub async fn prove(&self, work: Arc<Work>, payload: Bytes) -> Result<(), Unproven> {
        let answer =
            Answer { kind: work.request.kind(), headers2_limit: None, payload, checksum_valid: true };
        let verdict: Verdict = self.verifier.verify(work, answer).await.map_err(|error| match error {
            VerifierError::Stopped => Unproven::Stopped,
            VerifierError::Panicked => Unproven::Panicked,
        })?;
        Ok(verdict.map(drop)?)
    }
}
