use std::io;
use std::sync::Arc;

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
        self: Arc<Self>,
        mut stream: WriteHalf<Box<dyn Stream>>,
        mut requests: mpsc::Receiver<Outgoing>,
        mut replies: mpsc::Receiver<NetworkMessage>,
    ) -> DisconnectReason {
        let mut ping = tokio::time::interval(self.config.ping_interval);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut out = Vec::new();
        if self.announcer.is_some() {
            // Goes out with the first ping.
            NetworkMessage::SendHeaders.encode_framed(self.magic, &mut out);
        }
        // Before any request, so that its pong measures the way alone.
        ping.tick().await;
        self.encode_idle_ping(&mut out);
        loop {
            if let Err(reason) = self.send(&mut stream, &out).await {
                return reason;
            }
            out.clear();
            let silence = self.silent_at();
            if silence.is_some_and(|at| at <= Instant::now()) {
                return DisconnectReason::Silent;
            }
            let expiry = self.correlator.next_expiry();
            let probe = self.probing.lock().due(self.correlator.waiting_since());
            tokio::select! {
                biased;
                outgoing = requests.recv() => match outgoing {
                    Some(outgoing) => self.encode(outgoing, &mut out),
                    None => return DisconnectReason::Local,
                },
                Some(reply) = replies.recv() => reply.encode_framed(self.magic, &mut out),
                // What came meanwhile may put it off.
                () = sleep_until(silence) => {}
                _ = ping.tick() => self.encode_idle_ping(&mut out),
                () = sleep_until(expiry) => {
                    self.correlator.expire();
                }
                () = sleep_until(probe) => {
                    self.probing.lock().sent(Instant::now());
                    if let Some(nonce) = self.correlator.probe() {
                        self.encode_ping(nonce, &mut out);
                    }
                }
            }
        }
    }

    /// Registers a request before its bytes are written, in the order of the stream: only then does the position of
    /// an answer name its request.
    fn encode(&self, outgoing: Outgoing, out: &mut Vec<u8>) {
        match outgoing {
            Outgoing::GetAddr => NetworkMessage::GetAddr.encode_framed(self.magic, out),
            Outgoing::Request(request, registered) => {
                let message = request.to_message();
                let kind = request.kind();
                match self.correlator.register(request) {
                    Ok((ticket, fence)) => {
                        metrics::request_sent(kind);
                        message.encode_framed(self.magic, out);
                        if self.config.correlation.fences {
                            self.encode_ping(fence, out);
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
    /// unless fences are off or have come back too early.
    fn encode_idle_ping(&self, out: &mut Vec<u8>) {
        let mut idle_ping = self.idle_ping.lock();
        let alone = self.correlator.in_flight() == 0;
        let (is_awaited, is_any_awaited) = {
            let liveness = self.liveness.lock();
            (idle_ping.is_some_and(|ping| liveness.awaits(ping.nonce)), liveness.awaits_any())
        };
        if !is_awaited && (alone || !self.config.correlation.fences || !is_any_awaited) {
            let nonce = self.rng.lock().u64(..);
            *idle_ping = Some(IdlePing { nonce, sent: Instant::now(), alone });
            self.encode_ping(nonce, out);
        }
    }

    fn encode_ping(&self, nonce: u64, out: &mut Vec<u8>) {
        self.liveness.lock().pinged(nonce, Instant::now());
        NetworkMessage::Ping(nonce).encode_framed(self.magic, out);
    }

    /// Writes all of this, unless the node stops reading or answering.
    async fn send(
        &self,
        stream: &mut WriteHalf<Box<dyn Stream>>,
        mut out: &[u8],
    ) -> Result<(), DisconnectReason> {
        let mut unread_at = Instant::now() + self.config.ping_timeout;
        while !out.is_empty() {
            let silence = self.silent_at().unwrap_or(unread_at);
            match tokio::time::timeout_at(unread_at.min(silence), stream.write(out)).await {
                Ok(Ok(0)) => return Err(DisconnectReason::Io(io::ErrorKind::WriteZero)),
                Ok(Ok(count)) => {
                    out = &out[count..];
                    unread_at = Instant::now() + self.config.ping_timeout;
                }
                Ok(Err(error)) => return Err(DisconnectReason::Io(error.kind())),
                Err(_) if unread_at <= Instant::now() => return Err(DisconnectReason::Unread),
                Err(_) => {}
            }
            if self.silent_at().is_some_and(|at| at <= Instant::now()) {
                return Err(DisconnectReason::Silent);
            }
        }
        Ok(())
    }

    /// When the node is given up for silence, as it looks now.
    fn silent_at(&self) -> Option<Instant> {
        self.liveness.lock().ends(Instant::now())
    }
}
