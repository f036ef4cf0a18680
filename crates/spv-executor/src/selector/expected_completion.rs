use super::{Candidate, PeerSelector, penalty};

/// Selects at random, with weights, among the few candidates that would answer this request soonest; occasionally it
/// selects any candidate.
///
/// Soonest by [`Candidate::expected`]: the round trip, what the peer has to do before, and this request by its kind
/// and size. Before the first such answer of anybody, requests are spread evenly. Failures in a row make a peer count as
/// that much slower. A draw and not the best alone, because
/// estimates are old as soon as many requests use them; and any peer for one request in twenty, because a peer that
/// is never asked is never measured again.
#[derive(Clone, Debug)]
pub struct ExpectedCompletion {
    random: fastrand::Rng,
}

impl ExpectedCompletion {
    /// Creates a selector. Equal seeds lead to equal choices.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    /// Nothing is known yet of the time that this kind of request takes: a draw among those with the fewest.
    fn least_loaded<'c, P>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        let fewest = candidates.iter().map(|candidate| candidate.in_flight).min();
        let least: Vec<_> =
            candidates.iter().filter(|candidate| Some(candidate.in_flight) == fewest).collect();
        self.random.choice(least).unwrap_or(&candidates[0])
    }
}

impl<P> PeerSelector<P> for ExpectedCompletion {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        let measured = candidates.iter().all(|candidate| candidate.expected.is_some());
        let explore = self.random.f64() < EXPLORATION;
        if explore && measured {
            return self.random.choice(candidates).unwrap_or(&candidates[0]);
        }
        if !measured {
            return self.least_loaded(candidates);
        }
        let best = best(candidates);
        // Half as soon is a quarter as likely: a draw in proportion would give a slow peer too much of the work.
        let weight = |seconds: f64| seconds.powi(-2);
        let mut draw = self.random.f64() * best.iter().map(|(seconds, _)| weight(*seconds)).sum::<f64>();
        for &(seconds, candidate) in &best {
            draw -= weight(seconds);
            if draw <= 0.0 {
                return candidate;
            }
        }
        best[0].1
    }
}

/// The soonest few, the soonest first; of those as soon, who has gone longest without a request.
fn best<'c, P>(candidates: &'c [Candidate<'c, P>]) -> Vec<(f64, &'c Candidate<'c, P>)> {
    let mut best: Vec<(f64, &Candidate<'_, P>)> = Vec::with_capacity(BEST + 1);
    for candidate in candidates {
        let seconds = seconds(candidate);
        let is_before = |other: &(f64, &Candidate<'_, P>)| {
            other.0.total_cmp(&seconds).then(other.1.last_assigned.cmp(&candidate.last_assigned)).is_le()
        };
        let place = best.partition_point(is_before);
        if place < BEST {
            best.insert(place, (seconds, candidate));
            best.truncate(BEST);
        }
    }
    best
}

fn seconds<P>(candidate: &Candidate<'_, P>) -> f64 {
    let seconds = candidate.expected.unwrap_or_default().as_secs_f64() * penalty(candidate.failures);
    seconds.max(RESOLUTION)
}

/// How many peers a draw is among.
const BEST: usize = 3;
/// How often it is among all.
const EXPLORATION: f64 = 0.05;
/// Shorter times are below what can be told apart, and would make weights endless.
const RESOLUTION: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::Depth;

    const PEERS: [char; 5] = ['a', 'b', 'c', 'd', 'e'];

    fn candidates(expected_ms: [u64; 5]) -> Vec<Candidate<'static, char>> {
        let of = |(peer, ms)| Candidate {
            expected: Some(Duration::from_millis(ms)),
            ..Candidate::new(peer, Depth::TWO)
        };
        PEERS.iter().zip(expected_ms).map(of).collect()
    }

    fn draws(seed: u64, candidates: &[Candidate<'_, char>]) -> BTreeMap<char, u32> {
        let mut selector = ExpectedCompletion::new(seed);
        let mut counts = BTreeMap::new();
        (0..2_000).for_each(|_| *counts.entry(*selector.select(candidates).peer).or_default() += 1);
        counts
    }

    #[test]
    fn the_soonest_get_most_and_the_others_are_not_forgotten() {
        let counts = draws(1, &candidates([400, 100, 200, 800, 800]));
        // 16 : 4 : 1 among the best three, 1 % each for everybody.
        assert!(counts[&'b'] > 1_350 && counts[&'c'] > 300 && counts[&'a'] > 70, "{counts:?}");
        assert!((5..60).contains(&counts[&'d']) && (5..60).contains(&counts[&'e']), "{counts:?}");
    }

    #[test]
    fn failures_make_a_quick_peer_slow() {
        let mut candidates = candidates([10, 100, 100, 100, 100]);
        candidates[0].failures = 6;
        assert!(draws(1, &candidates)[&'a'] < 60);
    }

    #[test]
    fn without_measurements_everybody_gets_the_same() {
        let candidates: Vec<_> = PEERS.iter().map(|peer| Candidate::new(peer, Depth::TWO)).collect();
        assert!(draws(1, &candidates).values().all(|count| (300..500).contains(count)));
    }

    #[test]
    fn without_measurements_nobody_gets_a_second_request_before_all_have_one() {
        let mut selector = ExpectedCompletion::new(1);
        let mut candidates: Vec<_> = PEERS.iter().map(|peer| Candidate::new(peer, Depth::THREE)).collect();
        for sent in 1..=15 {
            let chosen = *selector.select(&candidates).peer;
            candidates
                .iter_mut()
                .filter(|candidate| *candidate.peer == chosen)
                .for_each(|candidate| candidate.in_flight += 1);
            let loads = candidates.iter().map(|candidate| candidate.in_flight);
            assert!(loads.clone().max() <= loads.clone().min().map(|least| least + 1), "after {sent}");
        }
    }

    #[test]
    fn an_answer_in_no_time_is_no_division_by_zero() {
        assert!(draws(1, &candidates([0, 0, 0, 0, 0])).values().sum::<u32>() == 2_000);
    }
}
