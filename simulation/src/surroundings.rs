use std::sync::Arc;
use std::time::Duration;

use spv_integration::net::{Connector, Resolver};
use spv_integration::session::Environment;
use spv_integration::verify::Verification;
use spv_simnet::{InMemoryNetwork, NetworkConfig, PeerConfig, World};

/// Nodes of this world, one for each text of faults, all as far away.
///
/// # Panics
/// When a text names no faults, or a node cannot have them.
pub fn nodes(world: &Arc<World>, rtt: Duration, faults: &[&str]) -> Arc<InMemoryNetwork> {
    let node = |faults: &&str| PeerConfig {
        rtt,
        faults: faults.parse().expect("faults as for `qrsync simnet --faults`"),
        ..PeerConfig::default()
    };
    let config = NetworkConfig { peers: faults.iter().map(node).collect(), ..NetworkConfig::default() };
    Arc::new(
        InMemoryNetwork::start(world, config).expect("a network in memory takes nothing from the system"),
    )
}

/// What a client in paused time has around it: the nodes of a network in memory, verification that takes no time, and
/// luck that goes by the seed.
pub fn surroundings(network: &Arc<InMemoryNetwork>, seed: u64) -> Environment {
    let network = network.clone();
    let connector = Connector::new(move |address| {
        let network = network.clone();
        async move { network.connect(address).await }
    });
    Environment {
        connector,
        resolver: Resolver::none(),
        verification: Verification::Inline,
        seed: Some(seed),
    }
}
