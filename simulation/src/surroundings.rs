use std::sync::Arc;

use spv_integration::net::{Connector, Resolver};
use spv_integration::session::Environment;
use spv_integration::verify::Verification;
use spv_simnet::InMemoryNetwork;

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
