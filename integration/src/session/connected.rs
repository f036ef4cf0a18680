use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::ChainParams;
use tokio::sync::oneshot;

use super::environment::Environment;
use super::error::SyncError;
use crate::config::{Config, REPLACEMENTS, Settings};
use crate::discovery::Discovery;
use crate::fleet::{PeerSources, Peers};
use crate::headers::Patience;
use crate::net::Announcer;
use crate::progress::Progress;
use crate::store::{Store, StoreError, blocking};
use crate::verify::{Verification, Verifier};

/// What lasts longer than one run: connections and the store.
pub(super) struct Connected<'a> {
    pub(super) config: &'a Config,
    pub(super) params: ChainParams,
    pub(super) store: Arc<Store>,
    pub(super) progress: &'a Progress,
    pub(super) peers: Arc<Peers>,
    pub(super) verification: Verification,
}

impl<'a> Connected<'a> {
    /// Finds peers and starts connecting to them. The returned future follows the connections and has to be polled for
    /// as long as they are used.
    ///
    /// # Errors
    /// When the configuration or the store cannot be used, or there is nobody to turn to.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub(super) async fn start(
        environment: &Environment,
        params: &ChainParams,
        config: &'a Config,
        store: Arc<Store>,
        progress: &'a Progress,
        announcer: Option<Announcer>,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), SyncError> {
        // Before anybody is asked for addresses.
        config.sync.validate()?;
        let sources = find_sources(config, params, &store, environment).await?;
        let start_height = store.tip()?.map_or(0, |(height, _)| height);
        let (peers, keep_up) = connect(environment, params, sources, start_height, &config.sync, announcer)?;
        progress.show(&peers);
        let (params, verification) = (params.clone(), environment.verification);
        Ok((Self { config, params, store, progress, peers, verification }, keep_up))
    }

    /// How long peers are waited for that are asked for headers.
    pub(super) fn patience(&self) -> Patience {
        Patience { longest: self.config.sync.tip_patience, poll: self.config.sync.poll_interval }
    }

    /// Uses the store where blocking is allowed.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &ChainParams) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        blocking(&self.store, &self.params, work).await
    }

    /// Verification for one piece of work; the receiver gets the error where the store fails.
    pub(super) fn start_verifier(&self) -> (Verifier, oneshot::Receiver<StoreError>) {
        start_verifier(&self.params, self.store.clone(), &self.config.sync, self.verification)
    }
}

/// Starts connecting to these peers. The returned future follows the connections.
pub(super) fn connect(
    environment: &Environment,
    params: &ChainParams,
    sources: PeerSources,
    start_height: u32,
    settings: &Settings,
    announcer: Option<Announcer>,
) -> Result<(Arc<Peers>, impl Future<Output = ()> + use<>), SyncError> {
    settings.validate()?;
    let (connector, rng) = (&environment.connector, environment.rng());
    Ok(Peers::start(params, sources, start_height, settings, connector, rng, announcer)?)
}

/// Verification with room for all answers that a window of work may bring.
pub(super) fn start_verifier(
    params: &ChainParams,
    store: Arc<Store>,
    settings: &Settings,
    verification: Verification,
) -> (Verifier, oneshot::Receiver<StoreError>) {
    Verifier::start(params, store, settings.window + REPLACEMENTS, verification)
}

/// Looks up the configured peers, and takes up what is remembered of others. DNS seeds are waited for only where there
/// is nobody else to begin with.
async fn find_sources(
    config: &Config,
    params: &ChainParams,
    store: &Arc<Store>,
    environment: &Environment,
) -> Result<PeerSources, SyncError> {
    let fixed = look_up(&config.peers, params.default_port).await?;
    if !config.discover && !fixed.is_empty() {
        return Ok(PeerSources { fixed, discovery: None });
    }
    let discovery =
        Discovery::open(params, &config.sync.discovery, &fixed, store.clone(), environment.rng().fork())?;
    if fixed.is_empty() && discovery.knows_nobody() {
        if discovery.takes_turn_of_seeds() {
            let asked = discovery.ask_seeds().await;
            asked.map_err(|error| SyncError::Lookup { name: error.name, source: error.source })?;
        }
        if discovery.knows_nobody() {
            return Err(SyncError::NoPeers(params.network.clone()));
        }
    }
    Ok(PeerSources { fixed, discovery: Some(discovery) })
}

async fn look_up(names: &[String], default_port: u16) -> Result<Vec<SocketAddr>, SyncError> {
    let mut addresses = BTreeSet::new();
    for name in names {
        let with_port = if has_port(name) { name.clone() } else { format!("{name}:{default_port}") };
        let found = tokio::net::lookup_host(with_port).await;
        addresses.extend(found.map_err(|source| SyncError::Lookup { name: name.clone(), source })?);
    }
    Ok(addresses.into_iter().collect())
}

/// A bare IPv6 address has colons too, but no port.
fn has_port(name: &str) -> bool {
    name.parse::<std::net::Ipv6Addr>().is_err()
        && name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}
