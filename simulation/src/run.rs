use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bitcoin_hashes::sha256;
use dashcore::BlockHash;
use dashcore::network::message_sml::GetMnListDiff;
use fastrand::Rng;
use spv_integration::headers::HeaderChain;
use spv_integration::store::Store;
use spv_integration::sync::{Connector, EndState, Io, Progress, Summary, SyncError, Verification, sync_with};
use spv_integration::{Config, Settings};
use spv_simnet::{InMemoryNetwork, NetworkConfig, PeerConfig, PeerStats};
use tokio_util::sync::CancellationToken;

use crate::bound::lower_bound;
use crate::scenario::{Scenario, world};

/// No sync takes this long, in virtual time: one that does has stopped working.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A node that counts more is not being asked politely.
const MAX_IN_FLIGHT: u32 = 3;

/// Half of what makes a node discourage us.
const MAX_MISBEHAVIOUR: u32 = 50;

/// Headers that the client has before a run, so that most of the time goes to lists.
const HEADERS_MISSING: u32 = 30;

/// A finished run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What the client says.
    pub summary: Summary,
    /// Virtual time from start to end.
    pub makespan: Duration,
    /// What no client can beat, where all nodes stay up.
    pub bound: Option<Duration>,
    /// Greatest difference between the progress shown and lists really proven, as a share of all lists.
    pub progress_error: f64,
    /// Digest over every request as the nodes saw it; equal for equal seeds.
    pub trace: [u8; 32],
}

/// Why a run counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The sync did not end.
    NeverEnded,
    /// The sync could not be carried out.
    Error(String),
    /// It ended in a state that the scenario does not allow.
    WrongEnd(EndState),
    /// A list that was reported as proven is missing or not the chain's.
    WrongList {
        /// Its height.
        height: u32,
    },
    /// A node had more requests at one time than the cap.
    TooManyInFlight {
        /// The node.
        peer: SocketAddr,
        /// Most requests that it had.
        in_flight: u32,
    },
    /// A node is close to discouraging us.
    Misbehaviour {
        /// The node.
        peer: SocketAddr,
        /// Its score of us.
        score: u32,
    },
    /// Nearly everything failed, and requests went on all the same.
    PoolStayedClosed,
    /// Progress went backwards.
    ProgressWentBack,
}

/// Runs a scenario with a seed.
///
/// # Errors
/// The first thing that must not happen.
///
/// # Panics
/// When no runtime can be made.
pub fn run(scenario: &Scenario, seed: u64) -> Result<Run, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    runtime.block_on(simulate(scenario, seed))
}

async fn simulate(scenario: &Scenario, seed: u64) -> Result<Run, Failure> {
    let mut rng = Rng::with_seed(seed);
    let mut peers = (scenario.peers)(&mut rng);
    for peer in &mut peers {
        peer.seed = rng.u64(..);
    }
    let honest: Vec<PeerConfig> = peers.iter().filter(|peer| (scenario.honest)(peer)).cloned().collect();
    let config = NetworkConfig { peers, ..NetworkConfig::default() };
    let network =
        InMemoryNetwork::start(world(), config).map_err(|error| Failure::Error(error.to_string()))?;
    let network = Arc::new(network);
    let started = tokio::time::Instant::now();

    let addresses = network.addresses();
    let store = prepared_store();
    let progress = Progress::default();
    let client = client(&network, &addresses, store.clone(), &progress, rng.u64(..));
    let script = async {
        scenario.script.play(&network, &addresses, rng.fork()).await;
        std::future::pending::<()>().await;
    };
    let watcher = watch(&progress);
    let (summary, progress_error) = tokio::select! {
        biased;
        ended = async { tokio::join!(client, watcher) } => ended,
        () = script => unreachable!("the script waits for ever"),
        () = tokio::time::sleep(LONGEST) => return Err(Failure::NeverEnded),
    };
    let makespan = started.elapsed();
    let summary = summary.map_err(|error| Failure::Error(error.to_string()))?;
    let progress_error = progress_error?;

    if !(scenario.allowed)(&summary.state) {
        return Err(Failure::WrongEnd(summary.state));
    }
    if scenario.opens_the_pool && summary.recovery.pool_openings == 0 {
        return Err(Failure::PoolStayedClosed);
    }
    check_lists(&store, &summary)?;
    network.stats().iter().try_for_each(check_peer)?;
    let trace = trace(&network, started);
    let useful = summary.requests.qrinfo + summary.requests.mnlistdiff
        - summary.requests.retried.min(summary.requests.qrinfo + summary.requests.mnlistdiff);
    let bound = lower_bound(&honest, useful, Config::default().sync.depth.get());
    Ok(Run { summary, makespan, bound, progress_error, trace })
}

async fn client(
    network: &Arc<InMemoryNetwork>,
    addresses: &[SocketAddr],
    store: Arc<Store>,
    progress: &Progress,
    seed: u64,
) -> Result<Summary, SyncError> {
    let network = network.clone();
    let connector = Connector::new(move |address| {
        let network = network.clone();
        async move { network.connect(address).await }
    });
    let io = Io { connector, verification: Verification::Inline, seed: Some(seed) };
    let config = Config {
        network: "regtest".to_owned(),
        peers: addresses.iter().map(ToString::to_string).collect(),
        from: Some(1),
        // The quorums of this world never signed anything, which would be most of the work.
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    sync_with(&io, world().params(), &config, store, progress, &CancellationToken::new()).await
}

/// Follows the progress to its end; gives how far it was ever from the truth.
async fn watch(progress: &Progress) -> Result<f64, Failure> {
    let mut states = progress.watch();
    let mut last = *states.borrow_and_update();
    let mut shown = Vec::new();
    while last.phase != spv_integration::sync::Phase::Done {
        if states.changed().await.is_err() {
            break;
        }
        let next = *states.borrow_and_update();
        if next.proven_lists < last.proven_lists || next.header_height < last.header_height {
            return Err(Failure::ProgressWentBack);
        }
        if next.planned_lists > 0 {
            shown.push((next.proven_lists, next.planned_lists));
        }
        last = next;
    }
    let truth = last.proven_lists.max(1);
    let error = |(proven, planned): (u64, u64)| {
        let (shown, truth) = (ratio(proven, planned), ratio(proven, truth));
        (shown - truth).abs()
    };
    Ok(shown.into_iter().map(error).fold(0.0, f64::max))
}

/// Every list that has to be there is, and is what the chain's own state says.
fn check_lists(store: &Store, summary: &Summary) -> Result<(), Failure> {
    let chain = world().active_chain();
    let lists = store.lists().map_err(|error| Failure::Error(error.to_string()))?;
    if summary.state == EndState::Synced && lists.len() as u64 != summary.lists.verified {
        return Err(Failure::WrongList { height: 0 });
    }
    for (height, block_hash) in lists {
        let wrong = Failure::WrongList { height };
        let request = GetMnListDiff { base_block_hash: BlockHash::all_zeros(), block_hash };
        let Ok(truth) = chain.mn_list_diff(&request) else { return Err(wrong) };
        let Ok(Some(state)) = store.state(world().params(), height) else { return Err(wrong) };
        let mut entries = truth.new_masternodes;
        entries.sort_unstable_by_key(|entry| entry.pro_reg_tx_hash);
        let same_quorums = state.quorums().iter().map(|quorum| &*quorum.entry).eq(&truth.new_quorums);
        if !state.masternodes().iter().eq(&entries) || !same_quorums {
            return Err(wrong);
        }
    }
    Ok(())
}

fn check_peer(stats: &PeerStats) -> Result<(), Failure> {
    if stats.max_in_flight > MAX_IN_FLIGHT {
        return Err(Failure::TooManyInFlight { peer: stats.address, in_flight: stats.max_in_flight });
    }
    if stats.max_misbehaviour > MAX_MISBEHAVIOUR {
        return Err(Failure::Misbehaviour { peer: stats.address, score: stats.max_misbehaviour });
    }
    Ok(())
}

fn trace(network: &InMemoryNetwork, started: tokio::time::Instant) -> [u8; 32] {
    let mut bytes = Vec::new();
    for arrival in network.arrivals(started.into_std()) {
        bytes.extend(arrival.at.as_nanos().to_le_bytes());
        bytes.extend(arrival.peer.port().to_le_bytes());
        bytes.extend(arrival.request.as_bytes());
    }
    sha256::hash(&bytes).to_byte_array()
}

/// A store that holds most headers already.
fn prepared_store() -> Arc<Store> {
    static CHAIN: OnceLock<HeaderChain> = OnceLock::new();
    let params = world().params();
    let chain = CHAIN.get_or_init(|| {
        let mut chain = HeaderChain::starting_at_or_below(params, 0);
        let headers = (1..=world().tip() - HEADERS_MISSING)
            .filter_map(|height| Some((*world().header(height)?, world().block_hash(height)?)));
        chain.restore(headers).expect("the world's headers link");
        chain
    });
    let store = Store::in_memory(&params.network).expect("memory can be written");
    store.save_chain(chain, None).expect("memory can be written");
    Arc::new(store)
}

#[expect(clippy::cast_precision_loss, reason = "lists are few")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
