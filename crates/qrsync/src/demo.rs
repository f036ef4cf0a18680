use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dashcore::ChainParams;
use indicatif::MultiProgress;
use serde_json::json;
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, SyncError, sync};
use spv_integration::store::Store;
use spv_integration::{Config, Settings, counted};
use spv_simnet::{Faults, GeneratedSpec, Network, NetworkConfig, PeerConfig, PeerStats, World};
use tokio_util::sync::CancellationToken;

use crate::args::DemoArgs;
use crate::config::LogArgs;
use crate::exit::{Exit, Interrupted, Usage};
use crate::progress::{Details, Display};
use crate::sync::describe;
use crate::{output, signals};

pub(crate) async fn run(args: DemoArgs, log: &LogArgs, drawn: MultiProgress) -> anyhow::Result<Exit> {
    let spec =
        format!("generated:masternodes={},cycles={},seed={}", args.masternodes, args.cycles, args.seed);
    let spec: GeneratedSpec = spec.parse()?;
    let faults = faults(args.faults)?;
    let details = if log.quiet { Details::Nothing } else { Details::Summary };
    let building = [
        "building the network".to_owned(),
        format!("{}, {}", counted(args.masternodes, "masternode"), counted(args.cycles, "cycle")),
    ];
    let generated = tokio::task::spawn_blocking(move || World::generate(&spec));
    let world = Display::new(drawn.clone(), details).wait_for(&building, generated).await?;
    let world = Arc::new(world);
    let cancel = signals::cancelled_by_signals()?;
    if !args.json {
        output::text(&format!(
            "A simulated network: {} over loopback TCP, round trip {} ms, {}, {}, {} % faults",
            counted(args.peers, "node"),
            args.rtt,
            counted(args.masternodes, "masternode"),
            counted(world.tip(), "block"),
            args.faults * 100.0,
        ))?;
    }

    let contest = Contest { world: &world, args: &args, faults: &faults, cancel: &cancel, drawn, details };
    let settings = Settings::default();
    let (summary, stats) = contest.run(settings.clone(), "run 1 of 2, all at once").await?;
    let mut one_at_a_time = Settings { window: 1, ..settings };
    one_at_a_time.executor.max_in_flight = NonZeroUsize::MIN;
    let (sequential, _) = contest.run(one_at_a_time, "run 2 of 2, one request at a time").await?;
    let ratio = sequential.seconds.total / summary.seconds.total;
    let most = stats.iter().map(|peer| peer.max_in_flight).max().unwrap_or(0);

    if args.json {
        output::json(&json!({
            "parallel": summary,
            "sequential": sequential,
            "speed_up": ratio,
            "max_in_flight_counted_by_peers": most,
        }))?;
    } else {
        output::text(&format!(
            "\nAll peers, {} in flight each\n{}\n  counted     by the nodes themselves: at most {most} in flight on a connection",
            counted(Settings::default().depth.get(), "request"),
            describe(&summary)
        ))?;
        let sequential_in_short: Vec<_> = describe(&sequential)
            .lines()
            .filter(|line| !line.starts_with("  peer"))
            .map(str::to_owned)
            .collect();
        output::text(&format!(
            "\nThe same peers, one request at a time\n{}",
            sequential_in_short.join("\n")
        ))?;
        let lists = sequential.seconds.lists / summary.seconds.lists;
        output::text(&format!(
            "\n{ratio:.1} times as fast as one request at a time, {lists:.1} times in the lists phase"
        ))?;
    }
    let both = [&summary, &sequential];
    let failed = both.into_iter().find(|summary| summary.state != EndState::Synced);
    Ok(failed.map_or(Exit::Ok, |summary| Exit::from(&summary.state)))
}

/// The same work on the same network, for each way of doing it anew.
struct Contest<'a> {
    world: &'a Arc<World>,
    args: &'a DemoArgs,
    faults: &'a Faults,
    cancel: &'a CancellationToken,
    drawn: MultiProgress,
    details: Details,
}

impl Contest<'_> {
    async fn run(
        &self,
        settings: Settings,
        label: &'static str,
    ) -> anyhow::Result<(Summary, Vec<PeerStats>)> {
        let peers = (0..u64::from(self.args.peers))
            .map(|index| PeerConfig {
                rtt: Duration::from_millis(self.args.rtt.into()),
                faults: self.faults.clone(),
                seed: self.args.seed.wrapping_add(index),
                ..PeerConfig::default()
            })
            .collect();
        let network =
            Network::start(self.world.clone(), NetworkConfig { peers, ..NetworkConfig::default() }).await?;
        let config = Config {
            network: "regtest".to_owned(),
            peers: network.addresses().iter().map(ToString::to_string).collect(),
            from: Some(1),
            sync: settings,
            ..Config::default()
        };
        let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
        let summary = self.sync(self.world.params(), &config, directory.path(), label).await?;
        Ok((summary, network.shutdown().await))
    }

    async fn sync(
        &self,
        params: &ChainParams,
        config: &Config,
        directory: &Path,
        label: &'static str,
    ) -> anyhow::Result<Summary> {
        let store = Arc::new(Store::create_or_open(directory, &params.network)?);
        let state = Progress::default();
        let display = Display::new(self.drawn.clone(), self.details).labelled(label);
        let (summary, ()) =
            tokio::join!(sync(params, config, store, &state, self.cancel), display.draw(&state, None));
        match summary {
            // The directory goes with this run, so there is nothing to go on from.
            Err(SyncError::Interrupted) => Err(Interrupted.into()),
            synced => Ok(synced?),
        }
    }
}

/// Spreads a failure rate over the ways in which answers fail.
fn faults(rate: f64) -> anyhow::Result<Faults> {
    if !(0.0..=0.9).contains(&rate) {
        return Err(Usage(format!("--faults {rate} is out of range; give a rate from 0 to 0.9")).into());
    }
    if rate == 0.0 {
        return Ok(Faults::default());
    }
    let share = rate / 4.0;
    Ok(format!("drop={share},refuse={share},corrupt={share},delay={share}:200ms").parse()?)
}
