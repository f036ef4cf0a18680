use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::rival::Rival;

/// What was chosen for each rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tuned {
    /// C
    pub(crate) unordered: Rival,
    /// D
    pub(crate) brief: Rival,
    /// E
    pub(crate) tower: Rival,
    /// F
    pub(crate) neutrino: Rival,
}

impl Tuned {
    /// What was frozen; the file says how it came about.
    ///
    /// # Errors
    /// When the file is not what it should be.
    pub(crate) fn frozen() -> anyhow::Result<Self> {
        toml::from_str(FROZEN).context("bench/tuned.toml")
    }
}

const FROZEN: &str = include_str!("../tuned.toml");
