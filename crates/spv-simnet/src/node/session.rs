use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use dashcore::Network;
use dashcore::consensus::{Decodable, Reader, serialize};
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::framing::{Command, Frame};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_addrv2::{AddrV2, AddrV2Message};
use dashcore::network::message_blockdata::{HeadersMessage, Inventory};
use dashcore::network::message_headers2::Headers2Message;
use dashcore::network::message_network::{
    Address, MIN_PROTOCOL_VERSION, TimedAddress, VersionMessage, service_flags,
};

use super::Node;
use super::clock::{clock, now, tip_time};
use super::delivery::{deliver, framed};
use super::locks::{announced_chain_lock, announced_instant_lock, served_locks};
use super::rate::Rate;
use super::reply::Reply;
use super::service::{BadRequest, Request, RequestKind};
use crate::chain::ActiveChain;
use crate::faults::{Fault, FaultPlan};

/// A node's view of one connection: how far the handshake is, what the other side has done wrong.
#[derive(Debug)]
pub(super) struct Session {
    address: SocketAddr,
    /// The lower of both sides' protocol versions, once `version` has been received.
    common_version: Option<i32>,
    handshake_done: bool,
    misbehaviour: u32,
    addresses_sent: bool,
    /// Whether the other side wants addresses as `addrv2`.
    wants_addrv2: bool,
    /// Whether the other side asked for new blocks to be announced by their headers, ...
    prefers_headers: bool,
    /// ... and by compressed ones.
    prefers_headers2: bool,
    /// Whether it serves compressed headers itself.
    offers_headers2: bool,
    /// Whether the other side wants to hear of transactions, and so of InstantSend locks.
    relays: bool,
    /// Pings that will not be answered.
    stalled_pings: u32,
    /// How many `getmnlistd` are answered.
    rate: Option<Rate>,
    /// Messages received.
    received: u64,
    closed: bool,
}

impl Session {
    pub(super) fn new(address: SocketAddr, node: &Node) -> Self {
        Self {
            address,
            common_version: None,
            handshake_done: false,
            misbehaviour: 0,
            addresses_sent: false,
            wants_addrv2: false,
            prefers_headers: false,
            prefers_headers2: false,
            offers_headers2: false,
            relays: true,
            stalled_pings: 0,
            rate: node.config.faults.rate_limit.map(Rate::new),
            received: 0,
            closed: false,
        }
    }

    /// Whether the handshake is behind.
    pub(super) fn is_established(&self) -> bool {
        self.handshake_done
    }

    /// Whether the message takes the time of a data request.
    pub(super) fn is_served(&self, name: Command) -> bool {
        self.handshake_done && !self.closed && Request::kind(name).is_some()
    }

    /// Handles one message completely.
    pub(super) fn receive(&mut self, frame: &Frame, node: &Node, faults: &mut FaultPlan) -> Vec<Reply> {
        let is_mute = self.is_mute(node);
        self.received += 1;
        let replies = match Request::kind(frame.command) {
            _ if self.closed => Vec::new(),
            None if is_mute => Vec::new(),
            Some(kind) if self.handshake_done && !faults.is_silent() && !is_mute => {
                self.serve(kind, frame, node, faults)
            }
            Some(_) => vec![Reply::NoAnswer],
            None => self.converse(frame, node, faults),
        };
        self.closed |= replies.contains(&Reply::Close);
        replies
    }

    /// Tells of a new tip: by headers where that was asked for and they follow a block that the other side has heard of,
    /// else by the tip's hash (Dash Core `SendMessages`, net_processing.cpp); and behind that of its ChainLock.
    pub(super) fn announce(&self, before: &ActiveChain, node: &Node) -> Vec<Reply> {
        let chain = node.chain();
        if !self.hears_news(node) || !node.shown_headers(&chain).is_complete() {
            return Vec::new();
        }
        let new = chain.headers_beyond(before);
        let message = match new.len() {
            0 => return Vec::new(),
            1..=MAX_BLOCKS_TO_ANNOUNCE if self.prefers_headers2 => {
                NetworkMessage::Headers2(Headers2Message(new.to_vec()))
            }
            1..=MAX_BLOCKS_TO_ANNOUNCE if self.prefers_headers => {
                NetworkMessage::Headers(HeadersMessage(new.to_vec()))
            }
            _ => NetworkMessage::Inv(vec![Inventory::Block(chain.tip_hash())]),
        };
        let lock = announced_chain_lock(&chain, node).map(|lock| NetworkMessage::Inv(vec![lock]));
        std::iter::once(message).chain(lock).map(|message| send(node, &message)).collect()
    }

    /// Announces an InstantSend lock if the other side relays transactions. Dash Core announces them to no other peers
    /// (`RelayInvFiltered`, net_processing.cpp).
    pub(super) fn announce_instant_lock(&self, lock: &InstantLock, node: &Node) -> Option<Reply> {
        let announced =
            announced_instant_lock(lock.clone(), node).filter(|_| self.relays && self.hears_news(node));
        announced.map(|lock| send(node, &NetworkMessage::Inv(vec![lock])))
    }

    /// Whether anything is announced on this connection.
    fn hears_news(&self, node: &Node) -> bool {
        let faults = &node.config.faults;
        let is_quiet = faults.silent || faults.never_read || self.is_mute(node);
        self.handshake_done && !self.closed && !is_quiet
    }

    /// Whether the node has had so many messages on this connection that it says nothing any more.
    fn is_mute(&self, node: &Node) -> bool {
        node.config.faults.mute_after.is_some_and(|messages| self.received >= messages)
    }

    /// Everything that is no data request.
    fn converse(&mut self, frame: &Frame, node: &Node, faults: &mut FaultPlan) -> Vec<Reply> {
        match (frame.command, self.common_version) {
            (command::VERSION, None) => self.greet(frame, node, faults),
            // A second version, or anything before the first.
            (command::VERSION, Some(_)) | (_, None) => Vec::new(),
            (command::VERACK, Some(_)) if !self.handshake_done => {
                self.handshake_done = true;
                // Compact blocks are offered at low bandwidth: a flag and a version.
                let compact = [&[0][..], &1_u64.to_le_bytes()].concat();
                let announcements = match self.offers_headers2 && !node.config.faults.no_headers2 {
                    true => NetworkMessage::SendHeaders2,
                    false => NetworkMessage::SendHeaders,
                };
                vec![
                    send(node, &announcements),
                    Reply::Send(framed(node, Command::new("sendcmpct"), &compact)),
                    send(node, &NetworkMessage::Ping(faults.nonce())),
                ]
            }
            (command::SENDADDRV2, Some(_)) if self.handshake_done => vec![Reply::Close],
            (command::SENDADDRV2, Some(_)) => {
                self.wants_addrv2 = true;
                Vec::new()
            }
            _ if !self.handshake_done || faults.is_silent() => Vec::new(),
            (command::PING, _) => self.answer_ping(frame, node),
            (command::SENDHEADERS, _) => {
                self.prefers_headers = true;
                Vec::new()
            }
            (command::SENDHEADERS2, _) if !node.config.faults.no_headers2 => {
                self.prefers_headers2 = true;
                Vec::new()
            }
            (command::GETDATA, _) => {
                served_locks(frame, node).iter().map(|message| send(node, message)).collect()
            }
            (command::GETADDR, _) if !self.addresses_sent => {
                self.addresses_sent = true;
                vec![send(node, &self.addresses(node))]
            }
            // Answers that nobody asked for, and a masternode's proof from one that serves nothing.
            (command::MNLISTDIFF | command::QRINFO | MNAUTH, _) => self.misbehave(node, DISCONNECT_SCORE),
            _ => Vec::new(),
        }
    }

    fn greet(&mut self, frame: &Frame, node: &Node, faults: &mut FaultPlan) -> Vec<Reply> {
        let mut reader = Reader::new(&frame.payload);
        let Ok(theirs) = reader.read::<i32>("version.nVersion") else {
            return Vec::new();
        };
        // What follows the version may be missing in part; little of it matters.
        let version = VersionMessage::consensus_decode(&mut Reader::new(&frame.payload)).ok();
        let as_masternode = version.as_ref().is_some_and(|version| version.masternode_connection);
        // As Dash Core: on a devnet it talks to nobody who does not name it.
        let names_us = match &node.chain().world().params().network {
            Network::Devnet(name) => {
                let devnet = format!("devnet.devnet-{name}");
                version.as_ref().is_some_and(|version| version.user_agent.contains(&devnet))
            }
            _ => true,
        };
        self.relays = version.as_ref().is_none_or(|version| version.relay);
        self.offers_headers2 =
            version.is_some_and(|version| version.services & service_flags::HEADERS_COMPRESSED != 0);
        if theirs < MIN_PROTOCOL_VERSION || as_masternode || !names_us {
            return vec![Reply::Close];
        }
        self.common_version = Some(theirs.min(node.config.protocol_version));
        vec![
            send(node, &NetworkMessage::Version(self.version(node, faults.nonce()))),
            send(node, &NetworkMessage::SendAddrV2),
            send(node, &NetworkMessage::Verack),
        ]
    }

    fn version(&self, node: &Node, nonce: u64) -> VersionMessage {
        let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let height = node.config.faults.claim.unwrap_or_else(|| node.shown_headers(&node.chain()).tip());
        VersionMessage {
            version: node.config.protocol_version,
            services: services(node),
            timestamp: clock(node),
            receiver: Address { services: 0, address: self.address },
            sender: Address { services: services(node), address: unknown },
            nonce,
            user_agent: match &node.chain().world().params().network {
                Network::Devnet(name) => format!("/{SOFTWARE}(devnet.devnet-{name})/"),
                _ => format!("/{SOFTWARE}/"),
            },
            start_height: i32::try_from(height).unwrap_or(i32::MAX),
            relay: true,
            mn_auth_challenge: [0; 32],
            masternode_connection: false,
        }
    }

    /// The other nodes of the network.
    fn addresses(&self, node: &Node) -> NetworkMessage {
        self.list(node.neighbours.iter().copied().take(MAX_ADDRESSES), node)
    }

    /// Addresses of nodes, in the form that was asked for.
    pub(super) fn list(&self, addresses: impl Iterator<Item = SocketAddr>, node: &Node) -> NetworkMessage {
        let (time, services) = (tip_time(node), services(node));
        if !self.wants_addrv2 {
            let entry = |address| TimedAddress { time, address: Address { services, address } };
            return NetworkMessage::Addr(addresses.map(entry).collect());
        }
        let entry = |listener: SocketAddr| {
            let address = match listener.ip() {
                IpAddr::V4(ip) => AddrV2::Ipv4(ip),
                IpAddr::V6(ip) => AddrV2::Ipv6(ip),
            };
            AddrV2Message { time, services, address, port: listener.port() }
        };
        NetworkMessage::AddrV2(addresses.map(entry).collect())
    }

    fn answer_ping(&mut self, frame: &Frame, node: &Node) -> Vec<Reply> {
        if node.config.faults.no_pong {
            return Vec::new();
        }
        if self.stalled_pings > 0 {
            self.stalled_pings -= 1;
            return Vec::new();
        }
        let nonce = Reader::new(&frame.payload).read("ping.nonce");
        nonce.map(|nonce| vec![send(node, &NetworkMessage::Pong(nonce))]).unwrap_or_default()
    }

    fn serve(&mut self, kind: RequestKind, frame: &Frame, node: &Node, faults: &mut FaultPlan) -> Vec<Reply> {
        if kind == RequestKind::Headers2 && node.config.faults.no_headers2 {
            return vec![Reply::NoAnswer];
        }
        let mut request = match Request::decode(kind, frame) {
            Ok(request) => request,
            Err(BadRequest::Malformed(error)) => {
                tracing::debug!(%error, "dropping a request");
                return vec![Reply::NoAnswer];
            }
            Err(BadRequest::LocatorTooLong) => return vec![Reply::NoAnswer, Reply::Close],
        };
        if kind == RequestKind::MnListDiff && self.rate.as_mut().is_some_and(|rate| !rate.takes(now())) {
            return vec![Reply::NoAnswer];
        }
        let fault = faults.next(kind.asked());
        if fault.is_some() {
            node.stats.lock().faults += 1;
        }
        match fault {
            Some(Fault::Disconnect) => return vec![Reply::NoAnswer, Reply::Close],
            Some(Fault::Refuse) => return self.refuse(kind, node),
            Some(Fault::Drop) => return vec![Reply::NoAnswer],
            Some(Fault::Stall) => {
                self.stalled_pings += 1;
                return vec![Reply::NoAnswer];
            }
            Some(Fault::Wrong) => match request.another(&node.chain(), faults) {
                Some(other) => request = other,
                None => return vec![Reply::NoAnswer],
            },
            _ => {}
        }
        let common_version = self.common_version.unwrap_or(MIN_PROTOCOL_VERSION);
        let is_half = fault == Some(Fault::HalfHeaders);
        let answer = match request.answer(&node.shown_headers(&node.chain()), common_version, is_half) {
            Ok(Some(answer)) => answer,
            Ok(None) => return vec![Reply::NoAnswer],
            Err(refusal) => {
                tracing::debug!(%refusal, "refusing a request");
                return self.refuse(kind, node);
            }
        };
        kind.count(&mut node.stats.lock().answered);
        deliver(node, &frame.payload, answer, fault, faults)
    }

    fn refuse(&mut self, kind: RequestKind, node: &Node) -> Vec<Reply> {
        kind.count(&mut node.stats.lock().refused);
        let mut replies = vec![Reply::NoAnswer];
        replies.extend(self.misbehave(node, 1));
        replies
    }

    /// Adds to the score of the connection, which never goes down.
    fn misbehave(&mut self, node: &Node, score: u32) -> Vec<Reply> {
        self.misbehaviour += score;
        let mut stats = node.stats.lock();
        stats.max_misbehaviour = stats.max_misbehaviour.max(self.misbehaviour);
        if self.misbehaviour < DISCONNECT_SCORE {
            return Vec::new();
        }
        stats.banned += 1;
        vec![Reply::Close]
    }
}

/// More new blocks than these are announced by the tip's hash alone (Dash Core `MAX_BLOCKS_TO_ANNOUNCE`,
/// net_processing.cpp).
const MAX_BLOCKS_TO_ANNOUNCE: usize = 8;
const SOFTWARE: &str = concat!("spv-simnet:", env!("CARGO_PKG_VERSION"));
const MNAUTH: Command = Command::new("mnauth");
/// Misbehaviour at which a node disconnects (Dash Core `DISCOURAGEMENT_THRESHOLD`, net_processing.cpp).
const DISCONNECT_SCORE: u32 = 100;

/// Most entries of an `addr` or `addrv2` (Dash Core `MAX_ADDR_TO_SEND`, net_processing.cpp).
pub(super) const MAX_ADDRESSES: usize = 1_000;

fn services(node: &Node) -> u64 {
    let always = service_flags::NETWORK | service_flags::NETWORK_LIMITED;
    if node.config.faults.no_headers2 { always } else { always | service_flags::HEADERS_COMPRESSED }
}

fn send(node: &Node, message: &NetworkMessage) -> Reply {
    Reply::Send(framed(node, message.command(), &serialize(message)))
}
