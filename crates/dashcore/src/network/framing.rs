//! Cuts a byte stream into messages: magic, command, length, checksum, payload.

use std::fmt;

use bitcoin_hashes::sha256d;
use bytes::{Buf, Bytes, BytesMut};

pub use super::command::Command;
use super::command::names;

/// Bytes before the payload.
pub const HEADER_SIZE: usize = 24;

/// Largest payload accepted by default, in bytes: real `qrinfo` answers exceed the 3 MiB that Dash Core accepts.
pub const DEFAULT_MAX_PAYLOAD: usize = 32 * 1024 * 1024;

/// A message as it came, payload not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its name.
    pub command: Command,
    /// Its payload, sharing the read buffer.
    pub payload: Bytes,
    /// Whether the checksum fits the payload.
    pub checksum_valid: bool,
}

/// What the header of a message announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Name of the message.
    pub command: Command,
    /// Bytes of its payload.
    pub length: usize,
    checksum: [u8; 4],
}

impl FrameHeader {
    /// The message with its payload, which must be as long as announced for its checksum to fit.
    pub fn into_frame(self, payload: Bytes) -> Frame {
        let checksum_valid = payload_checksum(&payload) == self.checksum;
        Frame { command: self.command, payload, checksum_valid }
    }
}

/// Why a stream cannot be a peer of this network. There is no way to resynchronise: disconnect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream is of another network, or not Dash.
    #[error("wrong network magic {}", HexBytes(.found))]
    WrongMagic {
        /// What stands where the magic should be.
        found: [u8; 4],
    },
    /// The command is no zero-padded printable text.
    #[error("malformed message command {}", HexBytes(.found))]
    MalformedCommand {
        /// What stands where the command should be.
        found: [u8; 12],
    },
    /// The payload would be larger than accepted.
    #[error("{command} message of {length} bytes exceeds the limit of {limit}")]
    Oversized {
        /// The message.
        command: Command,
        /// Payload bytes that its header claims.
        length: usize,
        /// Payload bytes that are accepted.
        limit: usize,
    },
}

struct HexBytes<'a>(&'a [u8]);

impl fmt::Display for HexBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Cuts frames of one network off a read buffer.
#[derive(Debug, Clone, Copy)]
pub struct FrameDecoder {
    magic: [u8; 4],
    max_payload: usize,
}

impl FrameDecoder {
    /// A decoder for the network with this magic that accepts payloads of up to `max_payload` bytes, and of every message
    /// but masternode lists no more than its entries can amount to.
    pub const fn new(magic: [u8; 4], max_payload: usize) -> Self {
        Self { magic, max_payload }
    }

    /// What the bytes at the beginning of `buffer` announce, which keep their place; `None` when more bytes are needed. Says
    /// how long the payload is before any of it has to be read.
    ///
    /// # Errors
    /// As soon as the bytes that are there cannot begin a valid frame.
    pub fn header(&self, buffer: &[u8]) -> Result<Option<FrameHeader>, FrameError> {
        let Some((header, _)) = buffer.split_first_chunk::<HEADER_SIZE>() else {
            return Ok(None);
        };
        let (magic, rest) = split_array::<4>(header);
        let (name, rest) = split_array::<12>(rest);
        let (length, rest) = split_array::<4>(rest);
        let (checksum, _) = split_array::<4>(rest);
        if magic != self.magic {
            return Err(FrameError::WrongMagic { found: magic });
        }
        let command = Command::parse(name).ok_or(FrameError::MalformedCommand { found: name })?;
        // A length that does not fit usize is over any limit.
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let limit = names::max_payload(command).unwrap_or(usize::MAX).min(self.max_payload);
        if length > limit {
            return Err(FrameError::Oversized { command, length, limit });
        }
        Ok(Some(FrameHeader { command, length, checksum }))
    }

    /// Takes the next whole frame off `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// As soon as the bytes that are there cannot begin a valid frame.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.header(buffer)? else {
            return Ok(None);
        };
        if buffer.len() - HEADER_SIZE < header.length {
            return Ok(None);
        }
        buffer.advance(HEADER_SIZE);
        let payload = buffer.split_to(header.length).freeze();
        Ok(Some(header.into_frame(payload)))
    }
}

/// Appends a whole message to `out`.
///
/// # Panics
/// When the payload is 4 GiB or longer.
pub fn encode_frame(magic: [u8; 4], command: Command, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("payloads are far below 4 GiB");
    out.reserve(HEADER_SIZE + payload.len());
    out.extend_from_slice(&magic);
    out.extend_from_slice(command.as_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&payload_checksum(payload));
    out.extend_from_slice(payload);
}

fn payload_checksum(payload: &[u8]) -> [u8; 4] {
    split_array(sha256d::hash(payload).as_byte_array()).0
}

/// Splits a slice that is known to hold at least `N` bytes.
fn split_array<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = bytes.split_first_chunk().expect("callers pass at least N bytes");
    (*head, rest)
}
