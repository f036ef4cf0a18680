use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::PeerName;
use crate::discovery::Discovery;
use crate::resolver::Resolver;

/// Which nodes a sync connects to.
#[derive(Debug)]
pub(crate) struct PeerSources {
    /// Configured peers, each once.
    pub(crate) fixed: Vec<SocketAddr>,
    /// Names of configured peers that could not be looked up, each once.
    pub(crate) unresolved: Vec<PeerName>,
    /// What may know them later.
    pub(crate) resolver: Resolver,
    /// What finds others, where that is wanted.
    pub(crate) discovery: Option<Arc<Discovery>>,
}

impl PeerSources {
    /// These addresses and nobody else.
    pub(crate) fn of(fixed: Vec<SocketAddr>) -> Self {
        Self { fixed, unresolved: Vec::new(), resolver: Resolver::none(), discovery: None }
    }
}
