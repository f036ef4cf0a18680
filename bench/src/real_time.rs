//! The same work over loopback TCP in real time, with decoding and verification, ours beside one request at a time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use spv_integration::Settings;
use spv_integration::chain::HeaderChain;
use spv_integration::plan::{Plan, Work};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Session};
use spv_integration::store::Store;
use spv_simnet::{GeneratedSpec, Network, NetworkConfig, PeerConfig, QuorumProfile, World};

use crate::stats::{estimate, quantile};
use crate::workload::headers_of;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Masternodes of the generated chain
    #[arg(long, default_value_t = 1_000)]
    masternodes: u32,
    /// Cycles of the generated chain
    #[arg(long, default_value_t = 120)]
    cycles: u32,
    /// Nodes
    #[arg(long, default_value_t = 5)]
    peers: usize,
    /// Round trip of every node in milliseconds, added to the real one
    #[arg(long, default_value_t = 50)]
    rtt: u64,
    /// Time of a node for each request in milliseconds, added to the real one
    #[arg(long, default_value_t = 5)]
    service_time: u64,
    /// Pairs of runs
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let spec = GeneratedSpec {
        masternodes: args.masternodes,
        cycles: args.cycles,
        seed: 11,
        quorums: Some(QuorumProfile::Small),
        signatures: false,
        ..GeneratedSpec::DEFAULT
    };
    spec.validate()?;
    let world = Arc::new(World::generate(&spec));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(pairs(args, &world))
}

async fn pairs(args: &Args, world: &Arc<World>) -> anyhow::Result<()> {
    let chain = headers_of(world);
    let plan = Plan::new(world.params(), &chain, 1, &BTreeSet::new());
    let lists = plan.works().iter().flat_map(Work::heights).count();
    let peer = PeerConfig {
        rtt: Duration::from_millis(args.rtt),
        service_time: Duration::from_millis(args.service_time),
        ..PeerConfig::default()
    };
    let config = NetworkConfig { peers: vec![peer; args.peers], ..NetworkConfig::default() };
    let network = Network::start(world.clone(), config).await?;
    let addresses = network.addresses();

    let ours = Settings::default();
    let mut one_at_a_time = Settings { window: 1, ..Settings::default() };
    one_at_a_time.executor.max_in_flight = NonZeroUsize::MIN;
    let (mut sequential, mut parallel) = (Vec::new(), Vec::new());
    for _ in 0..args.pairs {
        sequential.push(download(world, &chain, &plan, &addresses[..1], &one_at_a_time).await?);
        parallel.push(download(world, &chain, &plan, &addresses, &ours).await?);
    }
    network.shutdown().await;

    let ratios: Vec<f64> = sequential.iter().zip(&parallel).map(|(one, many)| one / many).collect();
    let ratio = estimate(&ratios, 0.5);
    println!(
        "{} masternodes, {} requests, {lists} lists; {} peers, round trip {} ms, service {} ms; {}\n",
        args.masternodes,
        plan.works().len(),
        args.peers,
        args.rtt,
        args.service_time,
        crate::machine::machine(),
    );
    println!("| one at a time to one peer, s | ours, s | ratio (95 % CI) | time saved |\n|---|---|---|---|");
    println!(
        "| {:.2} | {:.2} | {:.1} ({:.1}–{:.1}) | {:.1} % |",
        quantile(&sequential, 0.5),
        quantile(&parallel, 0.5),
        ratio.value,
        ratio.low,
        ratio.high,
        100.0 * (1.0 - 1.0 / ratio.value),
    );
    Ok(())
}

/// Seconds for downloading, proving and storing a plan with these settings.
async fn download(
    world: &World,
    chain: &HeaderChain,
    plan: &Plan,
    addresses: &[SocketAddr],
    settings: &Settings,
) -> anyhow::Result<f64> {
    let params = world.params();
    let store = Arc::new(Store::in_memory(&params.network)?);
    store.save_chain(chain, None)?;
    let mut session =
        Session::open(&Environment::default(), params, addresses, store, settings.clone()).await?;
    let started = now();
    let download = session.download(plan.clone(), &Progress::default()).await?;
    let seconds = started.elapsed().as_secs_f64();
    session.close().await;
    ensure!(download.state == EndState::Synced, "ended as {}", download.state.as_str());
    Ok(seconds)
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
