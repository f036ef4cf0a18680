use std::net::SocketAddr;

use bytes::Bytes;
use dashcore::BlockHash;
use tokio::sync::mpsc;

/// Announcements that may wait to be read. More are dropped: what they tell is asked for sooner or later anyway.
const CAPACITY: usize = 64;

/// What a peer says of new blocks without having been asked. Nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Who says it.
    pub(crate) peer: SocketAddr,
    /// What.
    pub(crate) news: News,
}

/// See [`Announcement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Payload of a `headers` message.
    Headers(Bytes),
    /// There is a block with this hash.
    Block(BlockHash),
}

/// Where connections put announcements, and where they are read.
pub(crate) fn channel() -> (mpsc::Sender<Announcement>, mpsc::Receiver<Announcement>) {
    mpsc::channel(CAPACITY)
}
