//! Network addresses of masternodes, in the fixed form and in the extended form that follows the v24 fork.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size};

/// Where a masternode can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAddress {
    /// One IP address and port (entry versions 1 and 2). An unset address is `[::]:port`.
    Socket(SocketAddr),
    /// Addresses by purpose (entry version 3).
    Extended(ExtendedNetInfo),
}

impl ServiceAddress {
    /// The address for the Dash P2P protocol, if it is an IP address.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            Self::Extended(info) => info.core_p2p(),
        }
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket_addr() {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

/// IPv4 addresses travel mapped into IPv6, the port is big-endian (Dash Core `CService`, netaddress.h).
impl Encodable for SocketAddr {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        let ip = match self.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        out.extend_from_slice(&ip.octets());
        out.extend_from_slice(&self.port().to_be_bytes());
    }
}

impl Decodable for SocketAddr {
    const MIN_SIZE: usize = 18;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ip = Ipv6Addr::from(reader.array::<16>()?);
        let port = u16::from_be_bytes(reader.array()?);
        let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
        Ok(Self::new(ip, port))
    }
}

/// Addresses by purpose (Dash Core `ExtNetInfo`, evo/netinfo.h).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedNetInfo {
    /// Ascending purposes, each with up to four addresses.
    pub entries: Vec<(NetInfoPurpose, Vec<NetInfoEntry>)>,
}

impl ExtendedNetInfo {
    const VERSION: u8 = 1;
    const MAX_ADDRESSES_PER_PURPOSE: usize = 4;

    fn core_p2p(&self) -> Option<SocketAddr> {
        let (_, addresses) = self.entries.iter().find(|(purpose, _)| *purpose == NetInfoPurpose::CoreP2p)?;
        addresses.iter().find_map(|entry| match entry {
            NetInfoEntry::Service { network: 1, address, port } => {
                let octets: [u8; 4] = address.as_slice().try_into().ok()?;
                Some(SocketAddr::from((octets, *port)))
            }
            NetInfoEntry::Service { network: 2, address, port } => {
                let octets: [u8; 16] = address.as_slice().try_into().ok()?;
                Some(SocketAddr::from((octets, *port)))
            }
            _ => None,
        })
    }
}

impl Encodable for ExtendedNetInfo {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        encode_compact_size(self.entries.len(), out);
        for (purpose, addresses) in &self.entries {
            out.push(*purpose as u8);
            encode_compact_size(addresses.len(), out);
            for address in addresses {
                address.consensus_encode(out);
            }
        }
    }
}

impl Decodable for ExtendedNetInfo {
    const MIN_SIZE: usize = 2;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let version: u8 = reader.read("netInfo.version")?;
        if version != Self::VERSION {
            return Err(reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(version) }));
        }
        let count = reader.field("netInfo.map").length(2)?;
        // Purposes ascend, so that there can be no more of them than there are kinds.
        let mut entries: Vec<(NetInfoPurpose, Vec<NetInfoEntry>)> = Vec::new();
        for _ in 0..count {
            let start = reader.position();
            let purpose: NetInfoPurpose = reader.read("netInfo.purpose")?;
            if entries.last().is_some_and(|(previous, _)| *previous >= purpose) {
                return Err(reader.error_at(start, DecodeErrorKind::OutOfOrder));
            }
            let addresses = reader.vec_up_to("netInfo.addresses", Self::MAX_ADDRESSES_PER_PURPOSE)?;
            entries.push((purpose, addresses));
        }
        Ok(Self { entries })
    }
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum NetInfoPurpose {
    /// Dash P2P protocol.
    CoreP2p = 0,
    /// Platform P2P protocol.
    PlatformP2p = 1,
    /// Platform HTTPS API.
    PlatformHttps = 2,
}

impl Decodable for NetInfoPurpose {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        match u8::consensus_decode(reader)? {
            0 => Ok(Self::CoreP2p),
            1 => Ok(Self::PlatformP2p),
            2 => Ok(Self::PlatformHttps),
            value => Err(reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(value) })),
        }
    }
}

/// One extended address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetInfoEntry {
    /// A BIP155 address.
    Service {
        /// BIP155 network id: 1 IPv4, 2 IPv6, 4 Tor v3, 5 I2P, 6 CJDNS.
        network: u8,
        /// Address bytes; their number follows from the network.
        address: Vec<u8>,
        /// Port.
        port: u16,
    },
    /// A domain name.
    Domain {
        /// ASCII name.
        name: String,
        /// Port.
        port: u16,
    },
    /// An entry that carries no address.
    Invalid,
}

impl NetInfoEntry {
    const SERVICE: u8 = 1;
    const DOMAIN: u8 = 2;
    const INVALID: u8 = 255;

    const fn bip155_address_size(network: u8) -> Option<usize> {
        match network {
            1 => Some(4),
            2 | 6 => Some(16),
            4 | 5 => Some(32),
            _ => None,
        }
    }
}

impl Encodable for NetInfoEntry {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Service { network, address, port } => {
                out.extend_from_slice(&[Self::SERVICE, *network]);
                encode_compact_size(address.len(), out);
                out.extend_from_slice(address);
                out.extend_from_slice(&port.to_be_bytes());
            }
            Self::Domain { name, port } => {
                out.push(Self::DOMAIN);
                encode_compact_size(name.len(), out);
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(&port.to_be_bytes());
            }
            Self::Invalid => out.push(Self::INVALID),
        }
    }
}

impl Decodable for NetInfoEntry {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        match reader.read::<u8>("netInfo.type")? {
            Self::SERVICE => {
                let start = reader.position();
                let network: u8 = reader.read("netInfo.network")?;
                let expected = Self::bip155_address_size(network).ok_or_else(|| {
                    reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(network) })
                })?;
                let start = reader.position();
                let address = reader.field("netInfo.address").var_bytes()?.to_vec();
                if address.len() != expected {
                    let kind =
                        DecodeErrorKind::LengthTooLarge { length: address.len() as u64, limit: expected };
                    return Err(reader.error_at(start, kind));
                }
                Ok(Self::Service { network, address, port: u16::from_be_bytes(reader.array()?) })
            }
            Self::DOMAIN => {
                let start = reader.position();
                let name = reader.field("netInfo.domain").var_bytes()?;
                let name = str::from_utf8(name)
                    .ok()
                    .filter(|name| name.is_ascii())
                    .ok_or_else(|| reader.error_at(start, DecodeErrorKind::MalformedText))?
                    .to_owned();
                Ok(Self::Domain { name, port: u16::from_be_bytes(reader.array()?) })
            }
            Self::INVALID => Ok(Self::Invalid),
            value => Err(reader.error_at(start, DecodeErrorKind::UnknownValue { value: i64::from(value) })),
        }
    }
}
