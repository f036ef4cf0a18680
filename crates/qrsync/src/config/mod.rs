//! The configuration: defaults, then the file, then the environment, then flags.

mod flags;
mod layers;
mod reference;
pub(crate) mod show;

pub(crate) use flags::{LogArgs, NetworkArgs, SyncArgs};
pub(crate) use layers::{Layers, Origin, unknown_variables};
