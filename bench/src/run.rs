use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use spv_integration::plan::{Plan, Work};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Environment, Session};
use spv_integration::store::Store;
use spv_integration::verify::Prover;
use spv_integration::verify::Verification;
use spv_simnet::{InMemoryNetwork, NetworkConfig, PeerStats};
use tokio::time::Instant;

use crate::client::{Client, Connect, connector};
use crate::contestant::{Contestant, Kind, Running, SelfReport};
use crate::line::{ClientLine, Seen};
use crate::network::{Instance, Net};
use crate::rival::Surroundings;
use crate::workload::{Workload, chain, world};

/// One contestant, one workload, one network, one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<'a> {
    /// Who.
    pub(crate) contestant: &'a Contestant,
    /// What is fetched.
    pub(crate) workload: Workload,
    /// From whom.
    pub(crate) net: Net,
    /// How many nodes there are.
    pub(crate) peers: usize,
    /// Makes the network and all luck in it, the same for every contestant.
    pub(crate) seed: u64,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// From the first request to the last proven list; `None` when it did not end within [`LONGEST`]. Where requests
    /// come one by one, the mean time from each to its proof.
    pub(crate) makespan: Option<Duration>,
    /// Times from each request to its proof, where requests come one by one.
    pub(crate) latencies: Vec<Duration>,
    /// Data requests sent.
    pub(crate) requests: u64,
    /// Bytes of answers received.
    pub(crate) answer_bytes: u64,
    /// Bytes of one honest answer to each request.
    pub(crate) useful_bytes: u64,
    /// Most requests that any node had from us at one time, as the nodes count them.
    pub(crate) max_in_flight: u32,
    /// Highest misbehaviour score that a node counted.
    pub(crate) misbehaviour: u32,
    /// Whether a list was accepted that is not the chain's.
    pub(crate) wrong: bool,
    /// What our engine said of itself.
    pub(crate) report: SelfReport,
    /// Requests and answers as they went over the client's line.
    pub(crate) seen: Vec<Seen>,
    /// Lists proven by our engine's own account, at times since the start.
    pub(crate) progress: Vec<(Duration, f64)>,
    /// Phases that the run went through, each with the time since the start at which it ended.
    pub(crate) phases: Vec<(Duration, &'static str)>,
}

impl Outcome {
    /// Bytes of answers that were received beyond one honest answer to each request.
    pub(crate) fn wasted_bytes(&self) -> u64 {
        self.answer_bytes.saturating_sub(self.useful_bytes)
    }
}

/// A run that takes longer counts as unfinished.
pub(crate) const LONGEST: Duration = Duration::from_secs(1_200);

/// Until then everybody is connected; work starts at the same time for all.
const HEAD_START: Duration = Duration::from_secs(5);

/// Runs it on a runtime of its own, in virtual time.
///
/// # Panics
/// When no runtime can be made, or the harness itself is wrong.
pub(crate) fn run(spec: &Spec<'_>) -> Outcome {
    in_virtual_time(simulate(spec))
}

/// Drives a future on a runtime of its own, in virtual time.
///
/// # Panics
/// When no runtime can be made, or the future panics.
pub(crate) fn in_virtual_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    runtime.block_on(future)
}

async fn simulate(spec: &Spec<'_>) -> Outcome {
    let started = Instant::now();
    let instance = spec.net.instance(spec.workload, spec.peers, spec.seed);
    let config = NetworkConfig { peers: instance.peers.clone(), ..NetworkConfig::default() };
    let network = InMemoryNetwork::start(world(), config).expect("the networks are sound");
    let network = Arc::new(network);
    let addresses = network.addresses();
    let line = ClientLine::new(instance.client_line);
    let connect = connect(&network, &line);
    let store = prepared_store(spec.workload).await;

    let progress = Progress::default();
    let mut running = start(spec, &connect, &addresses, &store).await;
    tokio::time::sleep_until(started + HEAD_START).await;
    line.start();
    let begun = Instant::now();
    let mut report = SelfReport::default();
    let mut latencies = Vec::new();
    let mut watched = Vec::new();
    let ended = tokio::select! {
        biased;
        ended = work(spec.workload, &mut running, &progress, &mut report, &mut latencies) => ended,
        () = async {
            tokio::join!(instance.play(&network, &addresses), watch(&progress, begun, &mut watched));
            std::future::pending::<()>().await;
        } => unreachable!("it waits for ever"),
        () = tokio::time::sleep(longest(spec.workload)) => false,
    };
    let elapsed = begun.elapsed();
    stop(running).await;

    let stats = network.stats();
    let seen = line.seen();
    let answers = seen.iter().filter(|seen| seen.is_answer).map(|seen| seen.bytes as u64);
    let makespan = match latencies.len() {
        0 => elapsed,
        count => latencies.iter().sum::<Duration>() / u32::try_from(count).unwrap_or(u32::MAX),
    };
    Outcome {
        makespan: ended.then_some(makespan),
        latencies,
        requests: seen.iter().filter(|seen| !seen.is_answer).count() as u64,
        answer_bytes: answers.sum(),
        useful_bytes: spec.workload.items().iter().map(|item| item.answer.len() as u64).sum(),
        max_in_flight: greatest(&stats, |stats| stats.max_in_flight),
        misbehaviour: greatest(&stats, |stats| stats.max_misbehaviour),
        wrong: ended && !store_is_right(&store, spec),
        report,
        seen,
        progress: watched,
        phases: Vec::new(),
    }
}

fn longest(workload: Workload) -> Duration {
    LONGEST + workload.interval().map_or(Duration::ZERO, |interval| interval * workload.count())
}

pub(crate) fn greatest(stats: &[PeerStats], of: impl Fn(&PeerStats) -> u32) -> u32 {
    stats.iter().map(of).max().unwrap_or(0)
}

pub(crate) fn connect(network: &Arc<InMemoryNetwork>, line: &ClientLine) -> Connect {
    let (network, line) = (network.clone(), line.clone());
    Arc::new(move |address, peer| {
        let (network, line) = (network.clone(), line.clone());
        async move {
            let stream = line.wrap(network.connect(address).await?, peer);
            Ok(Box::new(stream) as Box<dyn spv_integration::net::Stream>)
        }
        .boxed()
    })
}

async fn start(spec: &Spec<'_>, connect: &Connect, addresses: &[SocketAddr], store: &Arc<Store>) -> Running {
    let params = world().params();
    match &spec.contestant.kind {
        Kind::Ours(settings) => {
            let connector = connector(connect, addresses);
            let environment = Environment {
                connector,
                resolver: spv_integration::net::Resolver::none(),
                verification: Verification::Inline,
                seed: Some(spec.seed),
            };
            let session =
                Session::open(&environment, params, addresses, store.clone(), (**settings).clone()).await;
            Running::Ours(Box::new(session.expect("the settings are sound")))
        }
        Kind::Rival(rival) => {
            let client = Client::start(params, connect, addresses, spec.seed);
            for peer in 0..addresses.len() {
                client.until_connected(peer, true).await;
            }
            let capacity = spec.workload.items().len() + 16;
            let prover = Arc::new(
                Prover::new(params, store.clone(), capacity, Verification::Inline)
                    .expect("inline verification starts no threads"),
            );
            let surroundings = Surroundings { client: client.clone(), prover, seed: spec.seed };
            Running::Rival(rival.policy(surroundings), client)
        }
    }
}

async fn stop(running: Running) {
    match running {
        Running::Ours(session) => session.close().await,
        Running::Rival(policy, client) => {
            drop(policy);
            client.close().await;
        }
    }
}

/// Whether everything was fetched and proven.
async fn work(
    workload: Workload,
    running: &mut Running,
    progress: &Progress,
    report: &mut SelfReport,
    latencies: &mut Vec<Duration>,
) -> bool {
    let works: Vec<Arc<Work>> = workload.items().iter().map(|item| item.work.clone()).collect();
    let Some(interval) = workload.interval() else {
        return fetch(workload, running, &works, progress, report).await;
    };
    let started = Instant::now();
    for (number, work) in (0..).zip(&works) {
        let due = started + interval * number;
        tokio::time::sleep_until(due).await;
        if !fetch(workload, running, std::slice::from_ref(work), progress, report).await {
            return false;
        }
        // A request that had to wait for the one before counts from when it was due.
        latencies.push(due.elapsed());
    }
    true
}

async fn fetch(
    workload: Workload,
    running: &mut Running,
    works: &[Arc<Work>],
    progress: &Progress,
    report: &mut SelfReport,
) -> bool {
    match running {
        Running::Ours(session) => {
            let plan = Plan::of(works.iter().map(|work| Work::clone(work)).collect());
            let download = session.download(plan, progress).await.expect("memory can be written");
            report.add(&download);
            download.state == EndState::Synced
        }
        Running::Rival(policy, _) if workload.discovers() => {
            let (first, rest) = works.split_at(1);
            policy.fetch(first).await.is_ok() && policy.fetch(rest).await.is_ok()
        }
        Running::Rival(policy, _) => policy.fetch(works).await.is_ok(),
    }
}

async fn watch(progress: &Progress, begun: Instant, watched: &mut Vec<(Duration, f64)>) {
    let mut states = progress.watch();
    while states.changed().await.is_ok() {
        let state = *states.borrow_and_update();
        #[expect(clippy::cast_precision_loss, reason = "lists are few")]
        let share = state.proven_lists as f64 / state.planned_lists.max(1) as f64;
        watched.push((begun.elapsed(), share));
    }
}

/// A store that holds the list that everything is based on.
async fn prepared_store(workload: Workload) -> Arc<Store> {
    let params = world().params();
    let store = Arc::new(Store::in_memory(&params.network).expect("memory can be written"));
    store.save_chain(chain(), None).expect("memory can be written");
    let prover = Prover::new(params, store.clone(), 1, Verification::Inline)
        .expect("inline verification starts no threads");
    let base = workload.base();
    prover.prove(base.work.clone(), base.answer.clone()).await.expect("the world's lists are right");
    store
}

/// Whether the lists are there, and some of them, the last among them, are what the chain says. That no other than the
/// chain's list can be proven is what verification is for; this looks at it from outside.
fn store_is_right(store: &Store, spec: &Spec<'_>) -> bool {
    let params = world().params();
    let heights: Vec<u32> = spec.workload.items().iter().flat_map(|item| item.work.heights()).collect();
    let Ok(stored) = store.lists() else { return false };
    let complete = heights.iter().all(|&height| {
        stored.iter().any(|&(held, hash)| held == height && chain().hash(height) == Some(hash))
    });
    let mut rng = fastrand::Rng::with_seed(spec.seed);
    let mut sample = rng.choose_multiple(heights.iter().copied(), 2);
    sample.extend(heights.last());
    complete
        && sample.into_iter().all(|height| {
            let truth = world().active_chain().mn_list_diff(&dashcore::network::message_sml::GetMnListDiff {
                base_block_hash: dashcore::BlockHash::all_zeros(),
                block_hash: chain().hash(height).unwrap_or_default(),
            });
            let (Ok(truth), Ok(Some(state))) = (truth, store.state(params, height)) else { return false };
            let mut entries = truth.new_masternodes;
            entries.sort_unstable_by_key(|entry| entry.pro_reg_tx_hash);
            state.masternodes().iter().eq(&entries)
                && state.quorums().iter().map(|quorum| &*quorum.entry).eq(&truth.new_quorums)
        })
}

/// The instance that a specification is run in.
impl Spec<'_> {
    /// The network of this run.
    pub(crate) fn instance(&self) -> Instance {
        self.net.instance(self.workload, self.peers, self.seed)
    }
}
