use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use spv_integration::counted;
use spv_simnet::{
    ActiveChain, Faults, GeneratedSpec, InstantLocker, Network, NetworkConfig, PeerConfig, QuorumProfile,
    SpecError, World,
};
use tokio::time::{Instant, Interval, interval_at};

use crate::args::SimnetArgs;
use crate::exit::{Exit, Usage};
use crate::network_flags::network_flags;
use crate::{output, signals};

pub(crate) async fn run(args: SimnetArgs) -> anyhow::Result<Exit> {
    let spec = match args.world.parse::<GeneratedSpec>() {
        // The directory of a recorded chain.
        Err(SpecError::Scheme(_)) => None,
        spec => Some(spec?),
    };
    let world = load(&args, spec)?;
    let world = match args.refuse_qrinfo_below {
        Some(height) => world.with_qrinfo_refused_below(height),
        None => world,
    };
    let world = Arc::new(world);
    let start = ActiveChain::new(world.clone(), args.start_height.unwrap_or_else(|| world.tip()));
    let config = NetworkConfig { peers: peers(&args)?, listen: args.listen };
    let cancel = signals::cancelled_by_signals()?;
    let network = Network::start(world.clone(), config).await?;
    let locker = match (args.instant_lock_interval, spec) {
        (Some(seconds), Some(spec)) => {
            Some((Duration::from_secs(seconds.into()), InstantLocker::new(&spec, &world)))
        }
        (Some(_), None) => {
            return Err(Usage("--instant-lock-interval needs a generated world".to_owned()).into());
        }
        (None, _) => None,
    };

    let addresses = network.addresses();
    let tip = json!({ "height": start.tip(), "hash": start.tip_hash() });
    let flags = network_flags(world.params());
    if args.json {
        output::json(&json!({ "peers": addresses, "tip": tip, "sync_flags": flags }))?;
    } else {
        output::text(&format!(
            "serving height {} on {}; stop with Ctrl-C",
            start.tip(),
            counted(addresses.len(), "node")
        ))?;
        for address in &addresses {
            output::text(&format!("  {address}"))?;
        }
        let peers: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        output::text(&format!(
            "sync from them with\n  qrsync sync {} --from 1 --peer {}",
            flags.join(" "),
            peers.join(",")
        ))?;
    }
    tokio::select! {
        () = cancel.cancelled() => {}
        () = grow(&network, start, args.block_interval, locker) => unreachable!("it never ends"),
    }
    let stats = network.shutdown().await;
    if args.json {
        output::json(&json!({ "stats": stats }))?;
    } else {
        for peer in stats {
            output::text(&format!(
                "  {}: {}, {} answered, {} refused, at most {} in flight",
                peer.address,
                counted(peer.requests.total(), "request"),
                peer.answered.total(),
                peer.refused.total(),
                peer.max_in_flight,
            ))?;
        }
    }
    Ok(Exit::Ok)
}

/// Gives the nodes one block after the other, up to the end of the chain, and InstantSend locks meanwhile.
async fn grow(
    network: &Network,
    mut chain: ActiveChain,
    block_interval: Option<u32>,
    mut locker: Option<(Duration, InstantLocker)>,
) {
    let world = chain.world().clone();
    let mut next_block = block_interval.map(|seconds| ticks(Duration::from_secs(seconds.into())));
    let mut next_lock = locker.as_ref().map(|(interval, _)| ticks(*interval));
    let mut number = 0;
    loop {
        tokio::select! {
            () = tick(&mut next_block), if chain.tip() < world.tip() => {
                chain = ActiveChain::new(world.clone(), chain.tip() + 1);
                network.activate(&chain);
            }
            () = tick(&mut next_lock) => {
                number += 1;
                let lock = locker.as_mut().and_then(|(_, locker)| locker.lock_number(chain.tip(), number));
                if let Some(lock) = lock {
                    network.lock_instantly(&lock);
                }
            }
        }
    }
}

fn ticks(period: Duration) -> Interval {
    interval_at(Instant::now() + period, period)
}

/// Resolves with the next tick; never where there are none.
async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => _ = ticks.tick().await,
        None => std::future::pending().await,
    }
}

fn load(args: &SimnetArgs, spec: Option<GeneratedSpec>) -> anyhow::Result<World> {
    let world = &args.world;
    let Some(spec) = spec else {
        return World::load(Path::new(world)).with_context(|| {
            format!("cannot load the world {world:?}; give a recorded chain's directory or generated:masternodes=N,cycles=N,seed=N")
        });
    };
    let cache = args.world_cache.clone().or_else(World::cache_directory);
    match cache.filter(|_| spec.profile() == QuorumProfile::Mainnet) {
        Some(directory) => Ok(World::generate_cached(&spec, &directory)?),
        None => Ok(World::generate(&spec)),
    }
}

fn peers(args: &SimnetArgs) -> anyhow::Result<Vec<PeerConfig>> {
    let template = PeerConfig {
        rtt: Duration::from_millis(args.rtt.into()),
        bandwidth: args.bandwidth,
        service_time: Duration::from_millis(args.service_time.into()),
        tip: args.start_height,
        protocol_version: args.protocol_version.unwrap_or_else(|| PeerConfig::default().protocol_version),
        ..PeerConfig::default()
    };
    let mut peers: Vec<PeerConfig> =
        (0..u64::from(args.peers)).map(|seed| PeerConfig { seed, ..template.clone() }).collect();
    for part in args.faults.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let single =
            part.split_once(':').and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)));
        match single {
            Some((index, faults)) => {
                let count = peers.len();
                let peer = peers.get_mut(index).ok_or_else(|| {
                    let last = count - 1;
                    Usage(format!("--faults {part:?} names node {index}, but there are nodes 0 to {last}"))
                })?;
                peer.faults = faults.parse()?;
            }
            None => {
                let faults: Faults = part.parse()?;
                peers.iter_mut().for_each(|peer| peer.faults = faults.clone());
            }
        }
    }
    Ok(peers)
}
