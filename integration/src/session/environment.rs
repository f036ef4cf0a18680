use crate::net::{Connector, Resolver};
use crate::verify::Verification;

/// The environment of a sync: network, names, threads and randomness. The default is the real one; a simulation
/// supplies its own.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Connects to nodes.
    pub connector: Connector,
    /// How names of nodes become addresses.
    pub resolver: Resolver,
    /// Where answers are verified.
    pub verification: Verification,
    /// Seed of all randomness: nonces, backoff, selection. `None` means a new seed.
    pub seed: Option<u64>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            connector: Connector::tcp(),
            resolver: Resolver::system(),
            verification: Verification::Threads,
            seed: None,
        }
    }
}

impl Environment {
    pub(crate) fn rng(&self) -> fastrand::Rng {
        self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)
    }
}
