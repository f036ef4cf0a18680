use std::sync::atomic::Ordering;

use bytes::BytesMut;
use dashcore::network::framing::{Frame, FrameDecoder};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::Inventory;
use spv_correlation::{Delivery, FenceVerdict, RequestId, Verdict};
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::time::Instant;

use super::{Outgoing, Shared};
use crate::net::announcement::{Announcement, News};
use crate::net::connector::Stream;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::metrics;
use crate::wire::{Answer, RequestKind};

/// Bytes asked of the socket at a time.
const READ_CHUNK: usize = 64 * 1024;

/// Requests whose fence is waited for that are remembered by kind; far more than are ever in flight.
const MAX_FENCED: usize = 64;

/// What a node sends.
impl Shared {
    pub(super) async fn read(
        &self,
        mut stream: ReadHalf<Box<dyn Stream>>,
        mut buffer: BytesMut,
    ) -> DisconnectReason {
        let decoder = FrameDecoder::new(self.magic, self.config.max_payload);
        // Lists that nobody asked for are not worth their memory; a node would send none of this size.
        let unasked = FrameDecoder::new(self.magic, command::MAX_PAYLOAD.min(self.config.max_payload));
        loop {
            loop {
                let decoder = if self.correlator.in_flight() > 0 { decoder } else { unasked };
                match decoder.decode(&mut buffer) {
                    Ok(Some(frame)) => self.handle(frame).await,
                    Ok(None) => break,
                    Err(error) => return error.into(),
                }
            }
            self.is_receiving.store(!buffer.is_empty(), Ordering::Relaxed);
            buffer.reserve(READ_CHUNK);
            match stream.read_buf(&mut buffer).await {
                Ok(0) => return DisconnectReason::Remote,
                Ok(count) => {
                    self.bytes_received.fetch_add(count as u64, Ordering::Relaxed);
                    metrics::bytes_received(count);
                    *self.last_received.lock() = Instant::now();
                }
                Err(error) => return DisconnectReason::Io(error.kind()),
            }
        }
    }

    async fn handle(&self, frame: Frame) {
        if let Some(kind) = RequestKind::answered_by(frame.command) {
            let answer = Answer { kind, payload: frame.payload, checksum_valid: frame.checksum_valid };
            if let Delivery::Undelivered { verdict, response } = self.correlator.on_response(answer) {
                if verdict == Verdict::Unsolicited
                    && kind == RequestKind::GetHeaders
                    && response.checksum_valid
                {
                    self.announce(News::Headers(response.payload));
                    return;
                }
                metrics::undelivered(response.payload.len());
                tracing::debug!(peer = %self.address, ?verdict, "answer not delivered");
            }
            return;
        }
        // As Dash Core does with messages it cannot trust or understand: no answer, no penalty.
        if !frame.checksum_valid {
            return;
        }
        match NetworkMessage::decode(frame.command, &frame.payload) {
            // The channel is closed only when the connection is ending.
            Ok(Some(NetworkMessage::Ping(nonce))) => {
                self.outgoing.send(Outgoing::Pong(nonce)).await.ok();
            }
            Ok(Some(NetworkMessage::Pong(nonce))) => self.on_pong(nonce),
            Ok(Some(NetworkMessage::Inv(inventory))) => {
                let newest = inventory.iter().rev().find_map(|entry| match entry {
                    Inventory::Block(hash) => Some(*hash),
                    Inventory::Unknown { .. } => None,
                });
                newest.into_iter().for_each(|hash| self.announce(News::Block(hash)));
            }
            Ok(Some(NetworkMessage::Addr(entries))) => self.gossip.on_addr(&entries),
            Ok(Some(NetworkMessage::AddrV2(entries))) => self.gossip.on_addrv2(&entries),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(peer = %self.address, command = %frame.command, %error, "undecodable");
            }
        }
    }

    /// Tells of new blocks, unless nobody listens or those who do are far behind.
    fn announce(&self, news: News) {
        if let Some(announcements) = &self.announcements {
            announcements.try_send(Announcement { peer: self.address, news }).ok();
        }
    }

    fn on_pong(&self, nonce: u64) {
        let mut idle_ping = self.idle_ping.lock();
        if let Some(ping) = idle_ping.filter(|ping| ping.nonce == nonce) {
            *idle_ping = None;
            if ping.alone {
                let now = Instant::now();
                self.monitor.on_rtt(&self.address, now - ping.sent, now.into_std());
            }
            self.proven.send_if_modified(|proven| !std::mem::replace(proven, true));
            return;
        }
        drop(idle_ping);
        let verdict = self.correlator.on_fence(nonce);
        tracing::trace!(peer = %self.address, ?verdict, "fence");
        match verdict {
            FenceVerdict::Refused(id) => {
                // Headers cost nothing: nodes count what they cannot serve of lists.
                if self.fence_passed(id).is_some_and(|kind| kind != RequestKind::GetHeaders) {
                    (self.on_refusal.0)(self.address);
                }
            }
            FenceVerdict::Answered { id, .. } | FenceVerdict::Inconclusive(id) => _ = self.fence_passed(id),
            FenceVerdict::Unknown => {}
        }
    }

    /// Remembers a request until its fence comes back. Of a node that answers no pings, only the newest.
    pub(super) fn fence_sent(&self, id: RequestId, kind: RequestKind) {
        let mut fenced = self.fenced.lock();
        if fenced.len() == MAX_FENCED {
            fenced.pop_front();
        }
        fenced.push_back((id, kind));
    }

    /// The kind of the request whose fence has come back. Fences that were lost are before it.
    fn fence_passed(&self, passed: RequestId) -> Option<RequestKind> {
        let mut fenced = self.fenced.lock();
        while let Some((id, kind)) = fenced.pop_front() {
            if id == passed {
                return Some(kind);
            }
        }
        None
    }
}
