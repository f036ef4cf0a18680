use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use dashcore::network::framing::Command;
use dashcore::network::message::command;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::workload::FRAME_HEADER;

/// The client's end of all its connections: what went over it and when, and how fast it may.
#[derive(Debug, Clone)]
pub(crate) struct ClientLine(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    rate: Option<NonZeroU64>,
    free_at: Instant,
    started: Instant,
    seen: Vec<Seen>,
    recording: bool,
}

/// A data request that was sent or an answer that arrived completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Since the start.
    pub(crate) at: Duration,
    /// Index of the peer.
    pub(crate) peer: usize,
    /// Whether it is an answer.
    pub(crate) is_answer: bool,
    /// Bytes of its payload.
    pub(crate) bytes: usize,
}

impl ClientLine {
    /// A line with this many bytes per second towards the client; none is unlimited.
    pub(crate) fn new(rate: Option<NonZeroU64>) -> Self {
        let now = Instant::now();
        let shared = Shared { rate, free_at: now, started: now, seen: Vec::new(), recording: false };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// From now on, what goes over the line is recorded.
    pub(crate) fn start(&self) {
        let mut shared = self.0.lock();
        shared.started = Instant::now();
        shared.recording = true;
    }

    /// What went over it.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().seen.clone()
    }

    /// A connection to a peer over this line.
    pub(crate) fn wrap<S>(&self, inner: S, peer: usize) -> OverLine<S> {
        OverLine {
            inner,
            line: self.clone(),
            peer,
            held: None,
            sent: Parser::default(),
            received: Parser::default(),
        }
    }

    fn see(&self, peer: usize, messages: impl Iterator<Item = (Command, usize)>) {
        let mut shared = self.0.lock();
        for (name, bytes) in messages {
            let is_answer = match name {
                command::QRINFO | command::MNLISTDIFF | command::HEADERS | command::HEADERS2 => true,
                command::GETQRINFO | command::GETMNLISTD | command::GETHEADERS | command::GETHEADERS2 => {
                    false
                }
                _ => continue,
            };
            if shared.recording {
                let at = shared.started.elapsed();
                shared.seen.push(Seen { at, peer, is_answer, bytes });
            }
        }
    }

    /// When so many bytes have come over the line; `None` when that is now.
    fn take(&self, bytes: usize) -> Option<Instant> {
        let mut shared = self.0.lock();
        let rate = shared.rate?;
        let rate = u32::try_from(rate.get()).unwrap_or(u32::MAX);
        let time = Duration::from_secs(bytes as u64) / rate;
        shared.free_at = shared.free_at.max(Instant::now()) + time;
        Some(shared.free_at)
    }
}

/// A stream over a [`ClientLine`].
#[derive(Debug)]
pub(crate) struct OverLine<S> {
    inner: S,
    line: ClientLine,
    peer: usize,
    /// Bytes that are still on the line.
    held: Option<(Pin<Box<Sleep>>, Vec<u8>)>,
    sent: Parser,
    received: Parser,
}

impl<S: AsyncRead + Unpin> AsyncRead for OverLine<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.held.is_none() {
            let mut chunk = [0; CHUNK];
            let limit = buffer.remaining().min(CHUNK);
            let mut chunk = ReadBuf::new(&mut chunk[..limit]);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut chunk))?;
            let bytes = chunk.filled();
            match this.line.take(bytes.len()) {
                Some(at) if !bytes.is_empty() => {
                    this.held = Some((Box::pin(sleep_until(at)), bytes.to_vec()));
                }
                _ => {
                    buffer.put_slice(bytes);
                    this.line.see(this.peer, this.received.feed(bytes).into_iter());
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let Some((arrival, _)) = &mut this.held else { return Poll::Ready(Ok(())) };
        ready!(arrival.as_mut().poll(context));
        if let Some((_, bytes)) = this.held.take() {
            // A later read may bring a smaller buffer than the one that the chunk was cut for.
            let (now, later) = bytes.split_at(bytes.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.line.see(this.peer, this.received.feed(now).into_iter());
            if !later.is_empty() {
                this.held = Some((Box::pin(sleep_until(Instant::now())), later.to_vec()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OverLine<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(context, bytes))?;
        this.line.see(this.peer, this.sent.feed(&bytes[..written]).into_iter());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

/// Finds the messages in a stream without looking into them.
#[derive(Debug, Default)]
struct Parser {
    header: Vec<u8>,
    /// The message under way and the bytes of it that are missing.
    payload: Option<(Command, usize, usize)>,
}

impl Parser {
    /// The messages that these bytes complete, with the sizes of their payloads.
    fn feed(&mut self, mut bytes: &[u8]) -> Vec<(Command, usize)> {
        let mut complete = Vec::new();
        while !bytes.is_empty() {
            match &mut self.payload {
                None => {
                    let taken = bytes.len().min(FRAME_HEADER - self.header.len());
                    self.header.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                }
                Some((_, _, missing)) => {
                    let taken = bytes.len().min(*missing);
                    *missing -= taken;
                    bytes = &bytes[taken..];
                }
            }
            if self.payload.is_none() && self.header.len() == FRAME_HEADER {
                self.payload = Some(message(&self.header));
                self.header.clear();
            }
            if let Some((name, size, 0)) = self.payload {
                complete.push((name, size));
                self.payload = None;
            }
        }
        complete
    }
}

fn message(header: &[u8]) -> (Command, usize, usize) {
    let name = header[4..16].iter().take_while(|byte| **byte != 0);
    let name: String = name.map(|byte| char::from(*byte)).collect();
    let name = SEEN.into_iter().find(|command| command.as_str() == name).unwrap_or(command::PING);
    let length = header[16..20].try_into().map_or(0, u32::from_le_bytes) as usize;
    (name, length, length)
}

/// Messages that are recorded.
const SEEN: [Command; 8] = [
    command::QRINFO,
    command::MNLISTDIFF,
    command::GETQRINFO,
    command::GETMNLISTD,
    command::HEADERS,
    command::HEADERS2,
    command::GETHEADERS,
    command::GETHEADERS2,
];

/// Bytes that travel together, so that connections share a slow line evenly.
const CHUNK: usize = 2 * 1024;
