use std::net::SocketAddr;
use std::sync::Arc;

use crate::discovery::Discovery;

/// Which nodes a sync connects to.
#[derive(Debug)]
pub(crate) struct PeerSources {
    /// Configured peers, each once.
    pub(crate) fixed: Vec<SocketAddr>,
    /// What finds others, where that is wanted.
    pub(crate) discovery: Option<Arc<Discovery>>,
}
