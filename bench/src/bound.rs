use std::time::Duration;

use crate::foresight::expected;
use crate::network::Instance;
use crate::rival::PER_PEER;
use crate::workload::{FRAME_HEADER, Item, Workload};

/// What nobody can beat, and what somebody with full knowledge can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// No client is faster that has at most [`PER_PEER`] requests at each node.
    pub(crate) lower: Duration,
    /// No client is faster at all.
    pub(crate) unlimited: Duration,
    /// No client without foresight can be expected to be faster: see [`crate::foresight`]. The lower bound where more than
    /// chance decides.
    pub(crate) without_foresight: Duration,
    /// A list schedule, longest request first, made with full knowledge of what takes how long and fails. No more than
    /// this is possible to reach; between the two lies how loose the lower bound is.
    pub(crate) oracle: Duration,
}

/// Tries of one request at one node that the lower bound looks at. A later one that does better is not impossible, but
/// nobody asks one node the same this often while a run lasts.
const ATTEMPTS: u32 = 6;

/// A request at a node: time in its handler, bytes of the answer.
#[derive(Debug, Clone, Copy)]
struct Job {
    service: Duration,
    bytes: usize,
}

/// The bounds for a workload in one instance of a network.
pub(crate) fn bounds(workload: Workload, instance: &Instance) -> Bounds {
    let items = workload.items();
    match workload.interval() {
        Some(interval) => {
            let each: Vec<Bounds> =
                items.iter().map(|item| of(std::slice::from_ref(item), instance)).collect();
            let count = workload.count();
            // What falls due while nobody is there has to wait for somebody first.
            let waits = (0..count).map(|number| instance.deserted(interval * number)).sum::<Duration>();
            let mean = |of: fn(&Bounds) -> Duration| (waits + each.iter().map(of).sum::<Duration>()) / count;
            Bounds {
                lower: mean(|bounds| bounds.lower),
                unlimited: mean(|bounds| bounds.unlimited),
                without_foresight: mean(|bounds| bounds.without_foresight),
                oracle: mean(|bounds| bounds.oracle),
            }
        }
        None => {
            let calm = of(items, instance);
            match instance.outage {
                // Whatever was going on is lost, and nothing goes on meanwhile.
                Some((start, length)) if calm.unlimited > start => Bounds {
                    lower: calm.lower + length,
                    unlimited: calm.unlimited + length,
                    without_foresight: calm.without_foresight + length,
                    oracle: calm.oracle + length,
                },
                _ => calm,
            }
        }
    }
}

fn of(items: &[Item], instance: &Instance) -> Bounds {
    let single = critical_path(items, instance);
    let line = client_line(items, instance);
    let others = single.max(line);
    let lower = others.max(capacity(items, instance, PER_PEER));
    Bounds {
        lower,
        unlimited: others.max(capacity(items, instance, usize::MAX)),
        without_foresight: lower.max(expected(items, instance)),
        oracle: longest_first(items, instance).max(line),
    }
}

/// The slowest request, each at the node that is best for it.
fn critical_path(items: &[Item], instance: &Instance) -> Duration {
    let best = |item: &Item| {
        let times = instance.peers.iter().enumerate().filter_map(|(peer, config)| {
            let job = best_attempt(item, instance, peer)?;
            Some(config.rtt + job.service + transfer(config, job.bytes))
        });
        times.min().unwrap_or(Duration::MAX)
    };
    items.iter().map(best).max().unwrap_or_default()
}

/// The client's own line carries every answer once.
fn client_line(items: &[Item], instance: &Instance) -> Duration {
    let Some(rate) = instance.client_line else { return Duration::ZERO };
    let bytes: usize = items.iter().map(|item| item.answer.len() + FRAME_HEADER).sum();
    let fastest = instance.peers.iter().map(|peer| peer.rtt).min().unwrap_or_default();
    fastest + Duration::from_secs(bytes as u64) / u32::try_from(rate.get()).unwrap_or(u32::MAX)
}

/// The time by which all nodes together can have answered as many requests as there are, each node the ones that are
/// cheapest for it.
fn capacity(items: &[Item], instance: &Instance, depth: usize) -> Duration {
    let lanes = (0..instance.peers.len()).map(|peer| {
        let jobs: Vec<Job> = items.iter().filter_map(|item| best_attempt(item, instance, peer)).collect();
        let mut services: Vec<Duration> = jobs.iter().map(|job| job.service).collect();
        let mut bytes: Vec<usize> = jobs.iter().map(|job| job.bytes).collect();
        services.sort_unstable();
        bytes.sort_unstable();
        let mut lane = Lane::new(&instance.peers[peer], depth);
        services.into_iter().zip(bytes).map(|(service, bytes)| lane.serve(Job { service, bytes })).collect()
    });
    let mut arrivals: Vec<Duration> = lanes.flat_map(|lane: Vec<Duration>| lane).collect();
    arrivals.sort_unstable();
    arrivals.get(items.len().saturating_sub(1)).copied().unwrap_or(Duration::MAX)
}

/// Longest request first, each to the node where it would be done first.
fn longest_first(items: &[Item], instance: &Instance) -> Duration {
    let mut lanes: Vec<Lane<'_>> = instance.peers.iter().map(|peer| Lane::new(peer, PER_PEER)).collect();
    let at = |item: &Item, peer: usize| {
        let config = &instance.peers[peer];
        let fate = config.fate(&item.request, 0);
        (!fate.faulty).then(|| Job { service: fate.service, bytes: item.answer.len() + FRAME_HEADER })
    };
    let mean = |item: &Item| {
        let services = (0..lanes.len()).filter_map(|peer| at(item, peer)).map(|job| job.service);
        services.min().unwrap_or_default()
    };
    let mut order: Vec<(Duration, &Item)> = items.iter().map(|item| (mean(item), item)).collect();
    order.sort_by_key(|(longest, _)| std::cmp::Reverse(*longest));
    let mut end = Duration::ZERO;
    for (_, item) in order {
        let choices = (0..lanes.len()).filter_map(|peer| {
            let job = at(item, peer)?;
            Some((lanes[peer].clone().serve(job), peer, job))
        });
        match choices.min_by_key(|(arrival, peer, _)| (*arrival, *peer)) {
            Some((arrival, peer, job)) => {
                lanes[peer].serve(job);
                end = end.max(arrival);
            }
            // Nobody answers it the first time: then the second.
            None => {
                let again =
                    (0..lanes.len()).filter_map(|peer| Some((peer, best_attempt(item, instance, peer)?)));
                let again = again.map(|(peer, job)| (lanes[peer].clone().serve(job), peer, job));
                if let Some((arrival, peer, job)) = again.min_by_key(|(arrival, peer, _)| (*arrival, *peer)) {
                    lanes[peer].serve(job);
                    end = end.max(arrival);
                }
            }
        }
    }
    end
}

/// The request at this node at its best; `None` when the node never answers it right.
fn best_attempt(item: &Item, instance: &Instance, peer: usize) -> Option<Job> {
    let config = &instance.peers[peer];
    let fates = (0..ATTEMPTS).map(|attempt| config.fate(&item.request, attempt));
    // A delayed answer is right, so it counts; that it comes later only helps the bound. And one with a changed bit can
    // be of use where the bit is in a part that nobody asked for.
    let may_be_of_use = config.faults.drop == spv_simnet::Schedule::Never
        && config.faults.wrong == spv_simnet::Schedule::Never
        && !config.faults.refuse_all;
    let useful = fates.filter(|fate| may_be_of_use || !fate.faulty);
    let service = useful.map(|fate| fate.service).min()?;
    Some(Job { service, bytes: item.answer.len() + FRAME_HEADER })
}

fn transfer(config: &spv_simnet::PeerConfig, bytes: usize) -> Duration {
    config.bandwidth.map_or(Duration::ZERO, |rate| {
        Duration::from_secs(bytes as u64) / u32::try_from(rate.get()).unwrap_or(u32::MAX)
    })
}

/// A node as a serial builder in front of a serial line, with so many requests in flight.
#[derive(Debug, Clone)]
struct Lane<'a> {
    config: &'a spv_simnet::PeerConfig,
    depth: usize,
    built: Duration,
    sent: Duration,
    arrivals: Vec<Duration>,
}

impl<'a> Lane<'a> {
    fn new(config: &'a spv_simnet::PeerConfig, depth: usize) -> Self {
        Self { config, depth, built: Duration::ZERO, sent: Duration::ZERO, arrivals: Vec::new() }
    }

    /// When the next answer arrives.
    fn serve(&mut self, job: Job) -> Duration {
        let half = self.config.rtt / 2;
        let asked =
            self.arrivals.len().checked_sub(self.depth).map_or(Duration::ZERO, |index| self.arrivals[index]);
        self.built = self.built.max(asked + half) + job.service;
        self.sent = self.sent.max(self.built) + transfer(self.config, job.bytes);
        let arrival = self.sent + half;
        self.arrivals.push(arrival);
        arrival
    }
}
