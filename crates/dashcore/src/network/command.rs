//! Names of messages, and how large each can be.

use std::fmt;

/// Most entries of an `addr` or `addrv2` (Dash Core `MAX_ADDR_TO_SEND`, net_processing.cpp).
pub(super) const MAX_ADDRESSES: usize = 1000;

/// Name of a message: up to twelve printable ASCII characters, zero-padded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command([u8; 12]);

impl Command {
    /// A command known at compile time.
    ///
    /// # Panics
    /// When `name` is longer than twelve bytes.
    pub const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        let mut bytes = [0; 12];
        let mut index = 0;
        while index < name.len() {
            bytes[index] = name[index];
            index += 1;
        }
        Self(bytes)
    }

    /// The name as on the wire.
    pub(super) const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The name without padding.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        str::from_utf8(&self.0[..end]).unwrap_or("")
    }

    /// Dash Core `CMessageHeader::IsCommandValid`, protocol.cpp.
    pub(super) fn parse(bytes: [u8; 12]) -> Option<Self> {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let (name, padding) = bytes.split_at(end);
        let valid = name.iter().all(|byte| (0x20..=0x7e).contains(byte)) && padding.iter().all(|&b| b == 0);
        valid.then_some(Self(bytes))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names of the messages.
pub mod names {
    use super::{Command, MAX_ADDRESSES};
    use crate::network::message_blockdata::{MAX_HEADERS, MAX_INVENTORY};
    use crate::network::message_headers2::MAX_HEADERS2;

    /// `version`
    pub const VERSION: Command = Command::new("version");
    /// `verack`
    pub const VERACK: Command = Command::new("verack");
    /// `ping`
    pub const PING: Command = Command::new("ping");
    /// `pong`
    pub const PONG: Command = Command::new("pong");
    /// `getheaders`
    pub const GETHEADERS: Command = Command::new("getheaders");
    /// `headers`
    pub const HEADERS: Command = Command::new("headers");
    /// `getheaders2`
    pub const GETHEADERS2: Command = Command::new("getheaders2");
    /// `headers2`
    pub const HEADERS2: Command = Command::new("headers2");
    /// `sendheaders`
    pub const SENDHEADERS: Command = Command::new("sendheaders");
    /// `sendheaders2`
    pub const SENDHEADERS2: Command = Command::new("sendheaders2");
    /// `inv`
    pub const INV: Command = Command::new("inv");
    /// `getdata`
    pub const GETDATA: Command = Command::new("getdata");
    /// `notfound`
    pub const NOTFOUND: Command = Command::new("notfound");
    /// `clsig`
    pub const CLSIG: Command = Command::new("clsig");
    /// `isdlock`
    pub const ISDLOCK: Command = Command::new("isdlock");
    /// `getaddr`
    pub const GETADDR: Command = Command::new("getaddr");
    /// `addr`
    pub const ADDR: Command = Command::new("addr");
    /// `sendaddrv2`
    pub const SENDADDRV2: Command = Command::new("sendaddrv2");
    /// `addrv2`
    pub const ADDRV2: Command = Command::new("addrv2");
    /// `getmnlistd`
    pub const GETMNLISTD: Command = Command::new("getmnlistd");
    /// `mnlistdiff`
    pub const MNLISTDIFF: Command = Command::new("mnlistdiff");
    /// `getqrinfo`
    pub const GETQRINFO: Command = Command::new("getqrinfo");
    /// `qrinfo`
    pub const QRINFO: Command = Command::new("qrinfo");

    /// Every message that this crate decodes.
    pub const ALL: [Command; 23] = [
        VERSION,
        VERACK,
        PING,
        PONG,
        GETHEADERS,
        HEADERS,
        GETHEADERS2,
        HEADERS2,
        SENDHEADERS,
        SENDHEADERS2,
        INV,
        GETDATA,
        NOTFOUND,
        CLSIG,
        ISDLOCK,
        GETADDR,
        ADDR,
        SENDADDRV2,
        ADDRV2,
        GETMNLISTD,
        MNLISTDIFF,
        GETQRINFO,
        QRINFO,
    ];

    /// Largest payload of any message that Dash Core accepts, in bytes (`MAX_PROTOCOL_MESSAGE_LENGTH`, net.h).
    pub const MAX_PAYLOAD: usize = 3 * 1024 * 1024;

    /// Largest payload that a message of this name can have, in bytes: what its entries amount to, where their number is
    /// bounded. `None` for masternode lists, which are as large as the network is.
    pub(crate) fn max_payload(command: Command) -> Option<usize> {
        const COUNT: usize = 9;
        Some(match command {
            QRINFO | MNLISTDIFF => return None,
            // A header and the empty list of its transactions.
            HEADERS => COUNT + 81 * MAX_HEADERS,
            // Flags, and a header of which nothing is left out.
            HEADERS2 => COUNT + 81 * MAX_HEADERS2,
            INV | GETDATA | NOTFOUND => COUNT + 36 * MAX_INVENTORY,
            CLSIG => 4 + 32 + 96,
            // As many inputs as fit into a transaction, which has at most 100,000 bytes, 41 for each input.
            ISDLOCK => 1 + COUNT + 36 * 2_500 + 32 + 32 + 96,
            ADDR => COUNT + 30 * MAX_ADDRESSES,
            // Time, services, network, an address of up to 512 bytes, port.
            ADDRV2 => COUNT + (4 + 9 + 1 + 3 + 512 + 2) * MAX_ADDRESSES,
            PING | PONG => 8,
            // A user agent of up to 256 bytes, and room for fields that later versions append.
            VERSION => 1_024,
            VERACK | SENDHEADERS | SENDHEADERS2 | SENDADDRV2 | GETADDR => 32,
            _ => MAX_PAYLOAD,
        })
    }
}
