//! What is asked of a node, and which answer fits which request.

mod answer;
mod request;

pub(crate) use answer::{Answer, AnsweredHeaders};
pub(crate) use request::{Request, RequestKind};
