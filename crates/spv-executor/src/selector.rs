mod least_loaded;
mod round_robin;

pub use least_loaded::LeastLoaded;
pub use round_robin::RoundRobin;

use crate::Depth;

/// Chooses the peer for the next request.
///
/// The executor asks whenever a request may start, and offers exactly the peers that may take it: connected, with a
/// free slot, not excluded by the request. The caps hold whatever the selector says; it only decides who comes first.
///
/// # Writing one's own
///
/// ```
/// use spv_executor::{Candidate, Depth, PeerSelector};
///
/// /// Keeps to the peers at the front of the alphabet for as long as they have room.
/// struct Alphabetical;
///
/// impl PeerSelector<&'static str> for Alphabetical {
///     fn select<'c>(
///         &mut self,
///         candidates: &'c [Candidate<'c, &'static str>],
///     ) -> &'c Candidate<'c, &'static str> {
///         &candidates[0] // never empty, and in the order of the peers
///     }
/// }
///
/// let candidates = [Candidate::new(&"a", Depth::TWO), Candidate::new(&"b", Depth::TWO)];
/// assert_eq!(*Alphabetical.select(&candidates).peer, "a");
/// ```
///
/// - Be deterministic: equal calls in equal order give equal choices, so that a run can be replayed. A selector that
///   wants chance takes a seeded generator when it is made and draws from nothing else.
/// - Be quick, do not block, do not panic and do not call the executor: the call is made under its lock.
pub trait PeerSelector<P>: Send + 'static {
    /// Chooses one of `candidates`, which is never empty and sorted by peer.
    ///
    /// A choice that was not offered is overruled: the first candidate is taken instead.
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P>;
}

/// A peer that may take the next request.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate<'a, P> {
    /// The peer.
    pub peer: &'a P,
    /// Its cap.
    pub depth: Depth,
    /// Requests it has now; below `depth`.
    pub in_flight: usize,
    /// The place of its latest request in the sequence of all that were started, `None` if it has had none.
    /// Greater is more recent.
    pub last_assigned: Option<u64>,
}

impl<'a, P> Candidate<'a, P> {
    /// An idle peer that has had no request yet, for tests of a selector.
    #[must_use]
    pub const fn new(peer: &'a P, depth: Depth) -> Self {
        Self { peer, depth, in_flight: 0, last_assigned: None }
    }
}

// By hand: the derives would ask for `P: Copy`, and only a reference to it is copied.
impl<P> Clone for Candidate<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Candidate<'_, P> {}
