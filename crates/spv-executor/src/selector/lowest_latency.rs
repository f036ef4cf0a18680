use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Candidate, PeerSelector, penalty};
use crate::Sample;

/// Selects the better of two random peers: the one that answers sooner in relation to its requests in flight.
///
/// A peer's time is an average that jumps up to a slow answer at once and comes down with time (a peak EWMA), so a
/// peer that begins to struggle is avoided before it is overwhelmed. Two choices, and not the best of all, keep
/// many requests that start together from all going to the same peer. A peer without an answer goes first.
#[derive(Clone, Debug)]
pub struct LowestLatency<P> {
    peaks: BTreeMap<P, Peak>,
    random: fastrand::Rng,
}

impl<P: Ord> LowestLatency<P> {
    /// Creates a selector without measurements. Equal seeds lead to equal choices.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { peaks: BTreeMap::new(), random: fastrand::Rng::with_seed(seed) }
    }

    fn cost(&self, candidate: &Candidate<'_, P>) -> f64 {
        let seconds = self.peaks.get(candidate.peer).map_or(0.0, |peak| peak.seconds);
        seconds * (candidate.in_flight + 1) as f64 * penalty(candidate.failures)
    }
}

impl<P: Clone + Ord + Send + 'static> PeerSelector<P> for LowestLatency<P> {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        let one = self.random.usize(..candidates.len());
        if candidates.len() == 1 {
            return &candidates[one];
        }
        // Any but the first.
        let other = (one + self.random.usize(1..candidates.len())) % candidates.len();
        let (one, other) = (&candidates[one], &candidates[other]);
        let order = self.cost(one).total_cmp(&self.cost(other));
        if order.then(one.last_assigned.cmp(&other.last_assigned)).is_le() { one } else { other }
    }

    fn on_completed(&mut self, peer: &P, answer: &Sample, now: Instant) {
        let sample = answer.elapsed.as_secs_f64();
        let first = Peak { seconds: sample, at: now };
        let peak = self.peaks.entry(peer.clone()).or_insert(first);
        let age = now.saturating_duration_since(peak.at);
        let weight = (-age.as_secs_f64() / FADE.as_secs_f64()).exp();
        peak.seconds = sample.max(peak.seconds * weight + sample * (1.0 - weight));
        peak.at = now;
    }

    fn on_removed(&mut self, peer: &P) {
        self.peaks.remove(peer);
    }
}

#[derive(Clone, Copy, Debug)]
struct Peak {
    seconds: f64,
    at: Instant,
}

/// After this long a slow answer counts about a third. A few round trips of a slow peer: long enough for a queue to
/// drain, short enough to notice.
const FADE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Depth;

    #[expect(clippy::disallowed_methods, reason = "only differences matter here")]
    fn start() -> Instant {
        Instant::now()
    }

    fn answer(ms: u64) -> Sample {
        Sample::new("", Duration::from_millis(ms))
    }

    fn candidates() -> Vec<Candidate<'static, char>> {
        ['a', 'b', 'c'].iter().map(|peer| Candidate::new(peer, Depth::THREE)).collect()
    }

    #[test]
    fn the_slowest_of_three_is_never_the_better_of_two() {
        let mut selector = LowestLatency::new(7);
        for (peer, ms) in [('a', 100), ('b', 900), ('c', 200)] {
            selector.on_completed(&peer, &answer(ms), start());
        }
        let mut chosen = BTreeMap::new();
        for _ in 0..300 {
            *chosen.entry(*selector.select(&candidates()).peer).or_insert(0) += 1;
        }
        // Of the three pairs, 'a' wins two and 'c' one.
        assert!(chosen[&'a'] > 150 && chosen[&'c'] > 60 && !chosen.contains_key(&'b'), "{chosen:?}");
    }

    #[test]
    fn load_failures_and_lack_of_answers_count() {
        let two = |a, b| [a, b];
        let [a, b, _] = candidates()[..] else { unreachable!() };
        let mut selector = LowestLatency::new(1);
        selector.on_completed(&'a', &answer(100), start());
        assert_eq!(*selector.select(&two(a, b)).peer, 'b');
        selector.on_completed(&'b', &answer(150), start());
        assert_eq!(*selector.select(&two(a, b)).peer, 'a');
        assert_eq!(*selector.select(&two(Candidate { in_flight: 1, ..a }, b)).peer, 'b');
        assert_eq!(*selector.select(&two(Candidate { failures: 1, ..a }, b)).peer, 'b');
        selector.on_removed(&'b');
        assert_eq!(*selector.select(&two(a, b)).peer, 'b');
    }

    #[test]
    fn a_slow_answer_shows_at_once_and_fades() {
        let (mut selector, begin) = (LowestLatency::new(1), start());
        let seconds = |selector: &LowestLatency<char>| selector.peaks[&'a'].seconds;
        selector.on_completed(&'a', &answer(100), begin);
        selector.on_completed(&'a', &answer(2_000), begin);
        assert!((seconds(&selector) - 2.0).abs() < 1e-9);
        selector.on_completed(&'a', &answer(100), begin);
        assert!((seconds(&selector) - 2.0).abs() < 1e-9);
        selector.on_completed(&'a', &answer(100), begin + FADE * 10);
        assert!((seconds(&selector) - 0.1).abs() < 1e-3);
    }
}
