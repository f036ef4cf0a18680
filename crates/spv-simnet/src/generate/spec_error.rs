use std::num::ParseIntError;
use std::ops::RangeInclusive;

/// Why a text describes no chain that can be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It does not start with the scheme.
    #[error("{0:?} is not a generated chain; use generated:masternodes=N,cycles=N,seed=N")]
    Scheme(String),
    /// A part is not one of the known settings.
    #[error(
        "unknown setting {0:?}; use masternodes=N, cycles=N, seed=N, quiet=N, tip-time=SECONDS, dip8=HEIGHT, v24=HEIGHT, \
         legacy-evo=HEIGHT, later=HEIGHT, opaque=HEIGHT, quorums=small|mainnet|single|local|devnet, \
         signatures=valid|none, retargeting=none|dgw or unlocked=FIRST-LAST"
    )]
    Key(String),
    /// A value is none of those that the setting can have.
    #[error(
        "{key}={value:?} is not possible; use quorums=small|mainnet|single|local|devnet, signatures=valid|none, \
         retargeting=none|dgw, unlocked=FIRST-LAST with up to eight ranges and + between them"
    )]
    Value {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A value is no number.
    #[error("{key}={value:?} is not a number")]
    Number {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why it is none.
        #[source]
        source: ParseIntError,
    },
    /// A number is too small or too large.
    #[error("{key}={value} is not within {smallest} to {largest}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: u64,
        /// Smallest value possible.
        smallest: u64,
        /// Largest value possible.
        largest: u64,
    },
}

pub(super) fn check(key: &'static str, value: u64, limit: RangeInclusive<u64>) -> Result<(), SpecError> {
    let (smallest, largest) = (*limit.start(), *limit.end());
    if limit.contains(&value) { Ok(()) } else { Err(SpecError::OutOfRange { key, value, smallest, largest }) }
}
