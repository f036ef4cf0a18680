use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::adaptive_depth::worthwhile;
use crate::estimates::{Estimates, KindEstimate};
use crate::forecast::Forecast;
use crate::{Candidate, Cost, Depth, Sample};

/// Load of one connected peer, see [`Executor::peers`](crate::Executor::peers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLoad<P> {
    /// The peer.
    pub peer: P,
    /// Maximum number of requests at a time.
    pub depth: Depth,
    /// Number of requests at a time that is useful at present, at most `depth`.
    pub adapted_depth: Depth,
    /// Requests in flight at the peer, including those past their soft timeout. It is above `depth` only after `depth`
    /// was lowered.
    pub in_flight: usize,
    /// Greatest number of requests that it ever had at the same time.
    pub max_in_flight: usize,
    /// Requests started with it so far.
    pub requests: u64,
    /// Requests that failed since its last answer, and answers that were rejected since its last good one.
    pub failures: u32,
    /// End of its rest after failures, during which other peers are preferred; may be in the past.
    pub rests_until: Option<Instant>,
}

/// The slots of one peer, and what is known of it.
#[derive(Debug)]
pub(crate) struct Slots {
    depth: Depth,
    /// How many requests are worthwhile, and how long one occupies the peer: kept, because all peers are asked for it at
    /// every change.
    worthwhile: Depth,
    occupied: Option<Duration>,
    /// Peers of one group are likely to fail together.
    pub(crate) group: u64,
    /// False once removed: the entry then only waits for its last request to end.
    pub(crate) connected: bool,
    estimates: Estimates,
    max_in_flight: usize,
    requests: u64,
    last_assigned: Option<u64>,
    /// When each of the requests in flight should be answered, one after the other.
    due: VecDeque<Instant>,
    /// The latest of them that we do not send yet.
    unadmitted: usize,
    /// Requests that failed since the last answer.
    unanswered: u32,
    /// Answers that were rejected since the last one that was accepted.
    rejected: u32,
    rests_until: Option<Instant>,
}

impl Slots {
    pub(crate) fn new(depth: Depth, group: u64) -> Self {
        Self {
            depth,
            worthwhile: depth,
            occupied: None,
            group,
            connected: true,
            estimates: Estimates::default(),
            max_in_flight: 0,
            requests: 0,
            last_assigned: None,
            due: VecDeque::new(),
            unadmitted: 0,
            unanswered: 0,
            rejected: 0,
            rests_until: None,
        }
    }

    pub(crate) fn set_depth(&mut self, depth: Depth) {
        self.depth = depth;
        self.adapt();
    }

    pub(crate) fn set_rtt(&mut self, rtt: Duration) {
        self.estimates.rtt = Some(rtt);
        self.adapt();
    }

    pub(crate) const fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    /// Measures an answer that has just come; [`learn`](Self::learn) takes it to heart.
    pub(crate) fn measure(&mut self, cost: Cost, sent: Instant, now: Instant) -> Sample {
        self.estimates.measure(cost, sent, now)
    }

    /// How many more requests the peer may take now.
    pub(crate) fn free(&self, adaptive: bool) -> usize {
        if self.connected { self.present_depth(adaptive).get().saturating_sub(self.in_flight()) } else { 0 }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    fn in_flight(&self) -> usize {
        self.due.len()
    }

    /// Whether others should be asked first.
    pub(crate) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// A request is sent that will occupy the peer so long, as far as is known. Returns when it should be answered.
    pub(crate) fn charge(&mut self, sequence: u64, work: Duration, now: Instant) -> Instant {
        let due = self.due_if_sent(now, work);
        self.due.push_back(due);
        self.max_in_flight = self.max_in_flight.max(self.in_flight());
        self.requests += 1;
        self.last_assigned = Some(sequence);
        due
    }

    pub(crate) fn release(&mut self) {
        let released = self.due.pop_front();
        debug_assert!(released.is_some(), "released a slot that was not charged");
    }

    /// An answer came. What follows it takes as long, as far as is known now.
    pub(crate) fn learn(&mut self, sample: &Sample, now: Instant) {
        self.estimates.learn(sample);
        self.adapt();
        let Some(occupied) = self.occupied else { return };
        let mut earliest = now;
        for due in &mut self.due {
            earliest = earliest.checked_add(occupied).unwrap_or(earliest);
            *due = earliest.max(*due);
        }
    }

    /// A request that has its slot is not sent yet, for a reason of ours.
    pub(crate) const fn await_admission(&mut self) {
        self.unadmitted += 1;
    }

    /// It will never be sent.
    pub(crate) const fn never_admitted(&mut self) {
        self.unadmitted = self.unadmitted.saturating_sub(1);
    }

    /// The first of those that were not sent yet is sent now. What follows it takes as long, as far as is known.
    pub(crate) fn admitted(&mut self, work: Duration, now: Instant) {
        let way = self.estimates.rtt.unwrap_or_default();
        let ahead = self.due.len().saturating_sub(self.unadmitted);
        self.unadmitted = self.unadmitted.saturating_sub(1);
        let mut earliest = now.checked_add(way).unwrap_or(now);
        for due in self.due.iter_mut().skip(ahead) {
            earliest = earliest.checked_add(work).unwrap_or(earliest);
            *due = earliest.max(*due);
        }
    }

    /// The moment from which the oldest request takes more than twice its usual time: then the peer is not counted on.
    /// `None` also where it was sent none yet.
    pub(crate) fn overdue_from(&self) -> Option<Instant> {
        if self.unadmitted >= self.due.len() {
            return None;
        }
        let usual = self.estimates.rtt.unwrap_or_default().saturating_add(self.occupied.unwrap_or_default());
        self.due.front()?.checked_add(usual)
    }

    /// What can be expected of the peer from now on. `None` if nothing at all is known.
    pub(crate) fn forecast(
        &self,
        cost: Cost,
        newcomer: Option<&KindEstimate>,
        adaptive: bool,
        now: Instant,
    ) -> Option<Forecast> {
        if self.estimates.rtt.is_none() && self.estimates.kind(cost.kind).is_none() {
            return None;
        }
        let work = self.estimates.work(cost, newcomer);
        let depth = self.present_depth(adaptive).get();
        let until = |due: &Instant| due.saturating_duration_since(now);
        let rtt = self.estimates.rtt.unwrap_or_default();
        let free_after = self.in_flight().checked_sub(depth).and_then(|ahead| self.due.get(ahead)).map(until);
        let arrived_after = free_after.unwrap_or_default().saturating_add(rtt);
        let begun_after = self.due.back().map_or(arrived_after, |last| arrived_after.max(until(last)));
        let first_answer = begun_after.saturating_add(work);
        Some(Forecast::new(first_answer, work, rtt.saturating_add(work), depth as u64))
    }

    /// An answer came. Whether it is good may be known much later, and until then the peer does as well as others.
    pub(crate) const fn answered(&mut self) {
        self.unanswered = 0;
        if self.rejected == 0 {
            self.rests_until = None;
        }
    }

    pub(crate) const fn succeeded(&mut self) {
        self.unanswered = 0;
        self.rejected = 0;
        self.rests_until = None;
    }

    /// A request failed: lets the peer rest, unless so many failures in a row can be chance.
    pub(crate) fn failed(&mut self, rest: Duration, by_chance: u32, now: Instant) -> Duration {
        self.unanswered = self.unanswered.saturating_add(1);
        self.rest(rest, by_chance, now)
    }

    /// An answer was rejected: lets the peer rest.
    pub(crate) fn rejected(&mut self, rest: Duration, now: Instant) -> Duration {
        self.rejected = self.rejected.saturating_add(1);
        self.estimates.forget_answers();
        self.adapt();
        self.rest(rest, 0, now)
    }

    /// Twice as long after each failure in a row, not counting those that can be chance.
    fn rest(&mut self, rest: Duration, by_chance: u32, now: Instant) -> Duration {
        let failures = self.rejected.saturating_add(self.unanswered.saturating_sub(by_chance));
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let rest = rest.saturating_mul(1 << doublings.min(MAX_REST_DOUBLINGS));
        self.rests_until = now.checked_add(rest);
        rest
    }

    /// The peer, for a request that would take as long as `newcomer` says if this peer's own time is not known.
    pub(crate) fn candidate<'a, P>(
        &self,
        peer: &'a P,
        cost: Cost,
        newcomer: Option<&KindEstimate>,
        adaptive: bool,
        now: Instant,
    ) -> Candidate<'a, P> {
        let is_known = newcomer.is_some() || self.estimates.kind(cost.kind).is_some();
        let due =
            || self.due_if_sent(now, self.estimates.work(cost, newcomer)).saturating_duration_since(now);
        Candidate {
            peer,
            depth: self.present_depth(adaptive),
            in_flight: self.in_flight(),
            last_assigned: self.last_assigned,
            failures: self.failures(),
            expected: is_known.then(due),
        }
    }

    pub(crate) fn load<P: Clone>(&self, peer: &P, adaptive: bool) -> PeerLoad<P> {
        PeerLoad {
            peer: peer.clone(),
            depth: self.depth,
            adapted_depth: self.present_depth(adaptive),
            in_flight: self.in_flight(),
            max_in_flight: self.max_in_flight,
            requests: self.requests,
            failures: self.failures(),
            rests_until: self.rests_until,
        }
    }

    /// A peer that serves one request after the other begins with this one when it has arrived and those before it are
    /// done.
    fn due_if_sent(&self, sent: Instant, work: Duration) -> Instant {
        let arrived = sent.checked_add(self.estimates.rtt.unwrap_or_default()).unwrap_or(sent);
        let begun = self.due.back().map_or(arrived, |last| arrived.max(*last));
        begun.checked_add(work).unwrap_or(begun)
    }

    /// Requests that failed and answers that were rejected since the last good one.
    pub(crate) const fn failures(&self) -> u32 {
        self.unanswered.saturating_add(self.rejected)
    }

    const fn present_depth(&self, adaptive: bool) -> Depth {
        if adaptive { self.worthwhile } else { self.depth }
    }

    /// To be called when the depth, the round trip or the estimates have changed. The cap holds until there is a round
    /// trip and an answer to judge by.
    fn adapt(&mut self) {
        let typical = self.estimates.typical();
        self.occupied = typical.map(|(occupied, _)| occupied);
        self.worthwhile = match (self.estimates.rtt, typical) {
            (Some(rtt), Some((occupied, bytes))) => worthwhile(self.depth, rtt, occupied, bytes),
            _ => self.depth,
        };
    }
}

/// A peer that has failed this often rests 64 times as long as after its first failure.
const MAX_REST_DOUBLINGS: u32 = 6;
