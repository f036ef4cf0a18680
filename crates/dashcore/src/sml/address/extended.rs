use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size};

/// Addresses by purpose (Dash Core `ExtNetInfo`, evo/netinfo.h). As many as a message has room for: nodes set no limit, and
/// the value keeps the encoding, which takes no more memory than its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedNetInfo {
    encoded: Box<[u8]>,
}

impl ExtendedNetInfo {
    const VERSION: u8 = 1;

    /// These addresses.
    pub fn new(addresses: &BTreeMap<NetInfoPurpose, Vec<NetInfoEntry>>) -> Self {
        let mut encoded = vec![Self::VERSION];
        encode_compact_size(addresses.len(), &mut encoded);
        for (purpose, addresses) in addresses {
            encoded.push(purpose.code());
            encode_compact_size(addresses.len(), &mut encoded);
            addresses.iter().for_each(|address| address.consensus_encode(&mut encoded));
        }
        Self { encoded: encoded.into() }
    }

    /// All addresses in order, each with its purpose.
    pub fn iter(&self) -> impl Iterator<Item = (NetInfoPurpose, NetInfoEntry)> {
        let mut reader = Reader::new(&self.encoded);
        let mut of_this_purpose = None;
        // The version and the number of purposes. Everything has been decoded once, so that nothing fails.
        let mut purposes = reader.bytes(1).and_then(|_| reader.compact_size()).unwrap_or(0);
        std::iter::from_fn(move || {
            loop {
                match of_this_purpose {
                    Some((purpose, left @ 1..)) => {
                        of_this_purpose = Some((purpose, left - 1));
                        return Some((purpose, NetInfoEntry::consensus_decode(&mut reader).ok()?));
                    }
                    _ => {
                        purposes = purposes.checked_sub(1)?;
                        let purpose = NetInfoPurpose::consensus_decode(&mut reader).ok()?;
                        of_this_purpose = Some((purpose, reader.compact_size().ok()?));
                    }
                }
            }
        })
    }

    /// The first IP address for this purpose.
    pub fn socket_addr(&self, purpose: NetInfoPurpose) -> Option<SocketAddr> {
        self.iter().filter(|(of, _)| *of == purpose).find_map(|(_, address)| address.socket_addr())
    }

    /// The code of the first address of a kind that is not known here.
    pub fn unknown_kind(&self) -> Option<u8> {
        self.iter().find_map(|(_, address)| match address {
            NetInfoEntry::Unknown { code } => Some(code),
            _ => None,
        })
    }
}

impl fmt::Debug for ExtendedNetInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Encodable for ExtendedNetInfo {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoded);
    }
}

impl Decodable for ExtendedNetInfo {
    const MIN_SIZE: usize = 2;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut whole, start) = (reader.clone(), reader.position());
        let version: u8 = reader.read("netInfo.version")?;
        if version != Self::VERSION {
            let kind = DecodeErrorKind::of_version(version.into(), Self::VERSION.into());
            return Err(reader.error_at(start, kind));
        }
        let mut last = None;
        for _ in 0..reader.field("netInfo.map").length(2)? {
            let at = reader.position();
            let purpose: NetInfoPurpose = reader.read("netInfo.purpose")?;
            if last.replace(purpose).is_some_and(|last| last >= purpose) {
                return Err(reader.error_at(at, DecodeErrorKind::OutOfOrder));
            }
            for _ in 0..reader.field("netInfo.addresses").length(NetInfoEntry::MIN_SIZE)? {
                NetInfoEntry::consensus_decode(reader)?;
            }
        }
        let encoded = whole.bytes(reader.position() - start)?.into();
        Ok(Self { encoded })
    }
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetInfoPurpose {
    /// 0: Dash P2P protocol.
    CoreP2p,
    /// 1: Platform P2P protocol.
    PlatformP2p,
    /// 2: Platform HTTPS API.
    PlatformHttps,
    /// One that is not known here, by its code, which is above 2.
    Unknown(u8),
}

impl NetInfoPurpose {
    const fn code(self) -> u8 {
        match self {
            Self::CoreP2p => 0,
            Self::PlatformP2p => 1,
            Self::PlatformHttps => 2,
            Self::Unknown(code) => code,
        }
    }
}

impl fmt::Display for NetInfoPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreP2p => f.write_str("core_p2p"),
            Self::PlatformP2p => f.write_str("platform_p2p"),
            Self::PlatformHttps => f.write_str("platform_https"),
            Self::Unknown(code) => write!(f, "purpose_{code}"),
        }
    }
}

impl Decodable for NetInfoPurpose {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::consensus_decode(reader)? {
            0 => Self::CoreP2p,
            1 => Self::PlatformP2p,
            2 => Self::PlatformHttps,
            code => Self::Unknown(code),
        })
    }
}

/// One extended address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetInfoEntry {
    /// A BIP155 address.
    Service {
        /// BIP155 network id: 1 IPv4, 2 IPv6, 4 Tor v3, 5 I2P, 6 CJDNS. Others are carried as they are.
        network: u8,
        /// Address bytes; their number follows from the network where that is known.
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
    /// A kind that is not known here. Nodes read nothing behind its code.
    Unknown {
        /// Its code: none of 1, 2 and 255.
        code: u8,
    },
}

impl NetInfoEntry {
    /// The highest code of a kind with an address that is known here.
    pub(crate) const NEWEST_KIND: u8 = Self::DOMAIN;
    const SERVICE: u8 = 1;
    const DOMAIN: u8 = 2;
    const INVALID: u8 = 255;

    /// The IP address, if it is one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let Self::Service { network, address, port } = self else { return None };
        match network {
            1 => Some(SocketAddr::from((<[u8; 4]>::try_from(&address[..]).ok()?, *port))),
            2 => Some(SocketAddr::from((<[u8; 16]>::try_from(&address[..]).ok()?, *port))),
            _ => None,
        }
    }

    /// Its port, if it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Service { port, .. } | Self::Domain { port, .. } => Some(*port),
            Self::Invalid | Self::Unknown { .. } => None,
        }
    }

    /// Whether it is an address at all, and set.
    pub fn is_address(&self) -> bool {
        match self {
            Self::Service { address, .. } => address.iter().any(|&byte| byte != 0),
            Self::Domain { .. } => true,
            Self::Invalid | Self::Unknown { .. } => false,
        }
    }

    const fn bip155_address_size(network: u8) -> Option<usize> {
        match network {
            1 => Some(4),
            2 | 6 => Some(16),
            4 | 5 => Some(32),
            _ => None,
        }
    }
}

/// Addresses that are no IP addresses in hex behind the name of their network, as whoever prints them need not know how each
/// network writes its own.
impl fmt::Display for NetInfoEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.socket_addr() {
            return address.fmt(f);
        }
        match self {
            Self::Service { network, address, port } => {
                match network {
                    4 => f.write_str("tor:")?,
                    5 => f.write_str("i2p:")?,
                    6 => f.write_str("cjdns:")?,
                    other => write!(f, "network-{other}:")?,
                }
                address.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, ":{port}")
            }
            Self::Domain { name, port } => write!(f, "{}:{port}", name.escape_debug()),
            Self::Invalid => f.write_str("none"),
            Self::Unknown { code } => write!(f, "of unknown kind {code}"),
        }
    }
}

impl From<SocketAddr> for NetInfoEntry {
    fn from(address: SocketAddr) -> Self {
        let port = address.port();
        let (network, address) = match address.ip() {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        Self::Service { network, address, port }
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
            Self::Unknown { code } => out.push(*code),
        }
    }
}

impl Decodable for NetInfoEntry {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.read::<u8>("netInfo.type")? {
            Self::SERVICE => {
                let network: u8 = reader.read("netInfo.network")?;
                let start = reader.position();
                let address = reader.field("netInfo.address").var_bytes()?.to_vec();
                let expected = Self::bip155_address_size(network).unwrap_or(address.len());
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
            code => Ok(Self::Unknown { code }),
        }
    }
}
