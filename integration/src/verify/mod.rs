//! From bytes to proven lists: stateless checks on several threads, then application in order on one.

mod apply;
mod check;
mod threads;

pub(crate) use check::AnswerError;
pub(crate) use threads::{Verdict, Verifier};
