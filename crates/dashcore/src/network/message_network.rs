//! Handshake, liveness and addresses.

use std::net::SocketAddr;

use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size};

/// Protocol version spoken here (Dash Core 23.1). Any peer at or above [`MIN_PROTOCOL_VERSION`] uses the same layout.
pub const PROTOCOL_VERSION: i32 = 70_240;

/// Oldest peer version whose `mnlistdiff` layout is understood here.
pub const MIN_PROTOCOL_VERSION: i32 = 70_230;

/// From this version on each diff of a `qrinfo` is based on the previous one.
pub const EFFICIENT_QRINFO_VERSION: i32 = 70_236;

/// Service bits of a node.
pub mod service_flags {
    /// Serves the whole chain.
    pub const NETWORK: u64 = 1;
    /// Serves the last 288 blocks.
    pub const NETWORK_LIMITED: u64 = 1024;
    /// Serves headers in compressed form.
    pub const HEADERS_COMPRESSED: u64 = 2048;
}

/// Longest user agent, in bytes (Dash Core `MAX_SUBVERSION_LENGTH`, net.h).
const MAX_USER_AGENT: usize = 256;

/// Network address inside `version`: without time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Service bits.
    pub services: u64,
    /// IP address and port.
    pub address: SocketAddr,
}

impl Encodable for Address {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.services.consensus_encode(out);
        self.address.consensus_encode(out);
    }
}

impl Decodable for Address {
    const MIN_SIZE: usize = 26;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { services: reader.read("addr.services")?, address: reader.read("addr.service")? })
    }
}

/// `version`: the first message in each direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionMessage {
    /// Highest protocol version the sender speaks.
    pub version: i32,
    /// Service bits of the sender.
    pub services: u64,
    /// Unix time in seconds.
    pub timestamp: i64,
    /// Address of the receiver as the sender sees it.
    pub receiver: Address,
    /// Address of the sender; receivers ignore it.
    pub sender: Address,
    /// Random value by which a node notices a connection to itself.
    pub nonce: u64,
    /// Software name.
    pub user_agent: String,
    /// Height of the sender's chain.
    pub start_height: i32,
    /// Whether transactions should be announced.
    pub relay: bool,
    /// Challenge for `mnauth`.
    pub mn_auth_challenge: [u8; 32],
    /// Whether the sender opens this connection as a masternode.
    pub masternode_connection: bool,
}

impl Encodable for VersionMessage {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        self.services.consensus_encode(out);
        self.timestamp.consensus_encode(out);
        self.receiver.consensus_encode(out);
        self.sender.consensus_encode(out);
        self.nonce.consensus_encode(out);
        encode_compact_size(self.user_agent.len(), out);
        out.extend_from_slice(self.user_agent.as_bytes());
        self.start_height.consensus_encode(out);
        self.relay.consensus_encode(out);
        self.mn_auth_challenge.consensus_encode(out);
        self.masternode_connection.consensus_encode(out);
    }
}

impl Decodable for VersionMessage {
    const MIN_SIZE: usize = 85;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.read("version.nVersion")?,
            services: reader.read("version.services")?,
            timestamp: reader.read("version.time")?,
            receiver: reader.read("version.addrRecv")?,
            sender: reader.read("version.addrFrom")?,
            nonce: reader.read("version.nonce")?,
            user_agent: decode_user_agent(reader)?,
            start_height: reader.read("version.startHeight")?,
            relay: reader.read("version.relay")?,
            mn_auth_challenge: reader.read("version.mnauthChallenge")?,
            masternode_connection: reader.read("version.masternodeConnection")?,
        })
    }
}

fn decode_user_agent(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let start = reader.position();
    let bytes = reader.field("version.userAgent").var_bytes()?;
    if bytes.len() > MAX_USER_AGENT {
        let kind = DecodeErrorKind::LengthTooLarge { length: bytes.len() as u64, limit: MAX_USER_AGENT };
        return Err(reader.error_at(start, kind));
    }
    // The name is only ever shown, so a byte that is no text is replaced, not refused; by one byte, so that the name stays
    // within its limit.
    Ok(String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "?"))
}

/// One entry of `addr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedAddress {
    /// When the node was last seen, Unix time in seconds.
    pub time: u32,
    /// The node.
    pub address: Address,
}

impl Encodable for TimedAddress {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.time.consensus_encode(out);
        self.address.consensus_encode(out);
    }
}

impl Decodable for TimedAddress {
    const MIN_SIZE: usize = 30;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { time: reader.read("addr.time")?, address: Address::consensus_decode(reader)? })
    }
}
