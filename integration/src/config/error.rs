use std::io;
use std::path::PathBuf;

use dashcore::Network;
use dashcore::params::UnknownNetwork;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {message}; `qrsync config show` prints every key with its value", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why, on one line.
        message: String,
    },
    /// The network is not known.
    #[error(transparent)]
    Network(#[from] UnknownNetwork),
    /// Quorum parameters cannot be understood.
    #[error(
        "llmq-params: {entry:?} is not TYPE=SIZE:THRESHOLD with a known quorum type and 1 <= THRESHOLD <= SIZE"
    )]
    LlmqParams {
        /// The part that is wrong.
        entry: String,
    },
    /// A role of a quorum type cannot be understood.
    #[error(
        "llmq-roles: {entry:?} is not ROLE=TYPE with ROLE one of chain-locks, instant-send, platform and TYPE a quorum type of this network; only instant-send's may be rotated, and has to be but on a regtest"
    )]
    LlmqRoles {
        /// The part that is wrong.
        entry: String,
    },
    /// An activation height cannot be understood.
    #[error(
        "activation: {entry:?} is not NAME=HEIGHT with NAME one of bip34, bip65, bip66, dip3, dip8, dip24, v19, v20, mn_rr, withdrawals"
    )]
    Activation {
        /// The part that is wrong.
        entry: String,
    },
    /// The parameters of a public network are given.
    #[error("{option} can only be given for regtest and devnets, not for {network}")]
    FixedNetwork {
        /// The option.
        option: &'static str,
        /// The network.
        network: Network,
    },
    /// A peer cannot be understood.
    #[error("peers: {name:?} is not HOST:PORT: {reason}")]
    Peer {
        /// As it was given.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A setting is out of range.
    #[error("sync.{section}{field}: {reason}")]
    Setting {
        /// Section with a trailing dot, or nothing.
        section: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A bound of lookups is out of range.
    #[error("client.{field}: {reason}")]
    Client {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is no default data directory.
    #[error("no home directory is set; choose a directory with --data-dir")]
    NoHome,
}

/// Gives the error unless a value is valid.
pub(super) fn ensure(valid: bool, error: impl FnOnce() -> ConfigError) -> Result<(), ConfigError> {
    if valid { Ok(()) } else { Err(error()) }
}

macro_rules! from_mechanism {
    ($($krate:ident => $section:literal),+) => {$(
        impl From<$krate::ConfigError> for ConfigError {
            fn from(error: $krate::ConfigError) -> Self {
                Self::Setting { section: concat!($section, "."), field: error.field, reason: error.reason }
            }
        }
    )+};
}

from_mechanism! {
    spv_executor => "executor",
    spv_scheduler => "scheduler",
    spv_recovery => "recovery",
    spv_correlation => "correlation",
    spv_netmon => "netmon"
}
