use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ChainParams;
use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::oneshot;

use super::environment::Environment;
use super::error::SyncError;
use crate::config::{Config, PeerName, REPLACEMENTS, Settings};
use crate::discovery::Discovery;
use crate::fleet::{PeerSources, Peers};
use crate::headers::Patience;
use crate::net::{Announcer, LookupFailed, Resolver};
use crate::progress::Progress;
use crate::quorums::ChainLocks;
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
    /// Which chains may be followed.
    pub(super) locks: Arc<ChainLocks>,
}

impl<'a> Connected<'a> {
    /// Finds peers and starts connecting to them. The returned future follows the connections and has to be polled for
    /// as long as they are used; it ends only when the sync cannot go on.
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
    ) -> Result<(Self, impl Future<Output = SyncError> + use<>), SyncError> {
        // Before anybody is asked for addresses.
        config.sync.validate()?;
        let sources = find_sources(config, params, &store, environment).await?;
        let (tip, best_lock) = blocking(environment.verification, &store, params, |store, params| {
            store.keep_params(params)?;
            Ok((store.tip()?, store.watch_chain_lock()?))
        })
        .await?;
        let start_height = tip.map_or(0, |(height, _)| height);
        let (peers, keep_up) = connect(environment, params, sources, start_height, &config.sync, announcer)?;
        progress.show(&peers);
        let (params, verification) = (params.clone(), environment.verification);
        let locks = Arc::new(ChainLocks::new(store.clone(), &params, verification, best_lock));
        Ok((Self { config, params, store, progress, peers, verification, locks }, keep_up))
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
        blocking(self.verification, &self.store, &self.params, work).await
    }

    /// Verification for one piece of work; the receiver gets the error where the store fails.
    ///
    /// # Errors
    /// When the system starts no threads.
    pub(super) fn start_verifier(&self) -> Result<(Verifier, oneshot::Receiver<StoreError>), SyncError> {
        start_verifier(&self.params, self.store.clone(), &self.config.sync, self.verification)
    }
}

/// Starts connecting to these peers. The returned future follows the connections, and ends only when a task that keeps them
/// panics.
pub(super) fn connect(
    environment: &Environment,
    params: &ChainParams,
    sources: PeerSources,
    start_height: u32,
    settings: &Settings,
    announcer: Option<Announcer>,
) -> Result<(Arc<Peers>, impl Future<Output = SyncError> + use<>), SyncError> {
    settings.validate()?;
    let (connector, rng) = (&environment.connector, environment.rng());
    let (peers, keep_up) = Peers::start(params, sources, start_height, settings, connector, rng, announcer)?;
    Ok((peers, keep_up.map(|panic| SyncError::panicked("a task that keeps connections", &panic))))
}

/// Verification with room for all answers that a window of work may bring.
pub(super) fn start_verifier(
    params: &ChainParams,
    store: Arc<Store>,
    settings: &Settings,
    verification: Verification,
) -> Result<(Verifier, oneshot::Receiver<StoreError>), SyncError> {
    Verifier::start(params, store, settings.window + REPLACEMENTS, verification)
        .map_err(|source| SyncError::Threads { source })
}

/// Looks up the configured peers, and takes up what is remembered of others. DNS seeds are waited for only where there
/// is nobody else to begin with.
async fn find_sources(
    config: &Config,
    params: &ChainParams,
    store: &Arc<Store>,
    environment: &Environment,
) -> Result<PeerSources, SyncError> {
    let names = config.peer_names(params)?;
    let resolver = environment.resolver.clone();
    let LookedUp { addresses: fixed, unresolved, mut failed } =
        look_up(names, &resolver, config.sync.handshake_timeout).await;
    if !config.discover && !config.peers.is_empty() {
        if fixed.is_empty() {
            return Err(SyncError::Lookup { failed });
        }
        warn_of(&failed);
        return Ok(PeerSources { fixed, unresolved, resolver, discovery: None });
    }
    let (settings, rng) = (&config.sync.discovery, environment.rng().fork());
    let known = blocking(environment.verification, store, params, |store, _| store.peers()).await?;
    let discovery = Discovery::open(params, settings, &fixed, known, store.clone(), resolver.clone(), rng);
    if fixed.is_empty() && discovery.knows_nobody() {
        if discovery.takes_turn_of_seeds() {
            failed.extend(discovery.ask_seeds().await.err());
        }
        if discovery.knows_nobody() {
            let is_offline = !failed.is_empty();
            return Err(match is_offline {
                true => SyncError::Lookup { failed },
                false => SyncError::NoPeers(params.network.clone()),
            });
        }
    }
    warn_of(&failed);
    Ok(PeerSources { fixed, unresolved, resolver, discovery: Some(discovery) })
}

/// Where a sync goes on without some peers; where it ends, its error names them.
fn warn_of(failed: &[LookupFailed]) {
    for LookupFailed { name, source } in failed {
        tracing::warn!(%name, reason = %source, "a peer's name cannot be looked up");
    }
}

/// What became of the configured names.
struct LookedUp {
    /// In order, each once.
    addresses: Vec<SocketAddr>,
    /// Names that cannot be looked up, each once, ...
    unresolved: Vec<PeerName>,
    /// ... and why.
    failed: Vec<LookupFailed>,
}

async fn look_up(names: Vec<PeerName>, resolver: &Resolver, limit: Duration) -> LookedUp {
    let names: BTreeSet<PeerName> = names.into_iter().collect();
    let found = join_all(names.iter().map(|name| resolver.look_up(name, limit))).await;
    let mut addresses = BTreeSet::new();
    let (mut unresolved, mut failed) = (Vec::new(), Vec::new());
    for (name, found) in names.iter().zip(found) {
        match found {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                unresolved.push(name.clone());
                failed.push(error);
            }
        }
    }
    LookedUp { addresses: addresses.into_iter().collect(), unresolved, failed }
}

#[cfg(test)]
mod tests;
