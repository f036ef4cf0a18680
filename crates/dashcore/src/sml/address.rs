//! Network addresses of masternodes, in the fixed form and in the extended form that follows the v24 fork.

mod extended;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::consensus::{Decodable, DecodeError, Encodable, Reader};

pub use extended::{ExtendedNetInfo, NetInfoEntry, NetInfoPurpose};

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
            Self::Extended(info) => info.socket_addr(NetInfoPurpose::CoreP2p),
        }
    }

    /// Every address, of whatever purpose and network, in one form: no two masternodes may share one (Dash Core
    /// `CDeterministicMNList::AddMN`, evo/deterministicmns.cpp). Without those that are unset or carry none.
    pub fn addresses(&self) -> Vec<NetInfoEntry> {
        let all = match self {
            Self::Socket(address) => vec![NetInfoEntry::from(*address)],
            Self::Extended(info) => info.iter().map(|(_, address)| address).collect(),
        };
        all.into_iter().filter(NetInfoEntry::is_address).collect()
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
