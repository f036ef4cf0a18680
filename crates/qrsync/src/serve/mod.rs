//! What is served over HTTP while a sync runs.

mod endpoint;
mod routes;

pub(crate) use endpoint::Endpoint;
