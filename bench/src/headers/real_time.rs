//! Headers over loopback TCP in real time: hashing, rules and the store take what they take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::FutureExt;
use spv_integration::net::Stream;
use spv_integration::session::Environment;
use spv_simnet::{Network, NetworkConfig, PeerConfig};

use super::bound::bounds;
use super::contestant::Asker;
use super::distance::Distance;
use super::exchange::{OneAtATime, Spent};
use super::ours::sync;
use crate::client::{Client, Connect};
use crate::network::Instance;
use crate::stats::{Estimate, estimate, quantile};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many headers the client is behind
    #[arg(long, value_delimiter = ',', default_values_t = [60_000, 300_000])]
    behind: Vec<u32>,
    /// Nodes
    #[arg(long, default_value_t = 8)]
    peers: usize,
    /// Round trip of every node in milliseconds, added to the real one
    #[arg(long, default_value_t = 100)]
    rtt: u64,
    /// Runs of each contestant, in turn
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// One run, in seconds.
#[derive(Debug, Clone, Copy)]
struct Timed {
    connecting: f64,
    headers: f64,
    spent: Option<Spent>,
    /// Of ours, which goes on to lists.
    whole_sync: Option<f64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!((1..=64).contains(&args.peers), "--peers must be from 1 to 64");
    ensure!(args.pairs > 0, "--pairs must be at least 1");
    println!(
        "{} peers, round trip {} ms, {} runs of each in turn; {}\n",
        args.peers,
        args.rtt,
        args.pairs,
        crate::machine::machine()
    );
    println!("{HEADER}\n{RULE}");
    ensure!(
        args.behind.iter().all(|&behind| behind <= super::MOST),
        "--behind must be at most {}",
        super::MOST
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for &behind in &args.behind {
        runtime.block_on(beside_each_other(args, &Distance::of(behind)))?;
    }
    Ok(())
}

async fn beside_each_other(args: &Args, distance: &Distance) -> anyhow::Result<()> {
    let peer = PeerConfig { rtt: Duration::from_millis(args.rtt), ..PeerConfig::default() };
    let peers = vec![peer; args.peers];
    let instance = Instance { peers: peers.clone(), client_line: None, events: Vec::new(), outage: None };
    // Connecting over loopback takes no round trip; nodes delay messages only.
    let bound =
        bounds(distance, &instance).lower.saturating_sub(Duration::from_millis(args.rtt)).as_secs_f64();
    let network =
        Network::start(distance.world().clone(), NetworkConfig { peers, ..NetworkConfig::default() }).await?;
    let addresses = network.addresses();
    let mut runs = Asker::ALL.map(|_| Vec::new());
    for pair in 0..args.pairs {
        // Who goes first changes from pair to pair.
        for turn in 0..Asker::ALL.len() {
            let index = (pair + turn) % Asker::ALL.len();
            runs[index].push(one(Asker::ALL[index], distance, &addresses).await?);
        }
    }
    network.shutdown().await;
    for (asker, runs) in Asker::ALL.into_iter().zip(&runs) {
        println!("{}", row(asker, distance.behind(), runs, bound, &ratios(runs, bound)));
    }
    Ok(())
}

fn ratios(runs: &[Timed], bound: f64) -> Estimate {
    let ratios: Vec<f64> = runs.iter().map(|run| (run.connecting + run.headers) / bound).collect();
    estimate(&ratios, 0.5)
}

async fn one(asker: Asker, distance: &Distance, addresses: &[SocketAddr]) -> anyhow::Result<Timed> {
    let store = distance.store().await;
    let began = now();
    let tip = distance.world().block_hash(distance.world().tip());
    if asker == Asker::Ours {
        let synced = sync(&Environment::default(), distance, addresses, &store, |_| {}).await;
        ensure!(Some(synced.tip) == tip, "ours ended with another tip");
        ensure!(synced.begun_anew == 0, "a sync of ours ended without the tip");
        let connecting = synced.connected.unwrap_or_default();
        return Ok(Timed {
            connecting: connecting.as_secs_f64(),
            headers: synced.headers.saturating_sub(connecting).as_secs_f64(),
            spent: None,
            whole_sync: Some(synced.total.as_secs_f64()),
        });
    }
    let connect: Connect = Arc::new(|address, _| {
        async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        }
        .boxed()
    });
    let client = Client::start(distance.params(), &connect, addresses, 1);
    let mut asking = OneAtATime {
        client: &client,
        distance,
        is_compressed: OneAtATime::is_compressed(asker),
        store: Some(store),
        looks_up: false,
        spent: Spent::default(),
    };
    let chain = asking.fetch(|_| {}).await;
    let total = began.elapsed();
    let spent = asking.spent;
    client.close().await;
    ensure!(Some(chain.tip_hash()) == tip, "{} ended with another tip", asker.name());
    Ok(Timed {
        connecting: spent.connecting.as_secs_f64(),
        headers: total.saturating_sub(spent.connecting).as_secs_f64(),
        spent: Some(spent),
        whole_sync: None,
    })
}

const HEADER: &str = "| behind | who | connect, s | headers, s | of it waiting | hashes and rules | storing | headers per second | over the bound (95 % CI) | the whole sync, s |";
const RULE: &str = "|---|---|---|---|---|---|---|---|---|---|";

fn row(asker: Asker, behind: u32, runs: &[Timed], bound: f64, ratio: &Estimate) -> String {
    let median = |of: &dyn Fn(&Timed) -> f64| quantile(&runs.iter().map(of).collect::<Vec<_>>(), 0.5);
    let part = |of: fn(&Spent) -> Duration| {
        let parts: Option<Vec<f64>> = runs.iter().map(|run| Some(of(&run.spent?).as_secs_f64())).collect();
        parts.map_or_else(String::new, |parts| format!("{:.2}", quantile(&parts, 0.5)))
    };
    let whole: Option<Vec<f64>> = runs.iter().map(|run| run.whole_sync).collect();
    let whole = whole.map_or_else(String::new, |whole| format!("{:.2}", quantile(&whole, 0.5)));
    format!(
        "| {behind} | {} | {:.2} | {:.2} | {} | {} | {} | {:.0} | {:.2} ({:.2}–{:.2}) of {bound:.2} s | {whole} |",
        asker.name(),
        median(&|run| run.connecting),
        median(&|run| run.headers),
        part(|spent| spent.waiting),
        part(|spent| spent.validating),
        part(|spent| spent.storing),
        f64::from(behind) / median(&|run| run.headers),
        ratio.value,
        ratio.low,
        ratio.high,
    )
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
