//! Connections to nodes.

mod connection;
mod handshake;
mod pool;
mod request;
mod transport;

pub(crate) use connection::{ConnectionConfig, DisconnectReason};
pub(crate) use handshake::ConnectError;
pub(crate) use pool::{Pool, PoolConfig, PoolEvent};
pub(crate) use request::{Answer, Request, RequestKind};
pub(crate) use transport::{PoolTransport, RequestError};
