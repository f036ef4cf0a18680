//! Strict decoding and encoding of the wire format.
//!
//! Decoding reads from a byte slice and copies each field once, into its final place. It rejects what an honest
//! node never sends: non-minimal CompactSizes, unknown versions, flags other than 0 and 1, set padding bits and
//! trailing bytes. Whatever a length field claims, memory is reserved only for as many elements as the bytes
//! that are really there can hold.

mod encode;
mod error;
mod reader;

pub use encode::{Encodable, deserialize, serialize};
pub use error::{DecodeError, DecodeErrorKind};
pub use reader::{Decodable, Reader};

pub(crate) use encode::{encode_compact_size, encode_compact_u64, encode_vec};
