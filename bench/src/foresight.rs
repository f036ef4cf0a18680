//! What can be expected at best of a client that knows the nodes, but not beforehand how long a node will take for which
//! request and which answers will fail.
//!
//! The lower bound of [`crate::bound`] is for clients that know, and so ask everything once, where it is answered soonest.
//! Without that knowledge requests take a node's usual time, and tries fail at the rate at which the nodes lose answers,
//! whatever the client does, and each of them has a price. Assumed of the client, in its favour unless it says otherwise:
//!
//! - It has at most [`PER_PEER`] requests at a node, and does not ask for the same thing at two places at once (this is
//!   against it: copies could shorten the last few requests, and cost as much capacity).
//! - It knows that a try has failed one round trip and the service time after it was sent: the first moment at which a
//!   pong can tell. A loss that takes its pong along cannot be known sooner.
//! - It never waits for anything else: neither for a base, nor for a timeout, nor to be polite.
//! - Whether a try fails, and how long the node takes for it, is drawn anew each time, and cannot be guessed.
//!
//! Then, by Wald's equation, the expected number of tries is that of requests over the share that is answered. Two times
//! follow, and the bound is the longer one:
//!
//! - *Capacity*: until any time a node ends no more tries than its handler and its line can since the first request may
//!   have reached it, nor than its slots allow, of which only the share that is answered counts.
//! - *The unluckiest request*: of `n` requests, each tried until it is answered, the one that needs most tries needs
//!   `sum over k >= 0 of 1 - (1 - f^k)^n` in expectation, one after the other, at the nearest node.
//!
//! It is an expectation over luck, not a bound of each run: a lucky run may be faster, the mean of many may not.

use std::time::Duration;

use spv_simnet::{Faults, PeerConfig, Schedule};

use crate::network::Instance;
use crate::rival::PER_PEER;
use crate::workload::{FRAME_HEADER, Item};

/// The expected time for these requests, asked for together. Zero where anything but chance decides, such as a node that
/// refuses everything: who does not know that may find it out by a lucky guess.
pub(crate) fn expected(items: &[Item], instance: &Instance) -> Duration {
    let peers = &instance.peers;
    if items.is_empty() || !is_chance_alone(instance) {
        return Duration::ZERO;
    }
    let count = items.len() as f64;
    let bytes: usize = items.iter().map(|item| item.answer.len() + FRAME_HEADER).sum();
    let bytes = bytes as f64 / count;
    let answered =
        |seconds: f64| -> f64 { peers.iter().map(|peer| answers_until(seconds, peer, bytes)).sum() };
    let (mut early, mut late) = (0.0, LONGEST_SECONDS);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(early, late);
        if answered(middle) < count { early = middle } else { late = middle }
    }
    let nearest = peers.iter().map(|peer| peer.rtt + peer.service_time).min().unwrap_or_default();
    let least = peers.iter().map(loss).fold(1.0, f64::min);
    let unluckiest = nearest.as_secs_f64() * most_tries(items.len(), least);
    Duration::try_from_secs_f64(early.max(unluckiest)).unwrap_or(Duration::MAX)
}

fn is_chance_alone(instance: &Instance) -> bool {
    let by_chance = |peer: &PeerConfig| {
        let mut lost = Faults::default();
        (lost.drop, lost.stall) = (peer.faults.drop, peer.faults.stall);
        let drawn = |schedule| matches!(schedule, Schedule::Never | Schedule::Probability(_));
        peer.faults == lost && drawn(peer.faults.drop) && drawn(peer.faults.stall)
    };
    instance.client_line.is_none() && instance.events.is_empty() && instance.peers.iter().all(by_chance)
}

/// The share of its answers that a node loses by chance.
fn loss(peer: &PeerConfig) -> f64 {
    let share = |schedule: Schedule| match schedule {
        Schedule::Probability(share) => share,
        Schedule::Never | Schedule::Every(_) | Schedule::First(_) => 0.0,
    };
    1.0 - (1.0 - share(peer.faults.drop)) * (1.0 - share(peer.faults.stall))
}

/// Answers of so many bytes each that a node can have brought by then.
fn answers_until(seconds: f64, peer: &PeerConfig, bytes: f64) -> f64 {
    let answered = 1.0 - loss(peer);
    let (rtt, service) =
        (peer.rtt.as_secs_f64(), (peer.service_time + peer.service_jitter / 2).as_secs_f64());
    let transfer = peer.bandwidth.map_or(0.0, |rate| bytes / rate.get() as f64);
    let slots = PER_PEER as f64 * seconds / (rtt + service + answered * transfer);
    let since_it_may_have_come = (seconds - rtt).max(0.0);
    let handler = since_it_may_have_come / service;
    (slots.min(handler) * answered).min(since_it_may_have_come / transfer)
}

/// Tries of the request that needs most of so many, if each fails with the same probability; below 1.
fn most_tries(requests: usize, loss: f64) -> f64 {
    let at_least = |tries: i32| 1.0 - (1.0 - loss.powi(tries)).powf(requests as f64);
    (0..).map(at_least).take_while(|share| *share > NEGLIGIBLE).sum()
}

const NEGLIGIBLE: f64 = 1e-9;
/// Longer than any of the workloads takes at a crawl.
const LONGEST_SECONDS: f64 = 1e6;
/// To a microsecond.
const HALVINGS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Net;
    use crate::workload::Workload;

    #[test]
    fn the_unluckiest_of_many_needs_more_tries_than_one() {
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value}");
        near(most_tries(1, 0.5), 2.0);
        near(most_tries(1, 0.0), 1.0);
        // Of two with even chances: 2 + 2 - the lesser of both, which is 1 / (1 - 1/4).
        near(most_tries(2, 0.5), 4.0 - 4.0 / 3.0);
        assert!((8.0..12.0).contains(&most_tries(600, 0.5)));
    }

    #[test]
    fn where_chance_alone_decides_half_of_all_answers_lost_double_the_capacity_that_is_needed() {
        let time = |net: Net| expected(Workload::W3.items(), &net.instance(Workload::W3, 5, 1)).as_secs_f64();
        for net in [Net::N3, Net::N5, Net::N6, Net::N7, Net::N8] {
            assert_eq!(time(net), 0.0, "{net:?}");
        }
        let of = |loss: f64| {
            let mut instance = Net::N4b.instance(Workload::W3, 5, 1);
            for peer in &mut instance.peers {
                peer.faults.drop = Schedule::Probability(loss);
                peer.faults.stall = Schedule::Never;
                peer.bandwidth = None;
            }
            expected(Workload::W3.items(), &instance).as_secs_f64()
        };
        assert!((of(0.5) / of(1e-9) - 2.0).abs() < 1e-3);
    }

    #[test]
    fn equal_nodes_take_the_way_and_their_share_of_the_usual_time() {
        let mut instance = Net::N1.instance(Workload::W1, 5, 1);
        for peer in &mut instance.peers {
            peer.bandwidth = None;
            peer.rtt = Duration::from_millis(100);
        }
        // 12 requests of 50 ms each.
        let time = expected(Workload::W1.items(), &instance).as_secs_f64();
        assert!((time - 0.7).abs() < 1e-3, "{time}");
    }
}
