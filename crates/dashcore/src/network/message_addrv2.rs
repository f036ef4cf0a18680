//! Addresses of any kind of network (BIP155).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::consensus::{
    Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size, encode_compact_u64,
};

/// One entry of `addrv2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddrV2Message {
    /// When the node was last seen, Unix time in seconds.
    pub time: u32,
    /// Service bits of the node.
    pub services: u64,
    /// Where it is.
    pub address: AddrV2,
    /// Port; without meaning in networks that have none.
    pub port: u16,
}

impl AddrV2Message {
    /// The node's address, if it is one of the Internet.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let ip = match self.address {
            AddrV2::Ipv4(ip) => IpAddr::V4(ip),
            // An IPv4 address has a form of its own; dressed up as another one it is not meant to be recognised.
            AddrV2::Ipv6(ip) => Some(ip).filter(|ip| ip.to_ipv4_mapped().is_none())?.into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

/// Address in one of the networks that nodes are reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddrV2 {
    /// IPv4.
    Ipv4(Ipv4Addr),
    /// IPv6.
    Ipv6(Ipv6Addr),
    /// Public key of a Tor v3 onion service.
    TorV3([u8; 32]),
    /// Hash of an I2P destination.
    I2p([u8; 32]),
    /// CJDNS.
    Cjdns(Ipv6Addr),
    /// An address of a network that is not known here, which is kept and not used.
    Unknown {
        /// The network's number.
        network: u8,
        /// The address, at most 512 bytes.
        bytes: Vec<u8>,
    },
}

impl AddrV2 {
    const IPV4: u8 = 1;
    const IPV6: u8 = 2;
    const TOR_V3: u8 = 4;
    const I2P: u8 = 5;
    const CJDNS: u8 = 6;

    /// Longest address of any network, also of future ones, in bytes.
    const MAX_SIZE: usize = 512;

    fn encode(network: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(network);
        encode_compact_size(bytes.len(), out);
        out.extend_from_slice(bytes);
    }
}

impl Encodable for AddrV2 {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ipv4(ip) => Self::encode(Self::IPV4, &ip.octets(), out),
            Self::Ipv6(ip) => Self::encode(Self::IPV6, &ip.octets(), out),
            Self::TorV3(key) => Self::encode(Self::TOR_V3, key, out),
            Self::I2p(hash) => Self::encode(Self::I2P, hash, out),
            Self::Cjdns(ip) => Self::encode(Self::CJDNS, &ip.octets(), out),
            Self::Unknown { network, bytes } => Self::encode(*network, bytes, out),
        }
    }
}

impl Decodable for AddrV2 {
    const MIN_SIZE: usize = 2;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let network: u8 = reader.read("addrv2.network")?;
        let start = reader.field("addrv2.address").position();
        let bytes = reader.var_bytes()?;
        let wrong_size = |limit| {
            let kind = DecodeErrorKind::LengthTooLarge { length: bytes.len() as u64, limit };
            reader.error_at(start, kind)
        };
        let ipv6 = || sized(bytes).map(Ipv6Addr::from).ok_or_else(|| wrong_size(16));
        let key = || sized(bytes).ok_or_else(|| wrong_size(32));
        match network {
            Self::IPV4 => {
                sized::<4>(bytes).map(|octets| Self::Ipv4(octets.into())).ok_or_else(|| wrong_size(4))
            }
            Self::IPV6 => ipv6().map(Self::Ipv6),
            Self::TOR_V3 => key().map(Self::TorV3),
            Self::I2P => key().map(Self::I2p),
            Self::CJDNS => ipv6().map(Self::Cjdns),
            _ if bytes.len() > Self::MAX_SIZE => Err(wrong_size(Self::MAX_SIZE)),
            _ => Ok(Self::Unknown { network, bytes: bytes.to_vec() }),
        }
    }
}

fn sized<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl Encodable for AddrV2Message {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.time.consensus_encode(out);
        encode_compact_u64(self.services, out);
        self.address.consensus_encode(out);
        out.extend_from_slice(&self.port.to_be_bytes());
    }
}

impl Decodable for AddrV2Message {
    const MIN_SIZE: usize = 9;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            time: reader.read("addrv2.time")?,
            services: reader.field("addrv2.services").compact_size()?,
            address: AddrV2::consensus_decode(reader)?,
            port: u16::from_be_bytes(reader.field("addrv2.port").array()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{deserialize, serialize};

    #[test]
    fn an_entry_has_the_layout_of_bip155() {
        let entry = AddrV2Message {
            time: 0x4966_bc61,
            services: 1,
            address: AddrV2::Ipv4(Ipv4Addr::LOCALHOST),
            port: 9999,
        };
        let bytes = [0x61, 0xbc, 0x66, 0x49, 1, 1, 4, 127, 0, 0, 1, 0x27, 0x0f];
        assert_eq!(serialize(&entry), bytes);
        assert_eq!(deserialize::<AddrV2Message>(&bytes).unwrap(), entry);
        assert_eq!(entry.socket_addr().unwrap().to_string(), "127.0.0.1:9999");
    }

    #[test]
    fn an_address_has_the_size_of_its_network() {
        for (network, size) in [(1, 4), (2, 16), (4, 32), (5, 32), (6, 16)] {
            for (length, valid) in [(size, true), (size - 1, false), (size + 1, false)] {
                let mut bytes = vec![network, u8::try_from(length).unwrap()];
                bytes.resize(2 + length, 7);
                let decoded = deserialize::<AddrV2>(&bytes);
                assert_eq!(decoded.is_ok(), valid, "network {network}, {length} bytes");
                assert!(decoded.is_err() || serialize(&decoded.unwrap()) == bytes);
            }
        }
    }

    #[test]
    fn an_unknown_network_is_kept_up_to_the_longest_address_there_can_be() {
        let unknown = |size| AddrV2::Unknown { network: 3, bytes: vec![9; size] };
        assert_eq!(deserialize(&serialize(&unknown(512))), Ok(unknown(512)));
        let error = deserialize::<AddrV2>(&serialize(&unknown(513))).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 513, limit: 512 });
        assert_eq!(error.field, "addrv2.address");
    }

    #[test]
    fn only_addresses_of_the_internet_are_socket_addresses() {
        let at = |address| AddrV2Message { time: 0, services: 0, address, port: 1 }.socket_addr();
        assert!(at(AddrV2::Ipv6("2001:db8::1".parse().unwrap())).is_some());
        for other in [
            AddrV2::Ipv6("::ffff:1.2.3.4".parse().unwrap()),
            AddrV2::TorV3([1; 32]),
            AddrV2::I2p([1; 32]),
            AddrV2::Cjdns("fc00::1".parse().unwrap()),
            AddrV2::Unknown { network: 9, bytes: vec![1, 2, 3, 4] },
        ] {
            assert_eq!(at(other), None);
        }
    }
}
