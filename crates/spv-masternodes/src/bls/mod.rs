//! BLS12-381 signatures in both of Dash's schemes. Beyond decoding, points are those of `blst` in either scheme.

mod batch;
mod key_cache;
mod scheme;
mod secure_aggregate;

pub(crate) use batch::{SignedHash, verify_batch};
pub(crate) use key_cache::KeyCache;
pub use scheme::BlsScheme;
pub(crate) use secure_aggregate::secure_aggregate;
