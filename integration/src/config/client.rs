use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, CACHED_LISTS, LOOKUPS};
use super::error::{Check, ConfigError};

/// Limits of lookups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// Maximum number of proven lists in memory; the ones used last are kept. Default 8; 0 keeps none, at most 1,024.
    /// One of mainnet's takes about 2 MB, and proving it again from the store takes tens of milliseconds of one core.
    pub cached_lists: usize,
    /// Maximum number of lookups of lists at a time; further ones are refused. Default 1,024; 1 to 65,536.
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
            Check { section: "client." }.value(field, &value, bounds)
        };
        check("cached_lists", self.cached_lists, &CACHED_LISTS)?;
        check("max_lookups", self.max_lookups, &LOOKUPS)
    }
}
