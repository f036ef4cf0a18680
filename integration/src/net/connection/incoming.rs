use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BufMut, BytesMut};
use dashcore::network::framing::{FrameDecoder, FrameHeader, HEADER_SIZE};
use dashcore::network::message::command;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::time::Instant;

use super::Shared;
use super::begun::{Begun, READ_CHUNK};
use crate::net::connector::Stream;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::metrics;
use crate::net::pace::Pace;
use crate::net::room::{FREE, Room};
use crate::wire::RequestKind;

/// Reading what a node sends, message after message. Of none there is more in memory than has come, and what nobody wants is
/// not kept at all.
impl Shared {
    pub(super) async fn read(
        self: Arc<Self>,
        mut stream: ReadHalf<Box<dyn Stream>>,
        mut buffer: BytesMut,
        room: Room,
    ) -> DisconnectReason {
        let decoder = FrameDecoder::new(self.magic, self.config.max_payload);
        let mut begun = None;
        let mut received_at = Instant::now();
        let mut pace = Pace::new(self.config.ping_timeout, received_at);
        loop {
            if let Err(reason) = self.take_up(&decoder, &mut buffer, &mut begun, &mut pace, &room).await {
                return reason;
            }
            // Only when a message has begun does anything have to come.
            let is_idle = begun.is_none() && buffer.is_empty();
            *self.receiving_at.lock() = (!is_idle).then_some(received_at);
            let deadline =
                (!is_idle).then(|| begun.as_ref().map_or_else(|| pace.ends(), |begun| begun.ends(&pace)));
            let read = async {
                match &mut begun {
                    Some(begun) if let Some(spare) = begun.spare() => {
                        stream.read_buf(&mut (&mut begun.payload).limit(spare)).await
                    }
                    _ => {
                        buffer.reserve(READ_CHUNK);
                        stream.read_buf(&mut buffer).await
                    }
                }
            };
            let read = match deadline {
                Some(deadline) => match tokio::time::timeout_at(deadline, read).await {
                    Ok(read) => read,
                    Err(_) => return DisconnectReason::Slow,
                },
                None => read.await,
            };
            received_at = Instant::now();
            match read {
                Ok(0) => return DisconnectReason::Remote,
                Ok(count) => {
                    self.bytes_received.fetch_add(count as u64, Ordering::Relaxed);
                    metrics::bytes_received(count);
                    if is_idle {
                        pace = Pace::new(self.config.ping_timeout, received_at);
                    }
                    pace.grew(count, received_at);
                    if begun.as_ref().is_some_and(|begun| begun.excuses) {
                        self.liveness.lock().answering(received_at);
                    }
                }
                Err(error) => return DisconnectReason::Io(error.kind()),
            }
        }
    }

    /// Takes all messages that are whole, and what there is of the next one, out of the buffer.
    async fn take_up(
        &self,
        decoder: &FrameDecoder,
        buffer: &mut BytesMut,
        slot: &mut Option<Begun>,
        pace: &mut Pace,
        room: &Room,
    ) -> Result<(), DisconnectReason> {
        loop {
            let mut begun = match slot.take() {
                Some(begun) => begun,
                None => {
                    let Some(header) = decoder.header(buffer)? else { return Ok(()) };
                    buffer.advance(HEADER_SIZE);
                    self.admit(header)?
                }
            };
            while begun.left() > 0 && !buffer.is_empty() {
                self.make_room(&mut begun, pace, room).await;
                begun.take_from(buffer);
            }
            if begun.left() > 0 {
                // What comes next is read to where it belongs.
                self.make_room(&mut begun, pace, room).await;
                *slot = Some(begun);
                return Ok(());
            }
            if begun.excuses {
                self.liveness.lock().answering(Instant::now());
            }
            // The next message has a pace of its own.
            *pace = Pace::new(self.config.ping_timeout, Instant::now());
            if let Some(frame) = begun.finish() {
                self.handle(frame)?;
            }
        }
    }

    /// Decides by its header whether a message may come.
    fn admit(&self, header: FrameHeader) -> Result<Begun, DisconnectReason> {
        let FrameHeader { command: name, length, .. } = header;
        let answers = RequestKind::answered_by(name);
        match answers {
            // Announcements look the same, and are counted when they are found to be some.
            Some(_) if name == command::HEADERS => {}
            Some(_) if self.correlator.remembers(|request| request.answer_name() == name) => {}
            Some(_) => return Err(DisconnectReason::Unasked(name)),
            // Counted when it is found to answer no ping, or not to have been asked for.
            None if name == command::PONG => {}
            None if name == command::ISDLOCK && self.instant_locks().is_some() => {}
            None => self.allowance.lock().unasked(length, Instant::now())?,
        }
        let is_wanted = answers.is_some()
            || [command::PING, command::PONG, command::INV, command::ADDR, command::ADDRV2].contains(&name)
            || [command::CLSIG, command::NOTFOUND].contains(&name)
            || name == command::ISDLOCK && self.instant_locks().is_some();
        let excuses = answers.is_some() && self.correlator.in_flight() > 0;
        Ok(Begun::new(header, is_wanted, excuses))
    }

    /// Lets a message grow that has no place for what comes next, once there is room for it. Until then nothing is read, so
    /// that the node has to wait.
    async fn make_room(&self, begun: &mut Begun, pace: &mut Pace, room: &Room) {
        let Some(capacity) = begun.next_capacity() else { return };
        let bytes = capacity.saturating_sub(begun.payload.capacity().max(FREE));
        if bytes > 0 {
            let limit = self.config.correlation.expire_after;
            let held = begun.held.get_or_insert_with(|| (room.join(), Instant::now() + limit));
            if !held.0.try_grow(bytes) {
                let since = Instant::now();
                self.liveness.lock().deaf(true, since);
                held.0.grow(bytes).await;
                let now = Instant::now();
                self.liveness.lock().deaf(false, now);
                held.1 += now - since;
                pace.excuse(now - since);
            }
        }
        begun.grow_to(capacity);
    }
}
