use std::{collections::BTreeMap, fmt, future::Future, num::NonZeroUsize, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    flight_table::{CallerId, FlightTable, Role, TooManyCallers},
    metrics,
};

/// Runs equal work once: simultaneous callers with one key share one run, and each gets a clone of its result.
///
/// A cheap handle; clones share the flights. A result is forgotten once it was handed out: this is no cache.
///
/// The first caller of a key runs its own work in its own task, so nothing is spawned. A failed result is a result and
/// goes to all of them; otherwise each would repeat what just failed. A leader that is cancelled or panics
/// has no result: the longest-waiting caller then runs *its* work.
///
/// ```
/// use std::num::NonZeroUsize;
/// use spv_correlation::SingleFlight;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let flights = SingleFlight::new(NonZeroUsize::new(100).expect("not zero"));
/// let fetch = || flights.run("block 7", async || { tokio::task::yield_now().await; 7 });
/// assert_eq!(tokio::join!(fetch(), fetch()), (Ok(7), Ok(7)));
/// # }
/// ```
pub struct SingleFlight<K, V> {
    shared: Arc<Mutex<Shared<K, V>>>,
}

impl<K: Ord + Clone, V: Clone> SingleFlight<K, V> {
    /// Creates a single flight for at most `max_callers` at a time, leaders and waiters of all keys together.
    #[must_use]
    pub fn new(max_callers: NonZeroUsize) -> Self {
        let shared = Shared { table: FlightTable::new(max_callers), waiting: BTreeMap::new() };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Runs `work`, or waits for another caller's run of work with the same key. Large results belong in an `Arc`.
    ///
    /// Work must not wait for its own key, which would be to wait for itself.
    ///
    /// # Errors
    ///
    /// When too many callers lead or wait already. `work` was not called then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up this caller only: if it was running the work, that work is dropped and another
    /// caller's starts from the beginning.
    pub async fn run<F: Future<Output = V>>(
        &self,
        key: K,
        work: impl FnOnce() -> F,
    ) -> Result<V, TooManyCallers> {
        let mut seat = self.join(key)?;
        if let Some(turn) = seat.turn.take() {
            match turn.await {
                Ok(Turn::Landed(value)) => {
                    metrics::record_flight("shared");
                    return Ok(value);
                }
                // A sender is dropped unused only when cloning the result for this caller panicked.
                Ok(Turn::Lead) | Err(_) => metrics::record_flight("handed_over"),
            }
        } else {
            metrics::record_flight("led");
        }
        let value = work().await;
        seat.land(&value);
        Ok(value)
    }

    /// Returns the number of callers that lead or wait at the moment.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.shared.lock().table.callers()
    }

    fn join(&self, key: K) -> Result<Seat<K, V>, TooManyCallers> {
        let mut shared = self.shared.lock();
        let role = shared.table.join(key)?;
        let (id, turn) = match role {
            Role::Leads(id) => (id, None),
            Role::Waits(id) => {
                let (sender, receiver) = oneshot::channel();
                shared.waiting.insert(id, sender);
                (id, Some(receiver))
            }
        };
        Ok(Seat { id, turn, shared: Arc::clone(&self.shared) })
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Ord + Clone, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared.lock();
        f.debug_struct("SingleFlight")
            .field("flights", &shared.table.flights())
            .field("callers", &shared.table.callers())
            .finish_non_exhaustive()
    }
}

struct Shared<K, V> {
    table: FlightTable<K>,
    /// One sender per caller that waits.
    waiting: BTreeMap<CallerId, oneshot::Sender<Turn<V>>>,
}

enum Turn<V> {
    Lead,
    Landed(V),
}

/// A caller's place in the table, given up on every way out of [`SingleFlight::run`]. Wakers and values are let go
/// outside the lock, because both may run code of the caller.
struct Seat<K: Ord + Clone, V> {
    id: CallerId,
    /// For a caller that has to wait.
    turn: Option<oneshot::Receiver<Turn<V>>>,
    shared: Arc<Mutex<Shared<K, V>>>,
}

impl<K: Ord + Clone, V: Clone> Seat<K, V> {
    fn land(self, value: &V) {
        let waiting: Vec<_> = {
            let mut shared = self.shared.lock();
            let told = shared.table.land(self.id);
            told.into_iter().filter_map(|id| shared.waiting.remove(&id)).collect()
        };
        for sender in waiting {
            // Fails only for a caller that is being dropped.
            sender.send(Turn::Landed(value.clone())).ok();
        }
    }
}

impl<K: Ord + Clone, V> Drop for Seat<K, V> {
    fn drop(&mut self) {
        let (own, next) = {
            let mut shared = self.shared.lock();
            let own = shared.waiting.remove(&self.id);
            (own, shared.table.leave(self.id).and_then(|id| shared.waiting.remove(&id)))
        };
        drop(own);
        if let Some(sender) = next {
            // Fails only for a caller that is being dropped, which hands over in turn.
            sender.send(Turn::Lead).ok();
        }
    }
}

#[cfg(test)]
mod tests;
