use dashcore::network::message::NetworkMessage;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{IdlePing, Outgoing, Shared};
use crate::net::connector::Stream;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::metrics;
use crate::timer::sleep_until;

/// What is sent to a node.
impl Shared {
    pub(super) async fn write(
        &self,
        mut stream: WriteHalf<Box<dyn Stream>>,
        mut requests: mpsc::Receiver<Outgoing>,
    ) -> DisconnectReason {
        let mut ping = tokio::time::interval(self.config.ping_interval);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut out = Vec::new();
        if self.announcements.is_some() {
            // Goes out with the first ping.
            NetworkMessage::SendHeaders.encode_framed(self.magic, &mut out);
        }
        // Before any request, so that its pong measures the way alone.
        ping.tick().await;
        self.encode_idle_ping(&mut out);
        loop {
            match tokio::time::timeout(self.config.ping_timeout, stream.write_all(&out)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return DisconnectReason::Io(error.kind()),
                Err(_) => return DisconnectReason::Unread,
            }
            out.clear();
            let expiry = self.correlator.next_expiry();
            let probe = self.probing.lock().due(self.correlator.waiting_since());
            tokio::select! {
                biased;
                outgoing = requests.recv() => match outgoing {
                    Some(outgoing) => self.encode(outgoing, &mut out),
                    None => return DisconnectReason::Local,
                },
                _ = ping.tick() => {
                    if self.is_silent() {
                        return DisconnectReason::Silent;
                    }
                    self.encode_idle_ping(&mut out);
                }
                () = sleep_until(expiry) => {
                    self.correlator.expire();
                }
                () = sleep_until(probe) => {
                    self.probing.lock().sent(Instant::now());
                    if let Some(nonce) = self.correlator.probe() {
                        NetworkMessage::Ping(nonce).encode_framed(self.magic, &mut out);
                    }
                }
            }
        }
    }

    /// Registers a request before its bytes are written, in the order of the stream: only then does the position of
    /// an answer name its request.
    fn encode(&self, outgoing: Outgoing, out: &mut Vec<u8>) {
        match outgoing {
            Outgoing::Pong(nonce) => NetworkMessage::Pong(nonce).encode_framed(self.magic, out),
            Outgoing::GetAddr => NetworkMessage::GetAddr.encode_framed(self.magic, out),
            Outgoing::Request(request, registered) => {
                let message = request.to_message();
                let kind = request.kind();
                match self.correlator.register(request) {
                    Ok((ticket, fence)) => {
                        metrics::request_sent(kind);
                        message.encode_framed(self.magic, out);
                        if self.config.correlation.fences {
                            NetworkMessage::Ping(fence).encode_framed(self.magic, out);
                            self.fence_sent(ticket.id(), kind);
                        }
                        // A caller that has gone drops its ticket, which abandons the request.
                        registered.send(Ok(ticket)).ok();
                    }
                    Err(error) => {
                        registered.send(Err(error)).ok();
                    }
                }
            }
        }
    }

    /// Pings only while nothing is in flight, so that the pong measures the way alone; requests bring their own pings,
    /// unless fences are off.
    fn encode_idle_ping(&self, out: &mut Vec<u8>) {
        let mut idle_ping = self.idle_ping.lock();
        let alone = self.correlator.in_flight() == 0;
        if idle_ping.is_none() && (alone || !self.config.correlation.fences) {
            let nonce = self.rng.lock().u64(..);
            *idle_ping = Some(IdlePing { nonce, sent: Instant::now(), alone });
            NetworkMessage::Ping(nonce).encode_framed(self.magic, out);
        }
    }

    /// Whether a ping was sent too long ago to which nothing was in flight, or nothing at all has come for as long while a
    /// request or a ping is unanswered. A large answer may hold up what is behind it, as long as it goes on coming.
    fn is_silent(&self) -> bool {
        let timeout = self.config.ping_timeout;
        let ping = *self.idle_ping.lock();
        let is_late = |since: Instant| since.elapsed() >= timeout;
        if ping.is_some_and(|ping| ping.alone && is_late(ping.sent)) {
            return true;
        }
        let waits_since =
            [ping.map(|ping| ping.sent), self.correlator.waiting_since()].into_iter().flatten().min();
        waits_since.is_some_and(is_late) && is_late(*self.last_received.lock())
    }
}
