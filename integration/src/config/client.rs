use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, CACHED_LISTS, LOOKUPS};
use super::error::{ConfigError, ensure};

/// Bounds of lookups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// Proven lists kept in memory, those asked for last. Default 8; 0 keeps none, at most 1,024. One of mainnet's takes about 2 MB,
    /// and proving it again from the store takes tens of milliseconds of one core.
    pub cached_lists: usize,
    /// Lookups of lists that may be under way at one time; further ones are refused. Default 1,024; 1 to 65,536.
    pub max_lookups: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self { cached_lists: 8, max_lookups: 1_024 }
    }
}

impl ClientSettings {
    /// Refuses the first field out of range.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let check = |field, value: usize, bounds: &Bounds<usize>| {
            ensure(bounds.allow(&value), || ConfigError::Client { field, reason: bounds.said })
        };
        check("cached_lists", self.cached_lists, &CACHED_LISTS)?;
        check("max_lookups", self.max_lookups, &LOOKUPS)
    }
}
