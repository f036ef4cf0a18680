use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use dashcore::network::framing::{Frame, FrameDecoder, FrameError, HEADER_SIZE};
use dashcore::network::message::command;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Node;
use super::clock::now;
use super::event::{Event, Message, Sender};
use super::load::Load;
use super::service::Request;
use super::writer::Writer;

/// Unprocessed input above which a node stops reading (Dash Core `DEFAULT_MAXRECEIVEBUFFER`, net.h).
const MAX_UNPROCESSED_BYTES: usize = 5_000_000;
/// Largest message that a node accepts (Dash Core `MAX_PROTOCOL_MESSAGE_LENGTH`, net.h).
const MAX_PAYLOAD: usize = 3 * 1024 * 1024;

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) address: SocketAddr,
    pub(super) node: Arc<Node>,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl Connection {
    pub(super) fn spawn<S>(self, stream: S, stop: CancellationToken, tasks: &TaskTracker)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read_half, write_half) = tokio::io::split(stream);
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let load = Arc::new(Load::default());
        {
            let mut stats = self.node.stats.lock();
            stats.connections += 1;
            stats.open_connections += 1;
        }
        let sender = Sender { outgoing, load: Arc::clone(&load) };
        self.tell(Event::Opened { id: self.id, address: self.address, sender });
        let writer = Writer {
            node: Arc::clone(&self.node),
            events: self.events.clone(),
            stream: write_half,
            load: Arc::clone(&load),
            rate: None,
        };
        tasks.spawn(writer.run(to_send, stop.clone()));
        tasks.spawn(self.read(read_half, load, stop));
    }

    /// Reads until either side closes.
    async fn read<S: AsyncRead>(self, mut stream: ReadHalf<S>, load: Arc<Load>, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = self.receive(&mut stream, &load) => {}
            () = stop.cancelled() => {}
        }
        stop.cancel();
        {
            let mut stats = self.node.stats.lock();
            stats.open_connections -= 1;
            load.ended_all(&mut stats);
        }
        self.tell(Event::Closed { id: self.id });
    }

    async fn receive<S: AsyncRead>(&self, stream: &mut ReadHalf<S>, load: &Load) {
        let decoder = FrameDecoder::new(self.node.magic(), MAX_PAYLOAD);
        let room = Arc::new(Semaphore::new(MAX_UNPROCESSED_BYTES));
        let mut buffer = BytesMut::new();
        loop {
            loop {
                match decode(&decoder, &mut buffer) {
                    Ok(Some(frame)) => {
                        let ends_handshake = frame.command == command::VERACK;
                        self.accept(frame, &room, load).await;
                        if ends_handshake && self.node.config.faults.never_read {
                            return std::future::pending().await;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "disconnecting");
                        return;
                    }
                }
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Counts a message and puts it on its way to the handler.
    async fn accept(&self, frame: Frame, room: &Arc<Semaphore>, load: &Load) {
        let size = HEADER_SIZE + frame.payload.len();
        {
            let mut stats = self.node.stats.lock();
            stats.bytes_received += size as u64;
            if !frame.checksum_valid {
                // A node drops it without a word.
                return;
            }
            match Request::kind(frame.command) {
                Some(kind) => {
                    kind.count(&mut stats.requests);
                    if let Some(arrivals) = &self.node.arrivals {
                        arrivals.lock().push((now(), kind.name()));
                    }
                    let in_flight = load.started(&mut stats);
                    stats.max_in_flight = stats.max_in_flight.max(in_flight);
                }
                None if frame.command == command::PING => stats.pings += 1,
                None => {}
            }
        }
        let due = now() + self.node.one_way();
        let permits = u32::try_from(size).expect("messages have at most 3 MiB");
        // The semaphore is never closed.
        let Ok(room) = Arc::clone(room).acquire_many_owned(permits).await else { return };
        self.tell(Event::Received { id: self.id, due, message: Message { frame, _room: room } });
    }

    /// The handler is gone only when the whole network stops.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// Like [`FrameDecoder::decode`], but skips messages with a malformed command, as a node does.
fn decode(decoder: &FrameDecoder, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    loop {
        match decoder.decode(buffer) {
            Err(FrameError::MalformedCommand { .. }) => {
                let length =
                    buffer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > MAX_PAYLOAD {
                    let command = command::VERSION;
                    return Err(FrameError::Oversized { command, length, limit: MAX_PAYLOAD });
                }
                if buffer.len() < HEADER_SIZE + length {
                    return Ok(None);
                }
                buffer.advance(HEADER_SIZE + length);
            }
            decoded => return decoded,
        }
    }
}
