//! What is served over HTTP while a sync runs.

mod connections;
mod conversation;
mod endpoint;
mod events;
mod hosts;
mod metrics;
mod openapi;
mod platform;
mod platform_quorums;
mod router;
mod state;
mod v1;

pub(crate) use endpoint::Endpoint;
pub(crate) use events::Events;
