use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use dashcore::BlockHash;
use parking_lot::Mutex;
use spv_integration::net::Resolver;
use spv_integration::session::Environment;
use spv_integration::verify::Verification;
use spv_simnet::{InMemoryNetwork, NetworkConfig};
use tokio::time::Instant;

use super::contestant::Asker;
use super::distance::Distance;
use super::exchange::{OneAtATime, Spent};
use super::ours::sync;
use crate::client::{Client, connector};
use crate::contestant::SelfReport;
use crate::line::{ClientLine, Seen};
use crate::network::{Instance, Net};
use crate::run::{LONGEST, Outcome, connect, greatest, in_virtual_time};
use crate::workload::Workload;

/// One contestant, one distance, one network, one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<'a> {
    /// Who.
    pub(crate) asker: Asker,
    /// How far it is behind.
    pub(crate) distance: &'a Distance,
    /// Whom it asks.
    pub(crate) net: Net,
    /// How many nodes there are.
    pub(crate) peers: usize,
    /// Makes the network and all luck in it.
    pub(crate) seed: u64,
}

/// What is kept of what went over the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What the workload is about.
    Headers,
    /// Of ours also the rest of its sync.
    WholeSync,
}

impl Spec<'_> {
    /// The network of this run: what goes wrong in it concerns headers too, and requests for them take a node the same
    /// time each, so that none of it depends on how a contestant words its request.
    pub(crate) fn instance(&self) -> Instance {
        let mut instance = self.net.instance(Workload::W3, self.peers, self.seed);
        for peer in &mut instance.peers {
            peer.faults.headers = true;
            peer.service_time += peer.service_jitter / 2;
            peer.service_jitter = Duration::ZERO;
        }
        // Headers are of mainnet's size, unlike the lists for which the line was made so slow.
        instance.client_line = instance.client_line.map(|line| line.saturating_mul(LISTS_ARE_SMALLER));
        instance
    }
}

const LISTS_ARE_SMALLER: NonZeroU64 = NonZeroU64::new(10).expect("10 is not zero");

/// A run that came to its end.
struct Ended {
    /// Until the tip was reached.
    makespan: Duration,
    phases: Vec<(Duration, &'static str)>,
    tip: BlockHash,
    begun_anew: u32,
}

/// Runs it on a runtime of its own, in virtual time. The clock starts before anybody is connected.
pub(crate) fn run(spec: &Spec<'_>, shown: Shown) -> Outcome {
    in_virtual_time(simulate(spec, shown))
}

async fn simulate(spec: &Spec<'_>, shown: Shown) -> Outcome {
    let (distance, instance) = (spec.distance, spec.instance());
    let config = NetworkConfig { peers: instance.peers.clone(), ..NetworkConfig::default() };
    let network = InMemoryNetwork::start(distance.world(), config).expect("the networks are sound");
    let network = Arc::new(network);
    let addresses = network.addresses();
    let line = ClientLine::new(instance.client_line);
    let connect = connect(&network, &line);
    let store = distance.store().await;
    line.start();
    let began = Instant::now();
    let (first, last) = (distance.start().tip_height(), distance.world().tip());
    let watched = Mutex::new(Vec::new());
    let on_progress = |height: u32| {
        let share = f64::from(height.saturating_sub(first)) / f64::from((last - first).max(1));
        watched.lock().push((began.elapsed(), share));
    };
    let client = Mutex::new(None);
    let work = async {
        if spec.asker == Asker::Ours {
            let environment = Environment {
                connector: connector(&connect, &addresses),
                resolver: Resolver::none(),
                verification: Verification::Inline,
                seed: Some(spec.seed),
            };
            let synced = sync(&environment, distance, &addresses, &store, on_progress).await;
            let connected = synced.connected.unwrap_or_default();
            return Ended {
                makespan: synced.headers,
                phases: vec![(connected, "connect"), (synced.headers, "headers"), (synced.total, "lists")],
                tip: synced.tip,
                begun_anew: synced.begun_anew,
            };
        }
        let shared = Client::start(distance.params(), &connect, &addresses, spec.seed);
        *client.lock() = Some(shared.clone());
        let mut asking = OneAtATime {
            client: &shared,
            distance,
            is_compressed: OneAtATime::is_compressed(spec.asker),
            store: None,
            looks_up: true,
            spent: Spent::default(),
        };
        let chain = asking.fetch(|chain| on_progress(chain.tip_height())).await;
        let makespan = began.elapsed();
        Ended {
            makespan,
            phases: vec![(asking.spent.connecting, "connect"), (makespan, "headers")],
            tip: chain.tip_hash(),
            begun_anew: 0,
        }
    };
    let ended = tokio::select! {
        biased;
        ended = work => Some(ended),
        () = async {
            instance.play(&network, &addresses).await;
            std::future::pending::<()>().await;
        } => unreachable!("it waits for ever"),
        () = tokio::time::sleep(LONGEST) => None,
    };
    let client = client.lock().take();
    if let Some(client) = client {
        client.close().await;
    }
    let stats = network.stats();
    let makespan = ended.as_ref().map(|ended| ended.makespan);
    // Ours goes on to lists; what it sends when its header phase ends is not of this workload.
    let mut seen = line.seen();
    let is_of_headers =
        |seen: &Seen| makespan.is_none_or(|end| seen.at < end || (seen.is_answer && seen.at == end));
    seen.retain(|seen| shown == Shown::WholeSync || is_of_headers(seen));
    let answers = seen.iter().filter(|seen| seen.is_answer).map(|seen| seen.bytes as u64);
    Outcome {
        makespan,
        latencies: Vec::new(),
        requests: seen.iter().filter(|seen| !seen.is_answer).count() as u64,
        answer_bytes: answers.sum(),
        useful_bytes: distance.answers().into_iter().map(|bytes| bytes as u64).sum(),
        max_in_flight: greatest(&stats, |stats| stats.max_in_flight),
        misbehaviour: greatest(&stats, |stats| stats.max_misbehaviour),
        wrong: ended.as_ref().is_some_and(|ended| Some(ended.tip) != distance.world().block_hash(last)),
        report: SelfReport {
            begun_anew: ended.as_ref().map_or(0, |ended| ended.begun_anew),
            ..SelfReport::default()
        },
        seen,
        progress: watched.into_inner(),
        phases: ended.map_or_else(Vec::new, |ended| ended.phases),
    }
}
