use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

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
use crate::line::ClientLine;
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

/// Runs it on a runtime of its own, in virtual time. The clock starts before anybody is connected.
pub(crate) fn run(spec: &Spec<'_>) -> Outcome {
    in_virtual_time(simulate(spec))
}

async fn simulate(spec: &Spec<'_>) -> Outcome {
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
            return (synced.headers, synced.tip, synced.begun_anew);
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
        (began.elapsed(), chain.tip_hash(), 0)
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
    let makespan = ended.map(|(makespan, ..)| makespan);
    let begun_anew = ended.map_or(0, |(.., begun_anew)| begun_anew);
    // Ours goes on to lists; what it sends when its header phase ends is not of this workload.
    let mut seen = line.seen();
    seen.retain(|seen| makespan.is_none_or(|end| seen.at < end || (seen.is_answer && seen.at == end)));
    let answers = seen.iter().filter(|seen| seen.is_answer).map(|seen| seen.bytes as u64);
    Outcome {
        makespan,
        latencies: Vec::new(),
        requests: seen.iter().filter(|seen| !seen.is_answer).count() as u64,
        answer_bytes: answers.sum(),
        useful_bytes: distance.answers().into_iter().map(|bytes| bytes as u64).sum(),
        max_in_flight: greatest(&stats, |stats| stats.max_in_flight),
        misbehaviour: greatest(&stats, |stats| stats.max_misbehaviour),
        wrong: ended.is_some_and(|(_, tip, _)| Some(tip) != distance.world().block_hash(last)),
        report: SelfReport { begun_anew, ..SelfReport::default() },
        seen,
        progress: watched.into_inner(),
    }
}
