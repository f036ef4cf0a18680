//! What is asked of a node, and which answer fits which request.

mod answer;
mod request;
mod request_kind;

pub(crate) use answer::{Answer, AnsweredHeaders};
pub(crate) use request::Request;
pub(crate) use request_kind::RequestKind;
