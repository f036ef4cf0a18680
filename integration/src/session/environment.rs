use crate::net::{Connector, Resolver};
use crate::verify::Verification;

/// What a sync has around it. The default is the real world; a simulation brings its own.
#[derive(Debug, Clone)]
pub struct Environment {
    /// How nodes are reached.
    pub connector: Connector,
    /// How names of nodes become addresses.
    pub resolver: Resolver,
    /// Where answers are verified.
    pub verification: Verification,
    /// Seed of everything that is drawn: nonces, backoff, selection. `None`: a new one.
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
