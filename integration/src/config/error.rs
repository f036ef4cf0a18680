use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use dashcore::Network;
use dashcore::params::UnknownNetwork;

use super::bounds::{Bounds, LOG_TARGETS};

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
    /// The file cannot be parsed, or has an unknown key.
    #[error("{}: {message}; `qrsync config show` prints every key with its value", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Place and reason, on one line.
        message: String,
    },
    /// The network is unknown.
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
    /// Parameters were given for a public network.
    #[error("{option} can only be given for regtest and devnets, not for {network}")]
    FixedNetwork {
        /// The option.
        option: &'static str,
        /// The network.
        network: Network,
    },
    /// The text of a peer is not valid.
    #[error("peers: {name:?} is not HOST:PORT: {reason}")]
    Peer {
        /// The text that was given.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A setting is out of range.
    #[error("sync.{section}{field}: {reason}")]
    Setting {
        /// Name of the section with a trailing dot, or empty.
        section: &'static str,
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A limit of lookups is out of range.
    #[error("client.{field}: {reason}")]
    Client {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A setting of the API cannot be used.
    #[error("api.{field}: {reason}")]
    Api {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A value outside of any section is out of range.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// What is to be logged cannot be understood.
    #[error(
        "log level {level:?}: there is no level or target {part:?}; give error, warn, info, debug, trace or off, or levels by \
         target as in info,spv_integration=debug, with a target of {}", LOG_TARGETS.join(", ")
    )]
    LogLevel {
        /// As it was given.
        level: String,
        /// The part that is wrong.
        part: String,
    },
    /// The address for HTTP may be reached by others, and that is not allowed.
    #[error(
        "metrics_listen: {address} can be reached from other machines, and whoever reaches it sees peers and state; listen \
         at 127.0.0.1:{}, or allow it with --metrics-allow-remote", address.port()
    )]
    Remote {
        /// The address.
        address: SocketAddr,
    },
    /// There is no default data directory.
    #[error("no home directory is set; choose a directory with --data-dir")]
    NoHome,
}

impl ConfigError {
    /// Returns the key of the value, as in `sync.window`; `None` if the error is not about a single value.
    pub fn key(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } | Self::Parse { .. } | Self::NoHome => return None,
            Self::Network(_) => "network".to_owned(),
            Self::LlmqParams { .. } => "llmq_params".to_owned(),
            Self::LlmqRoles { .. } => "llmq_roles".to_owned(),
            Self::Activation { .. } => "activation".to_owned(),
            Self::FixedNetwork { option, .. } => option.replace('-', "_"),
            Self::Peer { .. } => "peers".to_owned(),
            Self::Setting { section, field, .. } => format!("sync.{section}{field}"),
            Self::Client { field, .. } => format!("client.{field}"),
            Self::Api { field, .. } => format!("api.{field}"),
            Self::Value { key, .. } => (*key).to_owned(),
            Self::LogLevel { .. } => "log.level".to_owned(),
            Self::Remote { .. } => "metrics_listen".to_owned(),
        })
    }
}

/// Checks the values of one section of the settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    /// With a trailing dot, or nothing.
    pub(super) section: &'static str,
}

impl Check {
    /// Refuses a value out of bounds.
    pub(super) fn value<T: PartialOrd>(
        self,
        field: &'static str,
        value: &T,
        bounds: &Bounds<T>,
    ) -> Result<(), ConfigError> {
        let Self { section } = self;
        ensure(bounds.allow(value), || ConfigError::Setting { section, field, reason: bounds.said })
    }
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
