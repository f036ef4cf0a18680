//! From bytes to proven lists: stateless checks on several threads, then application in order on one.

mod apply;
mod check;
pub(crate) mod metrics;
mod prover;
mod stage;
mod stages;
mod threads;

pub use crate::verification::Verification;
pub use check::AnswerError;
pub use prover::{Prover, Unproven};
pub(crate) use stage::Stage;
pub use stages::StageTotal;
pub(crate) use stages::Stages;
pub(crate) use threads::{Verdict, Verifier, VerifierError};

#[cfg(test)]
mod apply_tests;
