use std::sync::atomic::Ordering;

use bitcoin_hashes::sha256d;
use dashcore::network::framing::Frame;
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::Inventory;
use spv_correlation::{Delivery, FenceVerdict, RequestId, Verdict};
use tokio::time::Instant;

use super::Shared;
use crate::net::announcement::News;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::metrics;
use crate::wire::{Answer, Request, RequestKind};

/// Requests whose fence is waited for that are remembered by kind; far more than are ever in flight.
pub(super) const MAX_FENCED: usize = 64;

/// What messages of a node mean.
impl Shared {
    pub(super) fn handle(&self, frame: Frame) -> Result<(), DisconnectReason> {
        let now = Instant::now();
        if RequestKind::answered_by(frame.command).is_some() {
            return self.on_answer(frame);
        }
        // As Dash Core does with messages it cannot trust or understand: no answer. There must not be many.
        if !frame.checksum_valid {
            return Ok(self.allowance.lock().broken(now)?);
        }
        match NetworkMessage::decode(frame.command, &frame.payload) {
            // Where there is no place, it neither reads nor waits for its pongs; writing then ends soon.
            Ok(Some(NetworkMessage::Ping(nonce))) => _ = self.replies.try_send(NetworkMessage::Pong(nonce)),
            Ok(Some(NetworkMessage::Pong(nonce))) => self.on_pong(nonce)?,
            Ok(Some(NetworkMessage::Inv(inventory))) => self.on_inventory(&inventory),
            Ok(Some(NetworkMessage::ClSig(lock))) => {
                let name = sha256d::hash(&frame.payload).to_byte_array();
                if self.wanted_locks.lock().came(&name) {
                    self.announce(News::ChainLock(lock));
                }
            }
            Ok(Some(NetworkMessage::IsdLock(lock))) => {
                let name = sha256d::hash(&frame.payload).to_byte_array();
                if !self.wanted_instant_locks.lock().came(&name) {
                    self.allowance.lock().unasked(frame.payload.len(), now)?;
                } else if let Some(inbox) = self.instant_locks() {
                    inbox.put(self.address, name, lock);
                }
            }
            Ok(Some(NetworkMessage::NotFound(inventory))) => {
                let (mut wanted, mut wanted_instant) =
                    (self.wanted_locks.lock(), self.wanted_instant_locks.lock());
                for entry in inventory {
                    match entry {
                        Inventory::ChainLock(name) => _ = wanted.came(&name),
                        Inventory::InstantLock(name) => _ = wanted_instant.came(&name),
                        _ => {}
                    }
                }
            }
            Ok(Some(NetworkMessage::Addr(entries))) => self.gossip.on_addr(&entries),
            Ok(Some(NetworkMessage::AddrV2(entries))) => self.gossip.on_addrv2(&entries),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(peer = %self.address, command = %frame.command, %error, "a message cannot be decoded");
                self.allowance.lock().broken(now)?;
            }
        }
        Ok(())
    }

    /// Handles announcements: passes on those of blocks, and requests announced locks, if the follower wants them.
    fn on_inventory(&self, inventory: &[Inventory]) {
        let newest = inventory.iter().rev().find_map(|entry| match entry {
            Inventory::Block(hash) => Some(*hash),
            _ => None,
        });
        newest.into_iter().for_each(|hash| self.announce(News::Block(hash)));
        if self.announcer.is_none() {
            return;
        }
        let inbox = self.instant_locks();
        let (mut wanted, mut wanted_instant) = (self.wanted_locks.lock(), self.wanted_instant_locks.lock());
        let locks = inventory.iter().filter(|entry| match entry {
            Inventory::ChainLock(name) => wanted.announced(*name),
            Inventory::InstantLock(name) => {
                inbox.is_some_and(|inbox| inbox.wants(self.address, name)) && wanted_instant.announced(*name)
            }
            _ => false,
        });
        let locks: Vec<Inventory> = locks.copied().collect();
        if locks.is_empty() || self.replies.try_send(NetworkMessage::GetData(locks.clone())).is_ok() {
            return;
        }
        // There is no place. Another node sends them, or this one announces them again.
        for lock in locks {
            match lock {
                Inventory::ChainLock(name) => wanted.was_not_asked(&name),
                Inventory::InstantLock(name) => wanted_instant.was_not_asked(&name),
                _ => {}
            }
        }
    }

    fn on_answer(&self, frame: Frame) -> Result<(), DisconnectReason> {
        let name = frame.command;
        let Some(answer) = Answer::of(frame, self.info.headers2_limit()) else { return Ok(()) };
        if name == command::HEADERS2 && !Request::is_readable(&answer) {
            tracing::debug!(peer = %self.address, "compressed headers cannot be decoded; using plain ones from now on");
            // Before the request ends with it, for whoever asks again.
            self.asks_compressed.store(false, Ordering::Relaxed);
        }
        let Delivery::Undelivered { verdict, response } = self.correlator.on_response(answer) else {
            return Ok(());
        };
        let (now, length) = (Instant::now(), response.payload.len());
        match verdict {
            Verdict::Unsolicited if !response.checksum_valid => self.allowance.lock().broken(now)?,
            Verdict::Unsolicited if name == command::HEADERS => {
                self.allowance.lock().unasked(length, now)?;
                self.announce(News::Headers(response.payload));
                return Ok(());
            }
            Verdict::Unsolicited if Request::is_readable(&response) => {
                return Err(DisconnectReason::Unasked(name));
            }
            Verdict::Unsolicited => self.allowance.lock().broken(now)?,
            Verdict::Duplicate => self.allowance.lock().repeated(length, now)?,
            // As many as there were requests.
            Verdict::Matched(_)
            | Verdict::Held
            | Verdict::Late(_)
            | Verdict::Mismatched(_)
            | Verdict::Ambiguous(_) => {}
        }
        metrics::undelivered(length);
        tracing::debug!(peer = %self.address, ?verdict, "answer not delivered");
        Ok(())
    }

    /// Tells of new blocks, unless nobody listens.
    fn announce(&self, news: News) {
        if let Some(announcer) = &self.announcer {
            announcer.put(self.address, news);
        }
    }

    fn on_pong(&self, nonce: u64) -> Result<(), DisconnectReason> {
        let now = Instant::now();
        let was_awaited = self.liveness.lock().ponged(nonce);
        let mut idle_ping = self.idle_ping.lock();
        if let Some(ping) = idle_ping.filter(|ping| ping.nonce == nonce) {
            *idle_ping = None;
            if ping.alone {
                self.monitor.on_rtt(&self.address, now - ping.sent, now.into_std());
            }
            self.proven.send_if_modified(|proven| !std::mem::replace(proven, true));
            return Ok(());
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
            FenceVerdict::Answered { id, .. }
            | FenceVerdict::Matched { id, .. }
            | FenceVerdict::Inconclusive(id) => _ = self.fence_passed(id),
            FenceVerdict::Unknown if was_awaited => {}
            FenceVerdict::Unknown => self.allowance.lock().unasked(size_of_val(&nonce), now)?,
        }
        Ok(())
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
