use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Node;
use super::clock::now;
use super::event::Event;
use super::load::{Load, MAX_QUEUED_BYTES};
use super::outbox::{Action, Outbox, Outgoing};

/// The sending side of a connection.
pub(super) struct Writer<S> {
    pub(super) node: Arc<Node>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) stream: WriteHalf<S>,
    pub(super) load: Arc<Load>,
    /// Bytes per second at most; `None` is as many as the other side takes.
    pub(super) rate: Option<NonZeroU32>,
}

impl<S: AsyncWrite> Writer<S> {
    pub(super) async fn run(
        mut self,
        mut to_send: mpsc::UnboundedReceiver<Outgoing>,
        stop: CancellationToken,
    ) {
        let mut outbox = Outbox::default();
        loop {
            while let Some(outgoing) = outbox.pop(now()) {
                let written = tokio::select! {
                    biased;
                    written = self.perform(outgoing) => written,
                    () = stop.cancelled() => false,
                };
                if !written {
                    stop.cancel();
                    return;
                }
            }
            let next_due = outbox.next_due();
            tokio::select! {
                biased;
                outgoing = to_send.recv() => match outgoing {
                    Some(outgoing) => outbox.push(outgoing),
                    None => return,
                },
                () = sleep_until(next_due.unwrap_or_else(now).into()), if next_due.is_some() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Whether the connection is still of use.
    async fn perform(&mut self, outgoing: Outgoing) -> bool {
        if outgoing.completes_request {
            // Before the write: the next request may come as soon as the answer is out.
            self.load.ended(&mut self.node.stats.lock());
        }
        match outgoing.action {
            Action::Nothing => true,
            Action::Close => false,
            Action::Establish => {
                self.rate = self.node.config.faults.trickle;
                true
            }
            Action::Send(bytes) => {
                let written = self.write(&bytes).await;
                self.node.stats.lock().bytes_sent += bytes.len() as u64;
                let queued = self.load.queued_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                if queued > MAX_QUEUED_BYTES {
                    // The handler is gone only when the whole network stops.
                    let _ = self.events.send(Event::Drained);
                }
                written
            }
        }
    }

    /// Whether it could be written.
    async fn write(&mut self, bytes: &[u8]) -> bool {
        let Some(rate) = self.rate else {
            return self.stream.write_all(bytes).await.is_ok();
        };
        // Single bytes, or what is due in a tenth of a second.
        let piece_size = (rate.get() / 10).max(1);
        for piece in bytes.chunks(piece_size as usize) {
            if self.stream.write_all(piece).await.is_err() {
                return false;
            }
            sleep(Duration::from_secs(piece.len() as u64) / rate.get()).await;
        }
        true
    }
}
