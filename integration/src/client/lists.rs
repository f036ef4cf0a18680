use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use dashcore::{BlockHash, ChainParams};
use parking_lot::Mutex;
use spv_correlation::SingleFlight;
use spv_masternodes::ProvenState;

use super::error::LookupError;
use super::metrics;
use crate::config::{ClientSettings, ConfigError};
use crate::store::blocking;
use crate::store::{Store, StoreError};
use crate::verification::Verification;

/// Reads lists from the store. Each read proves the list anew, so whoever wants the same one at the same time shares the
/// read, and the ones asked for last are kept.
///
/// The key is the block, never its height: a list whose block has left the chain is not found any more, as nobody has
/// its hash from the store.
pub(super) struct Lists {
    store: Arc<Store>,
    params: ChainParams,
    flights: SingleFlight<BlockHash, Read>,
    recent: Mutex<Recent>,
}

/// `None`: the block left the chain before its list was read.
type Read = Result<Option<Arc<ProvenState>>, Arc<StoreError>>;

impl Lists {
    pub(super) fn new(
        settings: &ClientSettings,
        store: Arc<Store>,
        params: ChainParams,
    ) -> Result<Self, ConfigError> {
        settings.validate()?;
        let max_lookups = NonZeroUsize::new(settings.max_lookups).expect("zero was refused");
        let flights = SingleFlight::new(max_lookups);
        let recent = Mutex::new(Recent { capacity: settings.cached_lists, states: VecDeque::new() });
        Ok(Self { store, params, flights, recent })
    }

    /// The list of the block that the store has just named for this height; `None` when the block left the chain since.
    ///
    /// # Cancel safety
    /// Others who wait for the same list read it themselves.
    pub(super) async fn get(
        &self,
        place: Verification,
        height: u32,
        block_hash: BlockHash,
    ) -> Result<Option<Arc<ProvenState>>, LookupError> {
        let read = self.flights.run(block_hash, || self.read(place, height, block_hash)).await;
        let read = read.map_err(|error| LookupError::Busy { limit: error.limit })?;
        read.map_err(LookupError::Store)
    }

    async fn read(&self, place: Verification, height: u32, block_hash: BlockHash) -> Read {
        if let Some(state) = self.recent.lock().get(&block_hash) {
            metrics::list_looked_up("cached");
            return Ok(Some(state));
        }
        metrics::list_looked_up("read");
        let state =
            blocking(place, &self.store, &self.params, move |store, params| store.state(params, height));
        let state = state.await.map_err(Arc::new)?.filter(|state| state.block_hash() == block_hash);
        if let Some(state) = &state {
            self.recent.lock().keep(state.clone());
        }
        Ok(state)
    }
}

/// The lists asked for last, the very last one at the back.
struct Recent {
    capacity: usize,
    states: VecDeque<Arc<ProvenState>>,
}

impl Recent {
    fn get(&mut self, block_hash: &BlockHash) -> Option<Arc<ProvenState>> {
        let position = self.states.iter().position(|state| state.block_hash() == *block_hash)?;
        let state = self.states.remove(position)?;
        self.states.push_back(state.clone());
        Some(state)
    }

    fn keep(&mut self, state: Arc<ProvenState>) {
        self.states.push_back(state);
        while self.states.len() > self.capacity {
            self.states.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use dashcore::Network;
    use futures::FutureExt;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::super::tests::{WORLD, filled};
    use super::*;

    fn state(byte: u8) -> Arc<ProvenState> {
        Arc::new(ProvenState::genesis(BlockHash::from_byte_array([byte; 32])))
    }

    #[test]
    fn the_lists_asked_for_last_are_kept() {
        let mut recent = Recent { capacity: 2, states: VecDeque::new() };
        let [one, two, three] = [1, 2, 3].map(state);
        recent.keep(one.clone());
        recent.keep(two.clone());
        assert_eq!(recent.get(&one.block_hash()), Some(one.clone()));
        recent.keep(three.clone());
        assert_eq!(recent.get(&two.block_hash()), None);
        assert_eq!(recent.states, [one, three]);
    }

    #[test]
    fn a_capacity_of_none_keeps_none() {
        let mut recent = Recent { capacity: 0, states: VecDeque::new() };
        recent.keep(state(1));
        assert!(recent.states.is_empty());
    }

    #[test]
    fn a_bound_of_no_lookups_is_refused() {
        let settings = ClientSettings { max_lookups: 0, ..ClientSettings::default() };
        let store = Arc::new(Store::in_memory(&Network::Regtest).unwrap());
        let lists = Lists::new(&settings, store, ChainParams::new(Network::Regtest));
        assert_eq!(lists.err().and_then(|error| error.key()).as_deref(), Some("client.max_lookups"));
    }

    /// Whoever polls once and is not done.
    fn started<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
        let mut future = Box::pin(future);
        assert!(future.as_mut().now_or_never().is_none());
        future
    }

    #[tokio::test]
    async fn lookups_of_one_list_at_one_time_share_one_reading() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = ::metrics::set_default_local_recorder(&recorder);
        let client = filled();
        let (lists, block_hash) = (&client.shared.lists, WORLD.block_hash(200).unwrap());
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        let reading = started(lists.flights.run(block_hash, async || {
            gate.await.unwrap();
            lists.read(Verification::Threads, 200, block_hash).await
        }));
        let waiting: Vec<_> =
            (0..19).map(|_| started(lists.get(Verification::Threads, 200, block_hash))).collect();
        go.send(()).unwrap();
        let first = reading.await.unwrap().unwrap().unwrap();
        for state in futures::future::join_all(waiting).await {
            assert!(Arc::ptr_eq(&state.unwrap().unwrap(), &first));
        }
        // The next one needs no reading.
        assert!(Arc::ptr_eq(
            &lists.get(Verification::Threads, 200, block_hash).await.unwrap().unwrap(),
            &first
        ));
        let mut counted: Vec<(String, u64)> = Vec::new();
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            if let DebugValue::Counter(count) = value {
                counted.push((key.key().labels().map(|label| label.value().to_owned()).collect(), count));
            }
        }
        counted.sort();
        let expected = [("cached", 1), ("led", 2), ("read", 1), ("shared", 19)];
        assert_eq!(counted, expected.map(|(role, count)| (role.to_owned(), count)));
    }

    #[tokio::test]
    async fn lookups_beyond_the_bound_are_refused() {
        let settings = ClientSettings { max_lookups: 1, ..ClientSettings::default() };
        let store = Arc::new(Store::in_memory(&Network::Regtest).unwrap());
        let lists = Lists::new(&settings, store, ChainParams::new(Network::Regtest)).unwrap();
        let block_hash = BlockHash::all_zeros();
        let _reading = started(lists.flights.run(block_hash, std::future::pending));
        let refused = lists.get(Verification::Threads, 200, block_hash).await.unwrap_err();
        assert!(matches!(refused, LookupError::Busy { limit: 1 }), "{refused}");
    }
}
