//! Connections to nodes.

mod absence;
mod allowance;
mod announcement;
mod connection;
mod connector;
mod disconnect_reason;
mod gossip;
mod handshake;
mod liveness;
mod lock_inbox;
pub(crate) mod metrics;
mod on_refusal;
mod pace;
mod pool;
mod probing;
mod request_error;
mod room;
mod wanted_locks;

pub use crate::resolver::{LookupFailed, Resolver};
pub(crate) use announcement::{Announcement, Announcements, Announcer, News, announcements};
pub(crate) use connection::{ConnectionConfig, ConnectionSetup};
pub use connector::{Connector, Stream};
pub(crate) use disconnect_reason::DisconnectReason;
pub(crate) use handshake::ConnectError;
pub(crate) use lock_inbox::{HeardLock, LockInbox};
pub(crate) use on_refusal::OnRefusal;
pub(crate) use pool::{Pool, PoolConfig, PoolEvent};
pub(crate) use request_error::RequestError;
pub(crate) use room::Room;
