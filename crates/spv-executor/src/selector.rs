mod contained;
mod expected_completion;
mod least_loaded;
mod lowest_latency;
mod round_robin;

pub use expected_completion::ExpectedCompletion;
pub use least_loaded::LeastLoaded;
pub use lowest_latency::LowestLatency;
pub use round_robin::RoundRobin;

pub(crate) use contained::Contained;

use std::time::{Duration, Instant};

use crate::{Depth, Sample};

/// Chooses the peer for the next request.
///
/// The executor asks whenever a request may start, and offers exactly the peers that may take it: connected, with a
/// free slot, eligible for the request, not at rest after failures. The caps hold whatever the selector says; it
/// only decides who comes first. A selector that learns is told what becomes of its choices.
///
/// # Writing one's own
///
/// ```
/// use std::{collections::BTreeMap, time::Instant};
/// use spv_executor::{Candidate, Depth, PeerSelector, Sample};
///
/// /// Whoever answered most; at first, the front of the alphabet.
/// #[derive(Default)]
/// struct Proven(BTreeMap<&'static str, u64>);
///
/// impl PeerSelector<&'static str> for Proven {
///     fn select<'c>(
///         &mut self,
///         candidates: &'c [Candidate<'c, &'static str>],
///     ) -> &'c Candidate<'c, &'static str> {
///         let answers = |peer| std::cmp::Reverse(self.0.get(peer));
///         candidates.iter().min_by_key(|candidate| answers(candidate.peer)).expect("never empty")
///     }
///
///     fn on_completed(&mut self, peer: &&'static str, _answer: &Sample, _now: Instant) {
///         *self.0.entry(peer).or_default() += 1;
///     }
///
///     fn on_removed(&mut self, peer: &&'static str) {
///         self.0.remove(peer);
///     }
/// }
///
/// let candidates = [Candidate::new(&"a", Depth::TWO), Candidate::new(&"b", Depth::TWO)];
/// assert_eq!(*Proven::default().select(&candidates).peer, "a");
/// ```
///
/// - Be deterministic: equal calls in equal order give equal choices, so that a run can be replayed. A selector that
///   wants chance takes a seed when it is made and draws from nothing else.
/// - Be quick, do not block and do not call the executor: the calls are made under its lock. A choice that panics is
///   made by the executor instead.
#[expect(unused_variables, reason = "the names are the documentation of hooks that do nothing by default")]
pub trait PeerSelector<P>: Send + 'static {
    /// Chooses one of `candidates`, which is never empty and sorted by peer.
    ///
    /// A choice that was not offered is overruled: the first candidate is taken instead.
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P>;

    /// A request was sent to `peer`.
    fn on_sent(&mut self, peer: &P, now: Instant) {}

    /// An answer of `peer` was [accepted](crate::Permit::accept). Only accepted answers are reported, so that quick
    /// answers that are wrong or were never checked do not improve the record of a peer.
    fn on_completed(&mut self, peer: &P, answer: &Sample, now: Instant) {}

    /// A request to `peer` failed, by the hard timeout or an error that [blames](crate::Transport::blames_peer) it, or
    /// its answer was rejected.
    fn on_failed(&mut self, peer: &P, now: Instant) {}

    /// `peer` was removed. Nothing more is reported about it unless it is added again.
    fn on_removed(&mut self, peer: &P) {}
}

/// A peer that may take the next request.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate<'a, P> {
    /// The peer.
    pub peer: &'a P,
    /// Number of requests that the peer may have at present.
    pub depth: Depth,
    /// Number of requests in flight at the peer, below `depth`.
    pub in_flight: usize,
    /// Sequence number of its latest request among all requests that were started, or `None` if it has had none.
    /// Greater is more recent.
    pub last_assigned: Option<u64>,
    /// Failures and rejected answers since its last good answer.
    pub failures: u32,
    /// Estimated time from now until the peer would answer this request: its round trip, its earlier requests, and this
    /// one. From its answers to this kind of request, which are forgotten when one is rejected; for a peer without any,
    /// from those of the others, as much longer as it is farther away; `None` if there are none at all.
    pub expected: Option<Duration>,
}

impl<'a, P> Candidate<'a, P> {
    /// Creates an idle candidate that has had no request yet, for tests of a selector.
    #[must_use]
    pub const fn new(peer: &'a P, depth: Depth) -> Self {
        Self { peer, depth, in_flight: 0, last_assigned: None, failures: 0, expected: None }
    }
}

// By hand: the derives would ask for `P: Copy`, and only a reference to it is copied.
impl<P> Clone for Candidate<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Candidate<'_, P> {}

/// How much worse than measured a peer is taken to be after so many failures in a row.
pub(crate) fn penalty(failures: u32) -> f64 {
    f64::from(1_u32 << failures.min(MAX_PENALTY_DOUBLINGS))
}

const MAX_PENALTY_DOUBLINGS: u32 = 6;
