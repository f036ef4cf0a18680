//! All messages that are understood here.

use super::command::{Command, MAX_ADDRESSES};
use super::framing::encode_frame;
use super::message_addrv2::AddrV2Message;
use super::message_blockdata::{GetHeadersMessage, HeadersMessage, Inventory, MAX_INVENTORY};
use super::message_headers2::Headers2Message;
use super::message_network::{TimedAddress, VersionMessage};
use super::message_qrinfo::{GetQRInfo, QRInfo};
use super::message_sml::{GetMnListDiff, MnListDiff};
use crate::consensus::{Decodable, DecodeError, Encodable, Reader, deserialize, encode_vec};
use crate::ephemerealdata::chain_lock::ChainLock;
use crate::ephemerealdata::instant_lock::InstantLock;

pub use super::command::names as command;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkMessage {
    /// First message in each direction.
    Version(VersionMessage),
    /// Acknowledges `version`.
    Verack,
    /// Asks for a pong with the same nonce.
    Ping(u64),
    /// Answers a ping.
    Pong(u64),
    /// Asks for headers.
    GetHeaders(GetHeadersMessage),
    /// Headers.
    Headers(HeadersMessage),
    /// Asks for headers in compressed form.
    GetHeaders2(GetHeadersMessage),
    /// Headers in compressed form.
    Headers2(Headers2Message),
    /// Asks for new tips to be announced by `headers`.
    SendHeaders,
    /// Asks for new tips to be announced by `headers2`.
    SendHeaders2,
    /// Announces what the sender has.
    Inv(Vec<Inventory>),
    /// Asks for what was announced.
    GetData(Vec<Inventory>),
    /// Answers `getdata` with what the sender has not got.
    NotFound(Vec<Inventory>),
    /// A ChainLock.
    ClSig(ChainLock),
    /// An InstantSend lock.
    IsdLock(InstantLock),
    /// Asks for addresses.
    GetAddr,
    /// Addresses.
    Addr(Vec<TimedAddress>),
    /// Asks for addresses to be sent as `addrv2`; goes out before `verack`.
    SendAddrV2,
    /// Addresses of any kind of network.
    AddrV2(Vec<AddrV2Message>),
    /// Asks for a list diff.
    GetMnListD(GetMnListDiff),
    /// A list diff.
    MnListDiff(MnListDiff),
    /// Asks for quorum rotation info.
    GetQRInfo(GetQRInfo),
    /// Quorum rotation info.
    QRInfo(Box<QRInfo>),
}

impl NetworkMessage {
    /// The message's name on the wire.
    pub fn command(&self) -> Command {
        match self {
            Self::Version(_) => command::VERSION,
            Self::Verack => command::VERACK,
            Self::Ping(_) => command::PING,
            Self::Pong(_) => command::PONG,
            Self::GetHeaders(_) => command::GETHEADERS,
            Self::Headers(_) => command::HEADERS,
            Self::GetHeaders2(_) => command::GETHEADERS2,
            Self::Headers2(_) => command::HEADERS2,
            Self::SendHeaders => command::SENDHEADERS,
            Self::SendHeaders2 => command::SENDHEADERS2,
            Self::Inv(_) => command::INV,
            Self::GetData(_) => command::GETDATA,
            Self::NotFound(_) => command::NOTFOUND,
            Self::ClSig(_) => command::CLSIG,
            Self::IsdLock(_) => command::ISDLOCK,
            Self::GetAddr => command::GETADDR,
            Self::Addr(_) => command::ADDR,
            Self::SendAddrV2 => command::SENDADDRV2,
            Self::AddrV2(_) => command::ADDRV2,
            Self::GetMnListD(_) => command::GETMNLISTD,
            Self::MnListDiff(_) => command::MNLISTDIFF,
            Self::GetQRInfo(_) => command::GETQRINFO,
            Self::QRInfo(_) => command::QRINFO,
        }
    }

    /// Decodes a payload; `None` for a command that is not understood here.
    ///
    /// # Errors
    /// When the payload is no valid message of that name.
    pub fn decode(name: Command, payload: &[u8]) -> Result<Option<Self>, DecodeError> {
        let empty = |message: Self| Reader::new(payload).finish().map(|()| message);
        match name {
            command::VERSION => deserialize(payload).map(Self::Version),
            command::VERACK => empty(Self::Verack),
            command::PING => deserialize(payload).map(Self::Ping),
            command::PONG => deserialize(payload).map(Self::Pong),
            command::GETHEADERS => deserialize(payload).map(Self::GetHeaders),
            command::HEADERS => deserialize(payload).map(Self::Headers),
            command::GETHEADERS2 => deserialize(payload).map(Self::GetHeaders2),
            command::HEADERS2 => deserialize(payload).map(Self::Headers2),
            command::SENDHEADERS => empty(Self::SendHeaders),
            command::SENDHEADERS2 => empty(Self::SendHeaders2),
            command::INV => decode_list(payload, "inv", MAX_INVENTORY).map(Self::Inv),
            command::GETDATA => decode_list(payload, "getdata", MAX_INVENTORY).map(Self::GetData),
            command::NOTFOUND => decode_list(payload, "notfound", MAX_INVENTORY).map(Self::NotFound),
            command::CLSIG => deserialize(payload).map(Self::ClSig),
            command::ISDLOCK => deserialize(payload).map(Self::IsdLock),
            command::GETADDR => empty(Self::GetAddr),
            command::ADDR => decode_list(payload, "addr", MAX_ADDRESSES).map(Self::Addr),
            command::SENDADDRV2 => empty(Self::SendAddrV2),
            command::ADDRV2 => decode_list(payload, "addrv2", MAX_ADDRESSES).map(Self::AddrV2),
            command::GETMNLISTD => deserialize(payload).map(Self::GetMnListD),
            command::MNLISTDIFF => deserialize(payload).map(Self::MnListDiff),
            command::GETQRINFO => deserialize(payload).map(Self::GetQRInfo),
            command::QRINFO => deserialize(payload).map(|info| Self::QRInfo(Box::new(info))),
            _ => return Ok(None),
        }
        .map(Some)
    }

    /// Appends the whole message, framed for the network with this magic.
    pub fn encode_framed(&self, magic: [u8; 4], out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        self.consensus_encode(&mut payload);
        encode_frame(magic, self.command(), &payload, out);
    }
}

impl Encodable for NetworkMessage {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Version(message) => message.consensus_encode(out),
            Self::Verack | Self::SendHeaders | Self::SendHeaders2 | Self::GetAddr | Self::SendAddrV2 => {}
            Self::Ping(nonce) | Self::Pong(nonce) => nonce.consensus_encode(out),
            Self::GetHeaders(message) | Self::GetHeaders2(message) => message.consensus_encode(out),
            Self::Headers(message) => message.consensus_encode(out),
            Self::Headers2(message) => message.consensus_encode(out),
            Self::Inv(inventory) | Self::GetData(inventory) | Self::NotFound(inventory) => {
                encode_vec(inventory, out);
            }
            Self::ClSig(lock) => lock.consensus_encode(out),
            Self::IsdLock(lock) => lock.consensus_encode(out),
            Self::Addr(addresses) => encode_vec(addresses, out),
            Self::AddrV2(addresses) => encode_vec(addresses, out),
            Self::GetMnListD(message) => message.consensus_encode(out),
            Self::MnListDiff(message) => message.consensus_encode(out),
            Self::GetQRInfo(message) => message.consensus_encode(out),
            Self::QRInfo(message) => message.consensus_encode(out),
        }
    }
}

fn decode_list<T: Decodable>(
    payload: &[u8],
    field: &'static str,
    most: usize,
) -> Result<Vec<T>, DecodeError> {
    let mut reader = Reader::new(payload);
    let list = reader.vec_up_to(field, most)?;
    reader.finish()?;
    Ok(list)
}
