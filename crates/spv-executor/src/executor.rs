mod batch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{Stream, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::contained::contained;
use crate::eligibility::Eligibility;
use crate::shared::{Shared, Submitter, now};
use crate::{
    Config, ConfigError, Depth, ExecuteResult, LeastLoaded, PeerLoad, PeerSelector, Progress, Transport,
};

/// Sends many requests to many peers, within a limit for all peers and a limit per peer.
///
/// A cheap handle: clones share everything. When the last one is dropped, all work stops; [`close`](Self::close)
/// stops it too and waits until it has.
///
/// A request takes one slot of the global cap and one of its peer from the moment it is sent until its transport
/// future ends. Neither a soft timeout nor a caller that loses interest frees the slot, because neither frees the
/// peer: it is still busy with the request. The hard timeout does free it.
pub struct Executor<T: Transport> {
    shared: Arc<Shared<T>>,
    /// Tasks hold `shared` but not this, so the last handle ends them.
    stop: Arc<DropGuard>,
}

impl<T: Transport> Executor<T> {
    /// Creates an executor without peers that selects peers with [`LeastLoaded`].
    ///
    /// # Errors
    ///
    /// If the configuration is out of range.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. The work is spawned on the runtime this was called in.
    pub fn new(transport: T, config: Config) -> Result<Self, ConfigError> {
        Self::with_selector(transport, LeastLoaded, config)
    }

    /// Creates an executor without peers that selects peers with `selector`.
    ///
    /// # Errors
    ///
    /// If the configuration is out of range.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. The work is spawned on the runtime this was called in.
    pub fn with_selector(
        transport: T,
        selector: impl PeerSelector<T::Peer>,
        config: Config,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let shared = Shared::new(transport, selector, config);
        let stop = Arc::new(shared.stop.clone().drop_guard());
        Ok(Self { shared, stop })
    }

    /// Adds `peer`, with up to `depth` requests at a time. A peer that is already connected gets the new depth. If a
    /// removed peer still has requests in flight, these count when it is added again.
    pub fn add_peer(&self, peer: T::Peer, depth: Depth) {
        // Before the lock: the transport's code has no place in it.
        let group = contained("the transport", 0, || self.shared.transport.group(&peer));
        self.shared.update(|state, _| state.plan.add_peer(peer, depth, group));
    }

    /// Removes `peer`, so that nothing more is sent to it. Its requests in flight continue; waiting requests that may
    /// go to no other peer end with [`NoEligiblePeer`](crate::ExecuteError::NoEligiblePeer).
    pub fn remove_peer(&self, peer: &T::Peer) {
        self.shared.remove_peer(peer);
    }

    /// Changes the depth of `peer`, and returns whether it is connected. Lowering it ends no request: the peer gets its
    /// next request when it is below the new depth.
    pub fn set_depth(&self, peer: &T::Peer, depth: Depth) -> bool {
        self.shared.update(|state, _| state.plan.set_depth(peer, depth))
    }

    /// Sets the round trip to `peer`, and returns whether it is connected. It should be smoothed and measured by pings
    /// while the peer was idle. It separates service time from travel time, for the adaptive depth and for expected
    /// completions.
    pub fn set_rtt(&self, peer: &T::Peer, rtt: Duration) -> bool {
        self.shared.update(|state, _| state.plan.set_rtt(peer, rtt))
    }

    /// Returns the connected peers and their load, ordered by peer.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerLoad<T::Peer>> {
        self.shared.read(|state| state.plan.loads())
    }

    /// Returns how many more requests for any peer could start right now by the free slots, beside those that already
    /// wait. Peers that rest after failures do not count while there are others. The byte budget is not considered
    /// either: otherwise a caller might hold back a request because others use up the budget, and those others might
    /// wait for that request for ever.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.read(|state| state.plan.capacity(now()))
    }

    /// Like [`capacity`](Self::capacity), for requests that may go only to the peers for which `eligible` is true.
    /// Peers that rest do not count while one of the others is eligible, and of the waiting requests only those count
    /// that may go to one of these peers.
    ///
    /// `eligible` is called under the executor's lock: it must be quick and must not call the executor.
    #[must_use]
    pub fn capacity_where(&self, eligible: impl Fn(&T::Peer) -> bool) -> usize {
        self.shared.read(|state| state.plan.capacity_where(eligible, now()))
    }

    /// Sets the number of requests that the caller will submit later; it replaces the number set before, which is 0 at
    /// first. Together with the number of waiting requests it decides whether a slow peer is used: not for the last few
    /// requests.
    pub fn announce(&self, requests: usize) {
        if self.shared.read(|state| state.plan.announced() != requests) {
            self.shared.update(|state, _| state.plan.announce(requests));
        }
    }

    /// Sends `request` to any peer, as soon as one has a slot, and waits for the answer.
    ///
    /// Requests start in the order they came; one whose peers are all busy does not hold up those behind it.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`](crate::ExecuteError) says what each means. At once, if no connected peer may take the request
    /// or if it would have to wait and the queue is full.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes back a request that still waits. One that was sent runs on to its end and keeps its
    /// slot until then; its answer is thrown away.
    pub async fn execute(&self, request: T::Request) -> ExecuteResult<T> {
        self.submit(request, Eligibility::Anybody, None).await
    }

    /// Like [`execute`](Self::execute), but only on this peer, even if it rests after failures.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute): [`NoEligiblePeer`](crate::ExecuteError::NoEligiblePeer) if the peer is not connected,
    /// or is removed while the request waits for it.
    ///
    /// # Cancel safety
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_on(&self, peer: &T::Peer, request: T::Request) -> ExecuteResult<T> {
        self.submit(request, Eligibility::Only(peer.clone()), None).await
    }

    /// Like [`execute`](Self::execute), but only on a peer for which `eligible` is true.
    ///
    /// That is asked anew whenever a peer is chosen for the request, so it may tell what the caller knows by then. If the
    /// answer changes while the request waits, call [`recheck`](Self::recheck): the executor cannot know, and else looks
    /// again only when something it knows of changes.
    ///
    /// `eligible` is called under the executor's lock: it must be quick and must not call the executor, nor wait for a lock
    /// under which somebody does. If it panics, the peer is not eligible.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute): [`NoEligiblePeer`](crate::ExecuteError::NoEligiblePeer) if no connected peer is
    /// eligible when the request comes, or while it waits, after a peer was [removed](Self::remove_peer) or on a
    /// [`recheck`](Self::recheck).
    ///
    /// # Cancel safety
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_where(
        &self,
        request: T::Request,
        eligible: impl Fn(&T::Peer) -> bool + Send + Sync + 'static,
    ) -> ExecuteResult<T> {
        self.submit(request, Eligibility::new(eligible), None).await
    }

    /// Like [`execute_where`](Self::execute_where), for one of many requests whose answers are used in order, the
    /// lowest `order` first.
    ///
    /// Of all such requests that somebody waits for, the lowest holds up the others. So it never waits for bytes, and
    /// if it takes longer than nineteen of twenty like it, a copy goes to a second peer that is eligible and free, if
    /// possible of another [`group`](Transport::group). The first answer counts; the slower peer's slot stays taken until
    /// it has answered too. At most one copy is made, and only if the transport can
    /// [`duplicate`](Transport::duplicate) the request and [`Config::hedge_budget`] allows it.
    ///
    /// # Errors
    ///
    /// As [`execute_where`](Self::execute_where). A soft timeout is that of the copy, if there is one.
    ///
    /// # Cancel safety
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_in_order(
        &self,
        request: T::Request,
        eligible: impl Fn(&T::Peer) -> bool + Send + Sync + 'static,
        order: u64,
    ) -> ExecuteResult<T> {
        self.submit(request, Eligibility::new(eligible), Some(order)).await
    }

    async fn submit(
        &self,
        request: T::Request,
        eligible: Eligibility<T::Peer>,
        order: Option<u64>,
    ) -> ExecuteResult<T> {
        self.shared.submit(request, eligible, order, Submitter::Caller)?.outcome().await
    }

    /// Evaluates the predicates of waiting requests again; call it when their results may have changed. Sends the
    /// requests that can be sent now, and ends those for which no connected peer is eligible any more with
    /// [`NoEligiblePeer`](crate::ExecuteError::NoEligiblePeer), because nothing that the executor observes could ever
    /// start them.
    ///
    /// So to keep a request waiting for a peer that is not eligible for a while, do not submit it yet.
    pub fn recheck(&self) {
        self.shared.recheck();
    }

    /// Runs all requests, on any peer, and returns their results in the order of the requests.
    ///
    /// Not refused when the queue is full, see [`Config::max_waiting`]. Results give their bytes back as they come,
    /// since all of them are held until the last one has ended. The verdict on each answer is still the caller's to give,
    /// by its [`Permit`](crate::Permit).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does to each request what dropping [`execute`](Self::execute) does; results that were not
    /// returned are lost. Use [`stream`](Self::stream) to keep them.
    pub async fn run(&self, requests: Vec<T::Request>) -> Vec<ExecuteResult<T>> {
        let without_bytes = |(index, mut result): (usize, ExecuteResult<T>)| {
            result.iter_mut().for_each(|completed| completed.permit.give_back());
            (index, result)
        };
        let mut results: Vec<_> = self.stream(requests).map(without_bytes).collect().await;
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Runs all requests, on any peer, and yields each result as soon as its request ends, with the index of the
    /// request.
    ///
    /// Nothing starts before the stream is polled, and at most `max_in_flight` results are under way or unread, so a
    /// reader that stops reading stops the work; so does one that keeps the [`Permit`](crate::Permit)s. Not refused when
    /// the queue is full, see [`Config::max_waiting`].
    /// Dropping the stream does to each request what dropping [`execute`](Self::execute) does. The stream keeps the
    /// executor alive.
    pub fn stream(
        &self,
        requests: Vec<T::Request>,
    ) -> impl Stream<Item = (usize, ExecuteResult<T>)> + Send + use<T> {
        batch::stream(self.clone(), requests)
    }

    /// Returns a receiver for the current progress and for every later one.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Closes the executor: ends all requests with [`Closed`](crate::ExecuteError::Closed), rejects new ones, and waits
    /// until every task has ended.
    ///
    /// # Cancel safety
    ///
    /// The executor is closed from the first poll on; dropping the future only gives up the wait. May be called again.
    pub async fn close(&self) {
        self.shared.close();
        self.shared.tasks.wait().await;
    }
}

impl<T: Transport> Clone for Executor<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), stop: Arc::clone(&self.stop) }
    }
}

impl<T: Transport> fmt::Debug for Executor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("progress", &*self.shared.progress.borrow()).finish_non_exhaustive()
    }
}
