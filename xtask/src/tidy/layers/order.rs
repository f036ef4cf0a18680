use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Where the order of the modules of every crate is declared.
pub(in crate::tidy) const LAYERS: &str = "xtask/layers.toml";

/// Which top-level module of a crate stands above which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tidy) struct Layers {
    /// Packages that nothing is asked of yet.
    #[serde(default)]
    pub(super) pending: Vec<String>,
    /// Top-level modules of a crate, from the bottom to the top.
    #[serde(default)]
    pub(super) order: BTreeMap<String, Vec<String>>,
}

pub(in crate::tidy) fn parse(text: &str) -> Result<Layers> {
    toml::from_str(text).with_context(|| format!("{LAYERS} is malformed"))
}
