use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::ChainParams;

use super::io::Io;
use super::run::SyncError;
use crate::config::Config;
use crate::discovery::Discovery;
use crate::fleet::Contacts;
use crate::store::Store;

/// Looks up the configured peers, and takes up what is remembered of others. DNS seeds are waited for only where there
/// is nobody else to begin with.
pub(super) async fn find_contacts(
    config: &Config,
    params: &ChainParams,
    store: &Arc<Store>,
    io: &Io,
) -> Result<Contacts, SyncError> {
    let fixed = look_up(&config.peers, params.default_port).await?;
    if !config.discover && !fixed.is_empty() {
        return Ok(Contacts { fixed, discovery: None });
    }
    let discovery = Discovery::open(params, &config.sync.discovery, &fixed, store.clone(), io.rng().fork())?;
    if fixed.is_empty() && discovery.knows_nobody() {
        if discovery.takes_turn_of_seeds() {
            let asked = discovery.ask_seeds().await;
            asked.map_err(|error| SyncError::Lookup { name: error.name, source: error.source })?;
        }
        if discovery.knows_nobody() {
            return Err(SyncError::NoPeers(params.network.clone()));
        }
    }
    Ok(Contacts { fixed, discovery: Some(discovery) })
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
