//! Writes a network's built-in checkpoints anew from a chain that was proven: `cargo xtask checkpoints` runs it.
//!
//! `cargo run -p spv-integration --example checkpoints -- DATA_DIR NETWORK TABLE`

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use dashcore::{ChainParams, Checkpoint, Header};
use spv_integration::chain::HeaderChain;
use spv_integration::store::Store;

/// Blocks from one checkpoint to the next.
const SPACING: u32 = 50_000;

/// Blocks on top of the newest checkpoint: deeper than any reorganisation, which a ChainLock ends after a block or two.
const DEPTH: u32 = 1_000;

/// Headers that are built in below the newest checkpoint: those that the difficulty of the next block depends on.
const BELOW: u32 = 24;

/// A tip that is older than this is none of a sync that has ended.
const MAX_TIP_AGE: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [data_dir, network, table] = &arguments[..] else { return Err("use: DATA_DIR NETWORK TABLE".into()) };
    let params = ChainParams::new(network.parse()?);
    let chain = proven(&Store::open(Path::new(data_dir))?, &params, now().duration_since(UNIX_EPOCH)?)?;
    let checkpoints = renewed(&params.checkpoints, &chain, SPACING, DEPTH)?;
    fs::write(table, text(&checkpoints))?;
    let mut out = io::stdout().lock();
    for line in changes(&params.checkpoints, &checkpoints) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program whose only question to the clock this is")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The stored chain as far as it is proven by lists. `now` is Unix time.
fn proven(store: &Store, params: &ChainParams, now: Duration) -> Result<HeaderChain, Box<dyn Error>> {
    if *store.network() != params.network {
        return Err(format!("the data is of network {}", store.network()).into());
    }
    let lists = store.lists()?;
    let highest =
        lists.iter().map(|(height, _)| *height).max().ok_or("nothing is proven there; sync first")?;
    let chain = store.chain(params)?.and_then(|chain| chain.truncated(highest));
    let chain = chain.ok_or("the proven list is of no stored header; sync first")?;
    let tip = chain.header(highest).map_or(0, |header| header.time);
    if Duration::from_secs(tip.into()) + MAX_TIP_AGE < now {
        return Err(format!("the proven tip {highest} is older than a day; sync first").into());
    }
    Ok(chain)
}

/// The known checkpoints, completed from the chain, and those that it adds: one every `spacing` blocks, and a newest one
/// `depth` blocks below the tip, with what is below it. None goes: somebody's stored chain may start there.
fn renewed(
    known: &[Checkpoint],
    chain: &HeaderChain,
    spacing: u32,
    depth: u32,
) -> Result<Vec<Checkpoint>, Box<dyn Error>> {
    let newest = chain.tip_height().checked_sub(depth).filter(|newest| *newest > chain.start_height());
    let newest = newest.ok_or("the chain is too short for a checkpoint that is deep enough")?;
    if let Some(beyond) = known.iter().find(|checkpoint| checkpoint.height > newest) {
        return Err(
            format!("checkpoint {} is known already, the chain adds none above", beyond.height).into()
        );
    }
    let mut renewed = Vec::new();
    for checkpoint in known {
        renewed.push(match at(chain, checkpoint.height) {
            None => Checkpoint { below: Vec::new(), ..checkpoint.clone() },
            Some(found) => {
                let is_other_work = found.chain_work != checkpoint.chain_work
                    && !found.is_work_assumed
                    && !checkpoint.is_work_assumed;
                if found.hash != checkpoint.hash || is_other_work {
                    return Err(format!("the chain contradicts checkpoint {}", checkpoint.height).into());
                }
                // What was exact stays so.
                if checkpoint.is_work_assumed || checkpoint.header.is_none() {
                    found
                } else {
                    Checkpoint { below: Vec::new(), ..checkpoint.clone() }
                }
            }
        });
    }
    let multiples = (chain.start_height()..newest).filter(|height| height.is_multiple_of(spacing));
    for height in multiples.chain([newest]) {
        if renewed.iter().all(|checkpoint| checkpoint.height != height) {
            renewed.extend(at(chain, height));
        }
    }
    renewed.sort_unstable_by_key(|checkpoint| checkpoint.height);
    if let Some(last) = renewed.last_mut() {
        let below = last.height.saturating_sub(BELOW)..last.height;
        last.below = below.rev().map_while(|height| chain.header(height).copied()).collect();
        if last.below.len() < BELOW.min(last.height) as usize {
            return Err("the chain starts right below its newest checkpoint; sync from further down".into());
        }
    }
    Ok(renewed)
}

fn at(chain: &HeaderChain, height: u32) -> Option<Checkpoint> {
    let (header, hash): (Header, _) = (*chain.header(height)?, chain.hash(height)?);
    let chain = chain.truncated(height)?;
    let (exact, counted) = (chain.exact_work(), chain.work());
    Some(Checkpoint {
        height,
        hash,
        header: Some(header),
        chain_work: exact.unwrap_or(counted),
        is_work_assumed: exact.is_none(),
        below: Vec::new(),
    })
}

fn text(checkpoints: &[Checkpoint]) -> String {
    let lines = checkpoints.iter().map(|checkpoint| format!("{checkpoint}\n"));
    format!("{}\n", Checkpoint::TABLE_HEADING) + &lines.collect::<String>()
}

/// What is new, a line each.
fn changes(before: &[Checkpoint], after: &[Checkpoint]) -> Vec<String> {
    let mut lines = Vec::new();
    for checkpoint in after {
        let Checkpoint { height, hash, .. } = checkpoint;
        let what = match before.iter().find(|known| known.height == *height) {
            None => "added",
            Some(known) if known.header != checkpoint.header => "completed",
            Some(known) if known.chain_work != checkpoint.chain_work => "counted",
            Some(known) if known.below != checkpoint.below => "kept without what is below it",
            Some(_) => continue,
        };
        let below = if checkpoint.below.is_empty() { "" } else { ", with what is below it" };
        let work = if checkpoint.is_work_assumed {
            "; its work is assumed, sync from further down to count it"
        } else {
            ""
        };
        lines.push(format!("{height} {hash}: {what}{below}{work}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dashcore::Arith256;
    use spv_integration::progress::Progress;
    use spv_integration::{Client, Config};
    use spv_simnet::{GeneratedSpec, Network, NetworkConfig, PeerConfig, World};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Parameters with these checkpoints, and a store that was synced with a generated network.
    async fn synced() -> (ChainParams, Arc<Store>) {
        let world = Arc::new(World::generate(&GeneratedSpec {
            masternodes: 8,
            cycles: 2,
            signatures: false,
            ..GeneratedSpec::default()
        }));
        let network = NetworkConfig { peers: vec![PeerConfig::default()], ..NetworkConfig::default() };
        let network = Network::start(world.clone(), network).await.unwrap();
        let mut config = Config {
            network: "regtest".to_owned(),
            peers: network.addresses().iter().map(ToString::to_string).collect(),
            ..Config::default()
        };
        config.sync.verify_quorums = false;
        let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
        let client = Client::new(world.params().clone(), config, store.clone()).unwrap();
        client.sync(&Progress::default(), &CancellationToken::new()).await.unwrap();
        (world.params().clone(), store)
    }

    fn tip_time(chain: &HeaderChain) -> Duration {
        Duration::from_secs(chain.header(chain.tip_height()).unwrap().time.into())
    }

    #[tokio::test]
    async fn what_was_synced_becomes_a_table_to_start_from() {
        let (params, store) = synced().await;
        let whole = store.chain(&params).unwrap().unwrap();
        let chain = proven(&store, &params, tip_time(&whole)).unwrap();
        let tip = chain.tip_height();
        assert!(proven(&store, &params, tip_time(&whole) + MAX_TIP_AGE * 2).is_err(), "it is old");
        let empty = Store::in_memory(&params.network).unwrap();
        assert!(proven(&empty, &params, Duration::ZERO).is_err(), "nothing is proven");

        let mut known = vec![at(&chain, 0).unwrap()];
        known.push(Checkpoint {
            header: None,
            is_work_assumed: true,
            chain_work: at(&chain, 70).unwrap().chain_work.wrapping_add(Arith256::from_u64(99)),
            ..at(&chain, 70).unwrap()
        });
        let table = renewed(&known, &chain, 50, 10).unwrap();
        let heights: Vec<u32> = table.iter().map(|checkpoint| checkpoint.height).collect();
        let mut expected: Vec<u32> = (0..tip - 10).step_by(50).chain([70, tip - 10]).collect();
        expected.sort_unstable();
        assert_eq!(heights, expected);
        assert!(table.iter().all(|checkpoint| checkpoint.header.is_some() && !checkpoint.is_work_assumed));
        let (newest, others) = table.split_last().unwrap();
        assert!(newest.below.len() == 24 && others.iter().all(|checkpoint| checkpoint.below.is_empty()));
        let lines = changes(&known, &table);
        assert_eq!(lines.len(), table.len() - 1);
        assert!(lines.iter().any(|line| line.starts_with("70 ") && line.contains("completed")), "{lines:?}");

        // What was written is read, and a chain that starts there goes on where that one was.
        let read: Vec<Checkpoint> = text(&table).lines().skip(1).map(|line| line.parse().unwrap()).collect();
        assert_eq!(read, table);
        let params = ChainParams { checkpoints: read, ..params };
        let mut again = HeaderChain::starting_at_or_below(&params, tip);
        assert_eq!(again.start_height(), tip - 10);
        for height in tip - 9..=tip {
            let header = chain.header(height).unwrap();
            again.extend(&[*header], &[chain.hash(height).unwrap()], header.time).unwrap();
        }
        assert_eq!((again.tip_hash(), again.work()), (chain.tip_hash(), chain.work()));
        assert_eq!(renewed(&params.checkpoints, &chain, 50, 10).unwrap(), table, "nothing is new");

        let (mut other, mut counted) = (table.clone(), table.clone());
        other[1].hash = table[2].hash;
        counted[1].chain_work = table[2].chain_work;
        for contradicted in [other, counted] {
            let refused = renewed(&contradicted, &chain, 50, 10).unwrap_err().to_string();
            assert!(refused.contains("contradicts checkpoint 50"), "{refused}");
        }
        assert!(renewed(&table, &chain, 50, 11).is_err(), "a newer one is known");
        assert!(renewed(&[], &chain, 50, tip).is_err(), "too short");
    }
}
