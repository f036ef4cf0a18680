//! What is asked of a node, and which answer fits which request.

mod request;

pub(crate) use request::{Answer, Request, RequestKind};
