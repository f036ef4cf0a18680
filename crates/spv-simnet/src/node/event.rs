use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::framing::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::load::{Load, MAX_QUEUED_BYTES};
use super::outbox::{Action, Outgoing};
use crate::chain::ActiveChain;

/// What connections tell the node's handler.
#[derive(Debug)]
pub(super) enum Event {
    /// A connection was accepted.
    Opened { id: u64, address: SocketAddr, sender: Sender },
    /// A message will have arrived at `due`.
    Received { id: u64, due: Instant, message: Message },
    /// A connection has ended.
    Closed { id: u64 },
    /// A sender that was full has room again.
    Drained,
    /// The node has another chain than before.
    NewTip { before: ActiveChain },
    /// The node has an InstantSend lock that it had not before.
    NewLock { lock: InstantLock },
}

/// A message on its way to the handler.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) frame: Frame,
    /// Makes room for more input when the message has been handled.
    pub(super) _room: OwnedSemaphorePermit,
}

/// The handler's end of a connection's writer.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) outgoing: mpsc::UnboundedSender<Outgoing>,
    pub(super) load: Arc<Load>,
}

impl Sender {
    pub(super) fn send(&self, outgoing: Outgoing) {
        if let Action::Send(bytes) = &outgoing.action {
            self.load.queued_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        // Fails only when the connection has ended, and then nobody is there to miss it.
        let _ = self.outgoing.send(outgoing);
    }

    pub(super) fn is_full(&self) -> bool {
        self.load.queued_bytes.load(Ordering::Relaxed) > MAX_QUEUED_BYTES
    }
}
