use bytes::{Buf, BytesMut};
use dashcore::network::framing::{Frame, FrameHeader};
use tokio::time::Instant;

use crate::net::pace::Pace;
use crate::net::room::Held;

/// Bytes asked of the socket at a time.
pub(super) const READ_CHUNK: usize = 64 * 1024;

/// A message of which the header has come, and a part of the payload.
#[derive(Debug)]
pub(super) struct Begun {
    header: FrameHeader,
    /// What has come of a message that is read; nothing of one that is skipped.
    pub(super) payload: Vec<u8>,
    /// Bytes that have come of one that is skipped; `None` for one that is read.
    skipped: Option<usize>,
    /// Whether the pongs behind it may wait for it.
    pub(super) excuses: bool,
    /// Its place among large messages, and until when it may keep it: longer than that nobody waits for an answer.
    pub(super) held: Option<(Held, Instant)>,
}

impl Begun {
    pub(super) const fn new(header: FrameHeader, is_wanted: bool, excuses: bool) -> Self {
        let skipped = if is_wanted { None } else { Some(0) };
        Self { header, payload: Vec::new(), skipped, excuses, held: None }
    }

    /// Bytes that are still to come.
    pub(super) fn left(&self) -> usize {
        self.header.length - self.skipped.unwrap_or(self.payload.len())
    }

    /// Bytes that may be read to the end of what has come; `None` of a message that is skipped.
    pub(super) fn spare(&self) -> Option<usize> {
        self.skipped.is_none().then(|| self.payload.capacity().min(self.header.length) - self.payload.len())
    }

    /// How much memory it needs before more can be read, where it has none left: twice as much as before, and never more than
    /// its length.
    pub(super) fn next_capacity(&self) -> Option<usize> {
        (self.spare() == Some(0))
            .then(|| self.payload.capacity().saturating_mul(2).max(READ_CHUNK).min(self.header.length))
    }

    pub(super) fn grow_to(&mut self, capacity: usize) {
        self.payload.reserve_exact(capacity - self.payload.len());
    }

    /// Takes as much as there is place for.
    pub(super) fn take_from(&mut self, buffer: &mut BytesMut) {
        let count = self.left().min(buffer.len());
        if let Some(skipped) = &mut self.skipped {
            *skipped += count;
            buffer.advance(count);
        } else {
            let count = count.min(self.spare().unwrap_or(0));
            self.payload.extend_from_slice(&buffer[..count]);
            buffer.advance(count);
        }
    }

    /// When it is too slow, unless something comes.
    pub(super) fn ends(&self, pace: &Pace) -> Instant {
        self.held.as_ref().map_or_else(|| pace.ends(), |(_, ends)| pace.ends().min(*ends))
    }

    /// The message, once it is whole; `None` if it was skipped.
    pub(super) fn finish(self) -> Option<Frame> {
        self.skipped.is_none().then(|| self.header.into_frame(self.payload.into()))
    }
}
