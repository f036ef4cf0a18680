//! Syncs from three simulated nodes in this process, then asks what a wallet asks.
//!
//! `cargo run -p spv-integration --example lookup`

use std::io::{self, Write};
use std::sync::Arc;

use spv_integration::client::At;
use spv_integration::progress::Progress;
use spv_integration::store::Store;
use spv_integration::{Client, Config};
use spv_simnet::{GeneratedSpec, Network, NetworkConfig, PeerConfig, World};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    let world =
        Arc::new(World::generate(&GeneratedSpec { masternodes: 20, cycles: 4, ..GeneratedSpec::default() }));
    let peers = vec![PeerConfig::default(); 3];
    let network = Network::start(world.clone(), NetworkConfig { peers, ..NetworkConfig::default() }).await?;

    let config = Config {
        network: "regtest".to_owned(),
        peers: network.addresses().iter().map(ToString::to_string).collect(),
        ..Config::default()
    };
    // With a real network: Client::open(config), which keeps its data on disk.
    let store = Arc::new(Store::in_memory(&world.params().network)?);
    let client = Client::new(world.params().clone(), config, store)?;
    let summary = client.sync(&Progress::default(), &CancellationToken::new()).await?;
    writeln!(out, "{} at height {}", summary.state.as_str(), summary.tip.height)?;

    let state = client.state(At::Newest).await?;
    let Some(entry) = state.masternodes().iter().next() else { return Err("no masternodes".into()) };
    let masternode = client.masternode(entry.pro_reg_tx_hash, At::Newest).await?;
    writeln!(
        out,
        "masternode {} serves at {}",
        masternode.entry.pro_reg_tx_hash, masternode.entry.service_address
    )?;

    for quorum in client.quorums(At::Newest).await? {
        let (llmq_type, hash) = (quorum.entry.llmq_type, quorum.entry.quorum_hash);
        let found = client.quorum(llmq_type, hash, At::Newest).await?;
        writeln!(out, "quorum {hash} of type {llmq_type}: {:?}", found.proof())?;
    }

    // A key that is not verified is not handed out: then there is an error that says what to do.
    let height = state.height();
    let signer = client.chain_lock_signer(height).await?;
    writeln!(out, "block {height} is locked by quorum {}", signer.quorum().entry.quorum_hash)?;
    let Err(error) = client.state(height + 1).await else { return Err("that is above the tip".into()) };
    writeln!(out, "{error}")?;
    network.shutdown().await;
    Ok(())
}
