//! From bytes to proven lists: stateless checks on several threads, then application in order on one.

mod apply;
mod check;
mod prover;
mod threads;

pub use check::AnswerError;
pub use prover::{Prover, Unproven};
pub(crate) use threads::{Verdict, Verifier};
