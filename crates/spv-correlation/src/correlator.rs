use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    answer::{Answer, Delivery},
    config::{Config, ConfigError},
    error::{CorrelationError, RegisterError},
    expectation::Expectation,
    metrics::{self, PendingRequest},
    pending::PendingTable,
    registration::RequestId,
    ticket::{Outcome, Ticket, Waiters},
    verdict::{FenceVerdict, Verdict},
};

/// Delivers each response of one connection to the task that requested it.
///
/// A cheap handle: the task that writes requests and the task that reads the connection each hold a
/// clone. Behind it is a [`PendingTable`] under a mutex that is never held across an await.
///
/// Requests must be written in the order in which they were registered, each followed by its fence, unless
/// [`Config::fences`] is off. Where several tasks send, let the one that owns the socket register.
pub struct Correlator<E: Expectation> {
    shared: Arc<Shared<E>>,
}

impl<E> Correlator<E>
where
    E: Expectation + Send + 'static,
    E::Response: Send + 'static,
{
    /// Creates the correlator of one connection. The seed determines the fence nonces and should differ per connection.
    ///
    /// # Errors
    ///
    /// When a field of the configuration is out of range.
    pub fn new(config: &Config, seed: u64) -> Result<Self, ConfigError> {
        let state = State { table: PendingTable::new(config, seed)?, waiting: BTreeMap::new(), held: None };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state) }) })
    }

    /// Registers a request, and returns the ticket that resolves to its answer and the nonce of the ping to write
    /// directly behind the request. Register first, then write.
    ///
    /// # Errors
    ///
    /// See [`PendingTable::register`]. Nothing may be sent then.
    pub fn register(&self, expectation: E) -> Result<(Ticket<E::Response>, u64), RegisterError> {
        let now = now();
        let mut state = self.shared.state.lock();
        let registration = state.table.register(expectation, now)?;
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter { sender, registered_at: now, _pending: PendingRequest::new() };
        state.waiting.insert(registration.id, waiter);
        let shared: Weak<Shared<E>> = Arc::downgrade(&self.shared);
        Ok((Ticket::new(registration.id, receiver, shared), registration.fence))
    }

    /// Delivers a response to its ticket, or returns it with the reason why it was not delivered.
    pub fn on_response(&self, response: E::Response) -> Delivery<E::Response> {
        let now = now();
        // Decoding may take long, and whoever asks meanwhile is not to wait for it.
        let content = E::content(&response);
        let mut state = self.shared.state.lock();
        let verdict = state.observe_order(|table| table.on_response(&content, now));
        state.drop_unless_held();
        metrics::record_verdict(&verdict, E::may_come_unasked(&content));
        match verdict {
            Verdict::Matched(id) => return state.deliver(id, response, now),
            Verdict::Held => {
                state.held = Some((response, now));
                return Delivery::Held;
            }
            Verdict::Mismatched(id) => state.fail(id, CorrelationError::Mismatched),
            Verdict::Ambiguous(ref ids) => {
                for &id in ids {
                    state.fail(id, CorrelationError::Ambiguous);
                }
            }
            Verdict::Late(_) | Verdict::Duplicate | Verdict::Unsolicited => {}
        }
        Delivery::Undelivered { response, verdict }
    }

    /// Tells whether a request that satisfies `such` is outstanding or remembered; see [`PendingTable::remembers`].
    #[must_use]
    pub fn remembers(&self, such: impl Fn(&E) -> bool) -> bool {
        self.shared.state.lock().table.remembers(such)
    }

    /// Returns the nonce of another ping to write at once, behind all requests; see [`PendingTable::probe`].
    #[must_use]
    pub fn probe(&self) -> Option<u64> {
        self.shared.state.lock().table.probe()
    }

    /// Returns when the oldest request without an answer and without a fence was registered.
    #[must_use]
    pub fn waiting_since(&self) -> Option<tokio::time::Instant> {
        self.shared.state.lock().table.waiting_since().map(tokio::time::Instant::from_std)
    }

    /// Reports a pong. Requests that it shows to be refused or lost end.
    pub fn on_fence(&self, nonce: u64) -> FenceVerdict {
        let now = now();
        let mut state = self.shared.state.lock();
        for id in state.table.lost_before(nonce) {
            // Who refuses still answers pings, so this was no refusal.
            state.fail_after(id, now, |after| CorrelationError::Lost { after });
        }
        let verdict = state.observe_order(|table| table.on_fence(nonce, now));
        match verdict {
            FenceVerdict::Answered { elapsed, .. } => metrics::record_fence(elapsed),
            FenceVerdict::Matched { id, elapsed } => {
                metrics::record_fence(elapsed);
                if let Some((response, came_at)) = state.held.take() {
                    // Comes back only where nobody waits any more.
                    let _ = state.deliver(id, response, came_at);
                }
            }
            FenceVerdict::Refused(id) => {
                state.fail_after(id, now, |after| CorrelationError::Refused { after })
            }
            FenceVerdict::Inconclusive(_) | FenceVerdict::Unknown => {}
        }
        state.drop_unless_held();
        verdict
    }

    /// Ends requests that have waited longer than [`Config::expire_after`], and returns the number of their tickets.
    /// Call it at [`next_expiry`](Self::next_expiry) or at regular intervals.
    pub fn expire(&self) -> usize {
        let now = now();
        let mut state = self.shared.state.lock();
        let expired = state.observe_order(|table| table.expire(now));
        for &id in &expired {
            state.fail_after(id, now, |after| CorrelationError::Expired { after });
        }
        expired.len()
    }

    /// Returns when [`expire`](Self::expire) has to be called next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<tokio::time::Instant> {
        self.shared.state.lock().table.next_expiry().map(tokio::time::Instant::from_std)
    }

    /// Closes the connection: ends every request as [`Disconnected`](CorrelationError::Disconnected) and rejects
    /// further ones. Dropping the last handle does the same.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        for id in state.table.close() {
            state.fail(id, CorrelationError::Disconnected);
        }
        state.held = None;
    }

    /// Returns the number of requests that the peer may still be working on, including abandoned ones.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.state.lock().table.in_flight()
    }

    /// Tells whether this peer has kept the order of answers and fences so far.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.shared.state.lock().table.is_fenced()
    }
}

impl<E: Expectation> Clone for Correlator<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E: Expectation> fmt::Debug for Correlator<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("Correlator")
            .field("waiting", &state.waiting.len())
            .field("fenced", &state.table.is_fenced())
            .finish_non_exhaustive()
    }
}

struct Shared<E: Expectation> {
    state: Mutex<State<E>>,
}

struct State<E: Expectation> {
    table: PendingTable<E>,
    /// One sender per request that the table reports as waited for.
    waiting: BTreeMap<RequestId, Waiter<E::Response>>,
    /// The response whose request the next fence will tell, and when it came.
    held: Option<(E::Response, Instant)>,
}

struct Waiter<R> {
    sender: oneshot::Sender<Outcome<R>>,
    registered_at: Instant,
    _pending: PendingRequest,
}

impl<E: Expectation> State<E> {
    fn deliver(&mut self, id: RequestId, response: E::Response, now: Instant) -> Delivery<E::Response> {
        let Some(waiter) = self.waiting.remove(&id) else {
            return Delivery::Undelivered { response, verdict: Verdict::Late(id) };
        };
        let elapsed = now.saturating_duration_since(waiter.registered_at);
        match waiter.sender.send(Ok(Answer { response, elapsed })) {
            Ok(()) => {
                metrics::record_outcome("answered");
                Delivery::Delivered(id)
            }
            // The ticket is being dropped at this moment and has not abandoned its request yet.
            Err(Ok(Answer { response, .. })) => {
                metrics::record_outcome("abandoned");
                Delivery::Undelivered { response, verdict: Verdict::Late(id) }
            }
            Err(Err(_)) => unreachable!("send returns what was sent"),
        }
    }

    fn fail(&mut self, id: RequestId, error: CorrelationError) {
        if let Some(waiter) = self.waiting.remove(&id) {
            metrics::record_outcome(error.kind());
            // Fails only when the ticket is being dropped, which ends the request as well.
            waiter.sender.send(Err(error)).ok();
        }
    }

    fn fail_after(&mut self, id: RequestId, now: Instant, error: impl FnOnce(Duration) -> CorrelationError) {
        if let Some(waiter) = self.waiting.get(&id) {
            let after = now.saturating_duration_since(waiter.registered_at);
            self.fail(id, error(after));
        }
    }

    fn drop_unless_held(&mut self) {
        if !self.table.is_holding() {
            self.held = None;
        }
    }

    fn observe_order<T>(&mut self, step: impl FnOnce(&mut PendingTable<E>) -> T) -> T {
        let was_fenced = self.table.is_fenced();
        let result = step(&mut self.table);
        if was_fenced && !self.table.is_fenced() {
            metrics::record_unfenced();
        }
        result
    }
}

impl<E> Waiters for Shared<E>
where
    E: Expectation + Send,
    E::Response: Send,
{
    fn abandon(&self, id: RequestId) {
        let mut state = self.state.lock();
        state.table.abandon(id);
        if state.waiting.remove(&id).is_some() {
            metrics::record_outcome("abandoned");
        }
    }

    fn withdraw(&self, id: RequestId) {
        let mut state = self.state.lock();
        state.table.withdraw(id);
        state.waiting.remove(&id);
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
