//! What Platform's SDK asks of a context provider, answered from proven quorums: the public key of a quorum by its type,
//! its hash and a core chain locked height, for blocking and for asynchronous callers.
//!
//! The SDK's own trait is not named here, so that nothing of Platform is needed to build this; its methods have these
//! signatures, and an implementation of it only calls these.
//!
//! `cargo run -p spv-integration --example platform_context`

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use dashcore::QuorumHash;
use dashcore::sml::llmq_type::LLMQType;
use spv_integration::client::{At, LookupError};
use spv_integration::progress::Progress;
use spv_integration::store::Store;
use spv_integration::{Client, Config};
use spv_simnet::{GeneratedSpec, Network, NetworkConfig, PeerConfig, World};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Gives out keys of Platform's quorums.
#[derive(Clone)]
struct ContextProvider {
    client: Client,
    /// Where lookups run for callers that block.
    runtime: Handle,
    /// For how long a proof that is ahead of the stored tip is waited for.
    patience: Duration,
}

#[derive(Debug, thiserror::Error)]
enum ContextError {
    /// Another type than that of Platform on this network.
    #[error("quorums of type {0} sign nothing for Platform on this network")]
    OtherType(u32),
    /// No key can be given out. `is_transient` tells whether that may be otherwise later.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

impl ContextProvider {
    /// For asynchronous callers. The SDK has the bytes of a quorum's hash in the order in which it is printed, the reverse
    /// of that in which Core sends it.
    async fn quorum_public_key(
        &self,
        quorum_type: u32,
        quorum_hash: [u8; 32],
        core_chain_locked_height: u32,
    ) -> Result<[u8; 48], ContextError> {
        let platform = self.client.params().platform_llmq;
        let is_platform = u8::try_from(quorum_type).is_ok_and(|number| LLMQType(number) == platform);
        if !is_platform {
            return Err(ContextError::OtherType(quorum_type));
        }
        let mut bytes = quorum_hash;
        bytes.reverse();
        let hash = QuorumHash::from_byte_array(bytes);
        // Platform may name a block that has not been synced yet. If it does not come, the lookup says so.
        let waited = self.client.wait_for_height(core_chain_locked_height);
        if let Ok(reached) = tokio::time::timeout(self.patience, waited).await {
            reached?;
        }
        let signer = self.client.platform_signer(hash, core_chain_locked_height).await?;
        Ok(*signer.public_key().as_bytes())
    }

    /// For callers on threads that may block. Within a task of a runtime, use [`Self::quorum_public_key`].
    fn get_quorum_public_key(
        &self,
        quorum_type: u32,
        quorum_hash: [u8; 32],
        core_chain_locked_height: u32,
    ) -> Result<[u8; 48], ContextError> {
        self.runtime.block_on(self.quorum_public_key(quorum_type, quorum_hash, core_chain_locked_height))
    }
}

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
    // With a real network: Client::open(config) and Client::follow, which stays at the tip.
    let store = Arc::new(Store::in_memory(&world.params().network)?);
    let client = Client::new(world.params().clone(), config, store)?;
    client.sync(&Progress::default(), &CancellationToken::new()).await?;

    let provider = ContextProvider {
        client: client.clone(),
        runtime: Handle::current(),
        patience: Duration::from_secs(1),
    };
    let (platform, tip) = (client.params().platform_llmq, world.tip());
    let signers = client.platform_signers(tip).await?;
    writeln!(out, "{} quorums may have signed a proof for Platform at height {tip}", signers.len())?;
    for signer in signers {
        // As a proof of Platform contains it.
        let mut hash = signer.quorum().entry.quorum_hash.to_byte_array();
        hash.reverse();
        let key = provider.quorum_public_key(platform.0.into(), hash, tip).await?;
        assert_eq!(key, *signer.public_key().as_bytes());
        let blocking = provider.clone();
        let same = move || blocking.get_quorum_public_key(platform.0.into(), hash, tip);
        assert_eq!(tokio::task::spawn_blocking(same).await??, key);
        writeln!(out, "quorum {} has key {}", signer.quorum().entry.quorum_hash, signer.public_key())?;
    }
    let unknown = provider.quorum_public_key(platform.0.into(), [9; 32], tip).await;
    let Err(ContextError::Lookup(error)) = unknown else { return Err("there is no such quorum".into()) };
    writeln!(out, "{error}; try again: {}", error.is_transient())?;
    let Err(other) = provider.quorum_public_key(1, [9; 32], tip).await else {
        return Err("that is no type".into());
    };
    writeln!(out, "{other}")?;
    let newest = client.state(At::Newest).await?;
    writeln!(out, "the newest proven list is that of height {}", newest.height())?;
    network.shutdown().await;
    Ok(())
}
