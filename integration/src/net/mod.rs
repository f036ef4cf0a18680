//! Connections to nodes.

mod absence;
mod announcement;
mod connection;
mod connector;
mod disconnect_reason;
mod gossip;
mod handshake;
pub(crate) mod metrics;
mod on_refusal;
mod pool;
mod probing;
mod request_error;

pub(crate) use announcement::{Announcement, News, channel as announcements};
pub(crate) use connection::{ConnectionConfig, ConnectionSetup};
pub use connector::{Connector, Stream};
pub(crate) use disconnect_reason::DisconnectReason;
pub(crate) use handshake::ConnectError;
pub(crate) use on_refusal::OnRefusal;
pub(crate) use pool::{Pool, PoolConfig, PoolEvent};
pub(crate) use request_error::RequestError;
