/// Why and where a payload could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} in {field} at byte {offset}")]
#[non_exhaustive]
pub struct DecodeError {
    /// Byte offset from the start of the payload at which the offending value begins.
    pub offset: usize,
    /// Name of the field being read, as protocol documentation spells it.
    pub field: &'static str,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The payload ends before the value does.
    #[error("{needed} more bytes expected but only {available} left")]
    UnexpectedEnd {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// A CompactSize used more bytes than its value needs.
    #[error("non-minimal CompactSize")]
    NonMinimalCompactSize,
    /// A length says that there are more elements than the remaining bytes can hold, or than the protocol allows.
    #[error("length {length} exceeds the {limit} that can be there")]
    LengthTooLarge {
        /// Length that the payload claims.
        length: u64,
        /// Largest length possible here.
        limit: usize,
    },
    /// Bytes follow the end of the value.
    #[error("{remaining} trailing bytes")]
    TrailingBytes {
        /// How many.
        remaining: usize,
    },
    /// A version, mode, flag or type that this protocol does not define.
    #[error("unknown value {value}")]
    UnknownValue {
        /// The value, sign-extended where the field is signed.
        value: i64,
    },
    /// Padding bits that have to be zero are set.
    #[error("padding bits set")]
    PaddingBitsSet,
    /// Elements that have to ascend do not.
    #[error("elements out of order")]
    OutOfOrder,
    /// Text that is not in the allowed alphabet.
    #[error("malformed text")]
    MalformedText,
}
