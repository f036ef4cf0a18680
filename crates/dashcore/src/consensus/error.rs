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
    #[error("length {length} exceeds the limit of {limit}")]
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
    /// A version or kind above all that are known here: whoever made it follows newer rules.
    #[error("version {version} is newer than {newest}, the newest that is known")]
    NewerVersion {
        /// The version.
        version: u16,
        /// The newest one that is known.
        newest: u16,
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

impl DecodeErrorKind {
    /// That a version between 1 and `newest` is due where `version` is.
    pub(crate) fn of_version(version: u16, newest: u16) -> Self {
        if version > newest {
            Self::NewerVersion { version, newest }
        } else {
            Self::UnknownValue { value: version.into() }
        }
    }
}

impl DecodeError {
    /// Whether it is rules newer than those known here that made what cannot be decoded, as far as the bytes tell.
    pub fn is_of_newer_rules(&self) -> bool {
        matches!(self.kind, DecodeErrorKind::NewerVersion { .. })
    }
}
