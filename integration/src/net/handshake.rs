use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use dashcore::ChainParams;
use dashcore::consensus::{Decodable, DecodeError, Reader};
use dashcore::network::framing::{Frame, FrameDecoder, FrameError};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_headers2::max_headers2;
use dashcore::network::message_network::{
    Address, MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, VersionMessage, service_flags,
};
use dashcore::params::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connector::Stream;
use super::disconnect_reason::DisconnectReason;
use crate::clock;
use crate::log::Span;

/// What a node said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerInfo {
    /// Its protocol version.
    pub(crate) version: i32,
    /// Its service bits.
    pub(crate) services: u64,
    /// Its software.
    pub(crate) user_agent: String,
    /// Height of its chain when it connected.
    pub(crate) start_height: u32,
    /// Seconds that its clock is ahead of ours, as it says.
    pub(crate) clock_ahead: i64,
}

impl PeerInfo {
    /// Whether it serves headers in compressed form.
    pub(crate) const fn offers_headers2(&self) -> bool {
        self.services & service_flags::HEADERS_COMPRESSED != 0
    }

    /// Most headers in one `headers2` of it.
    pub(crate) const fn headers2_limit(&self) -> usize {
        max_headers2(if self.version < PROTOCOL_VERSION { self.version } else { PROTOCOL_VERSION })
    }
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConnectError {
    /// TCP failed.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// The stream is not of this network.
    #[error("not a node of this network: {0}")]
    Framing(#[from] FrameError),
    /// A handshake message cannot be decoded.
    #[error("malformed handshake: {0}")]
    Malformed(#[from] DecodeError),
    /// The node closed the connection during the handshake.
    #[error("closed during the handshake")]
    Closed,
    /// The node speaks a protocol too old for this layout.
    #[error("speaks protocol version {version}, but {MIN_PROTOCOL_VERSION} or later is required")]
    TooOld {
        /// Its version.
        version: i32,
    },
    /// The node did what no honest one does before it had answered the first ping.
    #[error("{0}")]
    Abuse(DisconnectReason),
    /// The handshake, or the first ping, was not answered in time.
    #[error("silent during {during} for {}", Span(*after))]
    Silent {
        /// What was waited for.
        during: &'static str,
        /// How long.
        after: Duration,
    },
}

impl ConnectError {
    /// Name as a metric label.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Framing(_) => "framing",
            Self::Malformed(_) => "malformed",
            Self::Closed => "closed",
            Self::TooOld { .. } => "too_old",
            Self::Abuse(_) => "abuse",
            Self::Silent { .. } => "silent",
        }
    }
}

/// A stream on which both sides have greeted, with the bytes read beyond the greeting.
pub(crate) struct Greeted {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) buffer: BytesMut,
    pub(crate) info: PeerInfo,
}

/// What this side says of itself.
pub(crate) struct Greeting<'a> {
    pub(crate) params: &'a ChainParams,
    pub(crate) unix_time: u32,
    pub(crate) nonce: u64,
    pub(crate) start_height: u32,
    /// Whether addresses of other nodes will be asked for.
    pub(crate) wants_addresses: bool,
    /// Whether InstantSend locks are wanted. Nodes announce them only where they announce transactions too.
    pub(crate) wants_instant_locks: bool,
}

/// Exchanges `version` and `verack`. Services 0, relay only for InstantSend locks, no masternode connection: a node then serves
/// us without asking anything back (protocol facts in docs/protocol.md).
pub(crate) async fn greet(
    mut stream: Box<dyn Stream>,
    address: SocketAddr,
    greeting: &Greeting<'_>,
    decoder: FrameDecoder,
) -> Result<Greeted, ConnectError> {
    let mut out = Vec::new();
    let version = NetworkMessage::Version(version_message(address, greeting));
    version.encode_framed(greeting.params.magic, &mut out);
    stream.write_all(&out).await?;

    let mut buffer = BytesMut::with_capacity(1024);
    let mut info = None;
    loop {
        let frame = read_frame(&mut stream, &mut buffer, decoder).await?;
        if !frame.checksum_valid {
            continue;
        }
        match (frame.command, info.take()) {
            (command::VERSION, None) => {
                // Later versions may append fields, which nodes ignore too.
                let theirs = VersionMessage::consensus_decode(&mut Reader::new(&frame.payload))?;
                if theirs.version < MIN_PROTOCOL_VERSION {
                    return Err(ConnectError::TooOld { version: theirs.version });
                }
                let mut out = Vec::new();
                if greeting.wants_addresses {
                    // Later than before `verack` it would end the connection.
                    NetworkMessage::SendAddrV2.encode_framed(greeting.params.magic, &mut out);
                }
                NetworkMessage::Verack.encode_framed(greeting.params.magic, &mut out);
                stream.write_all(&out).await?;
                info = Some(PeerInfo {
                    version: theirs.version,
                    services: theirs.services,
                    user_agent: theirs.user_agent,
                    start_height: u32::try_from(theirs.start_height).unwrap_or(0),
                    clock_ahead: theirs.timestamp.saturating_sub(clock::unix_seconds().into()),
                });
            }
            (command::VERACK, Some(info)) => return Ok(Greeted { stream, buffer, info }),
            (_, unchanged) => info = unchanged,
        }
    }
}

async fn read_frame(
    stream: &mut Box<dyn Stream>,
    buffer: &mut BytesMut,
    decoder: FrameDecoder,
) -> Result<Frame, ConnectError> {
    loop {
        if let Some(frame) = decoder.decode(buffer)? {
            return Ok(frame);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(ConnectError::Closed);
        }
    }
}

fn version_message(receiver: SocketAddr, greeting: &Greeting<'_>) -> VersionMessage {
    let unset = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    VersionMessage {
        version: PROTOCOL_VERSION,
        services: 0,
        timestamp: i64::from(greeting.unix_time),
        receiver: Address { services: 0, address: receiver },
        sender: Address { services: 0, address: unset },
        nonce: greeting.nonce,
        user_agent: user_agent(&greeting.params.network),
        start_height: i32::try_from(greeting.start_height).unwrap_or(i32::MAX),
        relay: greeting.wants_instant_locks,
        mn_auth_challenge: [0; 32],
        masternode_connection: false,
    }
}

/// The software's name and version and, as a comment, the devnet: its nodes disconnect whoever does not name it as they call
/// themselves, which is after `-devnet=NAME` `devnet-NAME` (Dash Core `FormatSubVersion`, clientversion.cpp).
fn user_agent(network: &Network) -> String {
    let software = concat!("qrsync:", env!("CARGO_PKG_VERSION"));
    match network {
        Network::Devnet(name) => format!("/{software}(devnet.devnet-{name})/"),
        _ => format!("/{software}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devnet_is_named_as_its_nodes_call_themselves() {
        let version = env!("CARGO_PKG_VERSION");
        let devnet = user_agent(&Network::Devnet("foo".into()));
        assert_eq!(devnet, format!("/qrsync:{version}(devnet.devnet-foo)/"));
        assert_eq!(user_agent(&Network::Regtest), format!("/qrsync:{version}/"));
    }
}
