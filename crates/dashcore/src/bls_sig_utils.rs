//! BLS keys and signatures as the bytes that travel; checking them is `spv-masternodes`' work.

use core::fmt;

use hex_conservative::DisplayHex;
use serde::{Serialize, Serializer};

use crate::consensus::{Decodable, DecodeError, Encodable, Reader};

macro_rules! bls_bytes {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $size]);

        impl $name {
            /// Size in bytes.
            pub const SIZE: usize = $size;

            /// Wraps the bytes as they are; whether they are a curve point is not checked.
            pub const fn from_bytes(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }

            /// The bytes as they travel.
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }

            /// Whether all bytes are zero, the protocol's "none".
            pub fn is_zeroed(&self) -> bool {
                self.0.iter().all(|&byte| byte == 0)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self([0; $size])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hex(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hex())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl Encodable for $name {
            fn consensus_encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }

        impl Decodable for $name {
            const MIN_SIZE: usize = $size;

            fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(reader.array()?))
            }
        }
    };
}

bls_bytes! {
    /// Compressed G1 point: an operator or quorum public key. 48 zero bytes stand for a revoked operator.
    BLSPublicKey, 48
}
bls_bytes! {
    /// Compressed G2 point: a signature. 96 zero bytes stand for "no signature".
    BLSSignature, 96
}
