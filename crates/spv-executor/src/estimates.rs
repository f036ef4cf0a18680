use std::time::{Duration, Instant};

use crate::{Cost, Sample};

/// What the answers of one peer say about its next ones.
///
/// The model is a peer that serves one request after the other: an answer takes the round trip, the wait for the
/// answers before it, and the time the peer is occupied with it alone, which contains its transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estimates {
    pub(crate) rtt: Option<Duration>,
    /// Few, so that a search from the front is the quickest.
    kinds: Vec<(&'static str, KindEstimate)>,
    bytes_per_second: Option<f64>,
    /// Over all kinds.
    occupied: Option<f64>,
    answer_bytes: Option<f64>,
    last_answer: Option<Instant>,
}

/// The answers to one kind of request, smoothed, in seconds and bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KindEstimate {
    elapsed: f64,
    deviation: f64,
    occupied: f64,
    /// The same, kept as it is asked for most.
    usual_work: Duration,
    /// Size of an answer that the caller expected.
    expected: f64,
    /// Of the peer, not of the kind; and so is the round trip.
    bytes_per_second: f64,
    rtt: Option<Duration>,
}

impl Estimates {
    /// Measures an answer that has just come.
    pub(crate) fn measure(&mut self, cost: Cost, sent: Instant, now: Instant) -> Sample {
        let earliest = sent.checked_add(self.rtt.unwrap_or_default()).unwrap_or(now);
        let begun = self.last_answer.map_or(earliest, |last| last.max(earliest));
        self.last_answer = Some(now);
        let (elapsed, occupied) = (now.saturating_duration_since(sent), now.saturating_duration_since(begun));
        Sample { kind: cost.kind, bytes: cost.bytes, elapsed, occupied, expected: cost.bytes }
    }

    pub(crate) fn learn(&mut self, sample: &Sample) {
        let (occupied, bytes) = (sample.occupied.as_secs_f64(), sample.bytes as f64);
        if sample.bytes >= TELLING_BYTES && occupied > 0.0 {
            average(&mut self.bytes_per_second, bytes / occupied);
        }
        average(&mut self.occupied, occupied);
        average(&mut self.answer_bytes, bytes);
        let bytes_per_second = self.bytes_per_second.unwrap_or(ASSUMED_BYTES_PER_SECOND);
        let elapsed = sample.elapsed.as_secs_f64();
        let expected = if sample.expected == 0 { bytes } else { sample.expected as f64 };
        let rtt = self.rtt;
        match self.kinds.iter_mut().find(|(name, _)| *name == sample.kind) {
            Some((_, kind)) => {
                // RFC 6298, with times of requests for round trips.
                kind.deviation += ((kind.elapsed - elapsed).abs() - kind.deviation) / 4.0;
                kind.elapsed += (elapsed - kind.elapsed) / 8.0;
                kind.occupied += (occupied - kind.occupied) * WEIGHT;
                kind.usual_work = seconds(kind.occupied);
                kind.expected += (expected - kind.expected) * WEIGHT;
                (kind.bytes_per_second, kind.rtt) = (bytes_per_second, rtt);
            }
            None => {
                let deviation = elapsed / 2.0;
                let usual_work = seconds(occupied);
                let first = KindEstimate {
                    elapsed,
                    deviation,
                    occupied,
                    usual_work,
                    expected,
                    bytes_per_second,
                    rtt,
                };
                self.kinds.push((sample.kind, first));
            }
        }
    }

    /// The answers were wrong ones, and how soon these come says nothing of right ones.
    pub(crate) fn forget_answers(&mut self) {
        *self = Self { rtt: self.rtt, last_answer: self.last_answer, ..Self::default() };
    }

    pub(crate) fn kind(&self, kind: &'static str) -> Option<&KindEstimate> {
        self.kinds.iter().find(|(name, _)| *name == kind).map(|(_, estimate)| estimate)
    }

    /// How long a request will occupy the peer; zero where nobody has answered one of the kind. Of a peer that has not,
    /// nothing better is known than that it is much farther away than one that has, and it may be as much slower.
    pub(crate) fn work(&self, cost: Cost, newcomer: Option<&KindEstimate>) -> Duration {
        let unknown = || {
            let newcomer = newcomer?;
            let farther = self.rtt?.div_duration_f64(newcomer.rtt.filter(|rtt| !rtt.is_zero())?);
            let work = newcomer.work(cost);
            Some(if farther > 1.0 { seconds(work.as_secs_f64() * farther) } else { work })
        };
        let own = self.kind(cost.kind).map(|own| own.work(cost));
        own.or_else(unknown).or_else(|| newcomer.map(|newcomer| newcomer.work(cost))).unwrap_or_default()
    }

    /// How long an answer may take of a kind that nobody has answered yet, as far as can be guessed: several times the way and what the peer is
    /// occupied with requests of other kinds, and the transfer of what is expected. `None` before the way is known.
    pub(crate) fn first_of_its_kind(&self, cost: Cost) -> Option<Duration> {
        let transfer = cost.bytes as f64 / self.bytes_per_second.unwrap_or(ASSUMED_BYTES_PER_SECOND);
        let usual = self.rtt?.as_secs_f64() + self.occupied.unwrap_or_default();
        Some(seconds(usual * FIRST_FACTOR + transfer))
    }

    /// How long the peer is occupied with a request, and how large its answers are; `None` before the first.
    pub(crate) fn typical(&self) -> Option<(Duration, f64)> {
        Some((seconds(self.occupied?), self.answer_bytes?))
    }
}

impl KindEstimate {
    /// What to expect of a peer not measured yet: what a peer better than the median does, with the uncertainty of a
    /// first sample. Better, so that a new peer is tried; uncertain, so that it is given time.
    pub(crate) fn of_newcomer<'a>(pool: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut pool: Vec<_> = pool.collect();
        let quarter = pool.len() / 4;
        if pool.is_empty() {
            return None;
        }
        let (_, better, _) = pool.select_nth_unstable_by(quarter, |a, b| a.elapsed.total_cmp(&b.elapsed));
        let better = **better;
        Some(Self { deviation: better.deviation.max(better.elapsed / 2.0), ..better })
    }

    /// How long the peer will be occupied.
    pub(crate) fn work(&self, cost: Cost) -> Duration {
        if cost.bytes == 0 { self.usual_work } else { seconds(self.occupied + self.beyond_usual(cost)) }
    }

    /// How long until an answer that is so many deviations slower than usual.
    pub(crate) fn elapsed(&self, cost: Cost, deviations: f64) -> Duration {
        seconds(self.elapsed + deviations * self.deviation + self.beyond_usual(cost).max(0.0))
    }

    /// So many deviations.
    pub(crate) fn spread(&self, deviations: f64) -> Duration {
        seconds(deviations * self.deviation)
    }

    /// The transfer of what is expected beyond what usually is; negative if less is expected.
    fn beyond_usual(&self, cost: Cost) -> f64 {
        if cost.bytes == 0 { 0.0 } else { (cost.bytes as f64 - self.expected) / self.bytes_per_second }
    }
}

fn average(mean: &mut Option<f64>, sample: f64) {
    *mean = Some(mean.map_or(sample, |mean| mean + (sample - mean) * WEIGHT));
}

/// Negative times are none; absurdly long ones as long as it gets.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// One answer counts a quarter: a client asks a peer a few dozen times, so an estimate has to be quick.
const WEIGHT: f64 = 0.25;
/// A first answer may well take as long as four of a kind that is known.
const FIRST_FACTOR: f64 = 4.0;
/// The time of a smaller answer says more about the peer's work than about the way.
const TELLING_BYTES: u64 = 16 * 1024;
/// A slow link: too long a wait for an unexpectedly large answer does less harm than too short a one.
const ASSUMED_BYTES_PER_SECOND: f64 = 128.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[expect(clippy::disallowed_methods, reason = "only differences matter here")]
    fn start() -> Instant {
        Instant::now()
    }

    const COST: Cost = Cost { kind: "list", bytes: 0 };

    #[test]
    fn occupied_is_neither_the_round_trip_nor_the_wait_for_earlier_answers() {
        let begin = start();
        let mut estimates = Estimates { rtt: Some(ms(100)), ..Estimates::default() };
        // Three requests at once to a peer that takes 40 ms for each, then one to the idle peer.
        for (sent, answered, elapsed) in [(0, 140, 140), (0, 180, 180), (0, 220, 220), (500, 640, 140)] {
            let sample = estimates.measure(COST, begin + ms(sent), begin + ms(answered));
            assert_eq!((sample.elapsed, sample.occupied), (ms(elapsed), ms(40)));
        }
    }

    #[test]
    fn the_times_follow_rfc_6298() {
        let mut estimates = Estimates::default();
        assert!(estimates.kind("list").is_none());
        for (elapsed, mean, deviation) in [(80, 80.0, 40.0), (160, 90.0, 50.0), (90, 90.0, 37.5)] {
            estimates.learn(&Sample::new("list", ms(elapsed)));
            let kind = estimates.kind("list").unwrap();
            assert!(
                (kind.elapsed * 1e3 - mean).abs() < 1e-9 && (kind.deviation * 1e3 - deviation).abs() < 1e-9
            );
        }
        assert_eq!(estimates.kind("list").unwrap().elapsed(COST, 4.0), ms(240));
        assert!(estimates.kind("other").is_none());
    }

    #[test]
    fn a_larger_answer_is_expected_to_take_longer_by_its_transfer() {
        let mut estimates = Estimates::default();
        estimates.learn(&Sample { bytes: 100_000, ..Sample::new("list", ms(100)) });
        let kind = estimates.kind("list").unwrap();
        let cost = |bytes| Cost { kind: "list", bytes };
        assert_eq!(kind.work(cost(100_000)), ms(100));
        assert_eq!(kind.work(cost(600_000)), ms(600));
        assert_eq!(kind.work(cost(40_000)), ms(40));
        // A timeout is not shortened for a small answer: what is saved in transfer is small beside the rest.
        assert_eq!(kind.elapsed(cost(40_000), 0.0), ms(100));
        assert_eq!(kind.elapsed(cost(u64::MAX), 4.0).as_secs(), 18_446_744_073_709);
        // Expectations that are always too high are none of the next request's time.
        let mut estimates = Estimates::default();
        estimates.learn(&Sample { bytes: 9_000, expected: 100_000, ..Sample::new("list", ms(100)) });
        assert_eq!(estimates.kind("list").unwrap().work(cost(100_000)), ms(100));
    }

    #[test]
    fn a_kind_not_measured_is_given_time_by_the_way_the_other_kinds_and_the_size() {
        let mut estimates = Estimates::default();
        estimates.learn(&Sample { occupied: ms(40), ..Sample::new("headers", ms(140)) });
        assert_eq!(estimates.first_of_its_kind(COST), None);
        estimates.rtt = Some(ms(100));
        assert_eq!(estimates.first_of_its_kind(COST), Some(ms(4 * 140)));
        assert_eq!(estimates.first_of_its_kind(Cost { bytes: 64 * 1024, ..COST }), Some(ms(4 * 140 + 500)));
    }

    #[test]
    fn a_newcomer_is_taken_for_better_than_the_median_but_uncertain() {
        let mut pool = Vec::new();
        for elapsed in [400, 100, 300, 200] {
            let mut estimates = Estimates::default();
            (0..50).for_each(|_| estimates.learn(&Sample::new("list", ms(elapsed))));
            pool.push(*estimates.kind("list").unwrap());
        }
        let newcomer = KindEstimate::of_newcomer(pool.iter()).unwrap();
        assert_eq!((newcomer.elapsed(COST, 0.0), newcomer.elapsed(COST, 4.0)), (ms(200), ms(600)));
        assert!(KindEstimate::of_newcomer(std::iter::empty()).is_none());
    }
}
