use std::io;

use dashcore::Network;

use crate::config::ConfigError;
use crate::headers::HeaderDownloadError;
use crate::net::LookupFailed;
use crate::panicked::Panicked;
use crate::store::StoreError;

/// Why a sync could not be carried out; how an attempted one ended is its [`Summary`](super::Summary).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No peer is configured and the network has no seeds.
    #[error("no peers known for {0}; give some with --peer HOST:PORT")]
    NoPeers(Network),
    /// No name of a peer or of a DNS seed can be looked up, and nobody else is known.
    #[error("{}; is there a network, and is each peer given as HOST:PORT?", listed(failed))]
    Lookup {
        /// Each name, and why.
        failed: Vec<LookupFailed>,
    },
    /// The headers that peers sent contradict what is known.
    #[error(transparent)]
    Headers(HeaderDownloadError),
    /// Lists are wanted from a height that the chain has not reached.
    #[error("lists were requested from height {from}, but the chain ends at {tip}; give a lower --from")]
    FromAboveTip {
        /// The configured height.
        from: u32,
        /// Height of the tip.
        tip: u32,
    },
    /// The system starts no threads.
    #[error("no threads can be started to verify answers: {source}; are too many processes running?")]
    Threads {
        /// Why.
        source: io::Error,
    },
    /// A callback of the caller panicked, or this library did. What was proven until then is stored.
    #[error("an internal failure ended the sync: {part} panicked: {what}")]
    Panicked {
        /// What panicked.
        part: &'static str,
        /// What the panic said.
        what: String,
    },
    /// It was cancelled. What was proven until then is stored, and so are headers but for those of the last answers.
    #[error(
        "interrupted; headers and proven lists are stored, but for the last few, and the next run continues from there"
    )]
    Interrupted,
}

impl SyncError {
    pub(super) fn panicked(part: &'static str, panic: &Panicked) -> Self {
        Self::Panicked { part, what: panic.to_string() }
    }
}

fn listed(failed: &[LookupFailed]) -> String {
    failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
