use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::ephemerealdata::instant_lock::InstantLock;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::metrics;

/// Locks of one node that may wait to be judged, ...
const MAX_LOCKS: usize = 256;

/// ... and their inputs, which make up nearly all of their size.
const MAX_INPUTS: usize = 16_384;

/// Names of judged locks that are remembered, so that a lock is neither asked for nor told of again.
const MAX_JUDGED: usize = 4_096;

/// A lock that could not be judged for so long never will be: its quorum would have been proven with one of the next blocks.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The SHA-256d of an `isdlock`, by which it is announced.
pub(crate) type LockName = [u8; 32];

/// InstantSend locks that nodes have sent, until they are judged. It is bounded, and each node has a place of its own, so
/// that none can keep out the locks of another.
#[derive(Debug, Clone, Default)]
pub(crate) struct LockInbox {
    inner: Arc<Mutex<Inner>>,
    came: Arc<Notify>,
}

/// A lock to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeardLock {
    /// Its name.
    pub(crate) name: LockName,
    /// The lock.
    pub(crate) lock: InstantLock,
}

#[derive(Debug, Default)]
struct Inner {
    /// Of the nodes that are connected, and whose locks are looked at.
    places: BTreeMap<SocketAddr, Place>,
    judged: BTreeSet<LockName>,
    /// The same, oldest first.
    judged_in_order: VecDeque<LockName>,
    /// Whose turn it was last.
    last: Option<SocketAddr>,
}

#[derive(Debug, Default)]
struct Place {
    /// Oldest first.
    locks: VecDeque<Entry>,
    inputs: usize,
}

#[derive(Debug)]
struct Entry {
    heard: HeardLock,
    since: Instant,
    /// Whether it was looked at, and cannot be judged yet.
    is_deferred: bool,
}

impl LockInbox {
    /// A node is connected.
    pub(super) fn opened(&self, peer: SocketAddr) {
        self.inner.lock().places.insert(peer, Place::default());
    }

    /// Drops the locks of a node that has disconnected. Other nodes have the same ones.
    pub(super) fn closed(&self, peer: SocketAddr) {
        self.inner.lock().change(|inner| _ = inner.places.remove(&peer));
    }

    /// Whether a lock that a node announces is worth asking for.
    pub(super) fn wants(&self, peer: SocketAddr, name: &LockName) -> bool {
        let inner = self.inner.lock();
        inner.places.contains_key(&peer) && !inner.judged.contains(name)
    }

    /// A node has sent a lock that it was asked for.
    pub(super) fn put(&self, peer: SocketAddr, name: LockName, lock: InstantLock) {
        let mut inner = self.inner.lock();
        if inner.judged.contains(&name) {
            return;
        }
        inner.change(|inner| {
            if let Some(place) = inner.places.get_mut(&peer) {
                let entry =
                    Entry { heard: HeardLock { name, lock }, since: Instant::now(), is_deferred: false };
                place.take_in(entry);
            }
        });
        drop(inner);
        self.came.notify_one();
    }

    /// The next lock to be judged, of the nodes in turn. It stays until [`settle`](Self::settle) or
    /// [`defer`](Self::defer) is called.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn next(&self) -> HeardLock {
        loop {
            // Before looking, so that none that comes between is missed.
            let came = self.came.notified();
            if let Some(heard) = self.inner.lock().next() {
                return heard;
            }
            came.await;
        }
    }

    /// A lock is judged for good.
    pub(crate) fn settle(&self, name: &LockName) {
        self.inner.lock().change(|inner| {
            for place in inner.places.values_mut() {
                place.retain(|entry| entry.heard.name != *name);
            }
            if inner.judged.insert(*name) {
                inner.judged_in_order.push_back(*name);
            }
            if inner.judged_in_order.len() > MAX_JUDGED
                && let Some(oldest) = inner.judged_in_order.pop_front()
            {
                inner.judged.remove(&oldest);
            }
        });
    }

    /// A lock cannot be judged yet.
    pub(crate) fn defer(&self, name: &LockName) {
        let mut inner = self.inner.lock();
        let entries = inner.places.values_mut().flat_map(|place| &mut place.locks);
        entries.filter(|entry| entry.heard.name == *name).for_each(|entry| entry.is_deferred = true);
    }

    /// Judges all locks again that could not be judged before, except those that are too old: more may be known now.
    pub(crate) fn retry(&self) {
        let now = Instant::now();
        self.inner.lock().change(|inner| {
            for place in inner.places.values_mut() {
                place.retain(|entry| now.duration_since(entry.since) < LONGEST_WAIT);
                place.locks.iter_mut().for_each(|entry| entry.is_deferred = false);
            }
        });
        self.came.notify_one();
    }

    /// The nodes that have sent a lock of this name.
    pub(crate) fn senders(&self, name: &LockName) -> Vec<SocketAddr> {
        let inner = self.inner.lock();
        let has_it = |place: &Place| place.locks.iter().any(|entry| entry.heard.name == *name);
        inner.places.iter().filter(|(_, place)| has_it(place)).map(|(peer, _)| *peer).collect()
    }

    /// No lock of this node is looked at any more, until it connects anew.
    pub(crate) fn mute(&self, peer: SocketAddr) {
        self.closed(peer);
    }
}

impl Inner {
    /// Changes what waits, and shows how much that is then.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        metrics::instant_locks_waiting(self.places.values().map(|place| place.locks.len()).sum());
    }

    fn next(&mut self) -> Option<HeardLock> {
        let is_due = |entry: &&Entry| !entry.is_deferred;
        let first_of = |(peer, place): (&SocketAddr, &Place)| {
            place.locks.iter().find(is_due).map(|entry| (*peer, entry.heard.clone()))
        };
        let later = |peer: &SocketAddr| self.last.is_none_or(|last| *peer > last);
        let behind = self.places.iter().filter(|(peer, _)| later(peer)).find_map(first_of);
        let (peer, heard) = behind.or_else(|| self.places.iter().find_map(first_of))?;
        self.last = Some(peer);
        Some(heard)
    }
}

impl Place {
    /// Makes room by dropping first the locks that could not be judged.
    fn take_in(&mut self, entry: Entry) {
        if self.locks.iter().any(|known| known.heard.name == entry.heard.name) {
            return;
        }
        let needed = entry.heard.lock.inputs.len();
        while self.locks.len() >= MAX_LOCKS || self.inputs + needed > MAX_INPUTS {
            let deferred = self.locks.iter().position(|known| known.is_deferred);
            let Some(left_out) = deferred.and_then(|index| self.locks.remove(index)) else {
                return metrics::instant_lock("dropped");
            };
            self.inputs -= left_out.heard.lock.inputs.len();
            metrics::instant_lock("dropped");
        }
        self.inputs += needed;
        self.locks.push_back(entry);
    }

    fn retain(&mut self, keeps: impl Fn(&Entry) -> bool) {
        self.locks.retain(keeps);
        self.inputs = self.locks.iter().map(|entry| entry.heard.lock.inputs.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use dashcore::blockdata::transaction::OutPoint;
    use dashcore::bls_sig_utils::BLSSignature;
    use dashcore::{BlockHash, Txid};
    use futures::FutureExt;

    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn lock(inputs: usize) -> InstantLock {
        InstantLock {
            version: 1,
            inputs: vec![OutPoint { txid: Txid::all_zeros(), vout: 0 }; inputs],
            txid: Txid::all_zeros(),
            cyclehash: BlockHash::all_zeros(),
            signature: BLSSignature::default(),
        }
    }

    fn name(number: usize) -> LockName {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_le_bytes());
        name
    }

    fn next(inbox: &LockInbox) -> Option<LockName> {
        inbox.next().now_or_never().map(|heard| heard.name)
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_take_turns_and_a_judged_lock_is_gone_everywhere() {
        let inbox = LockInbox::default();
        [1, 2].iter().for_each(|port| inbox.opened(peer(*port)));
        for number in 0..3 {
            inbox.put(peer(1), name(number), lock(1));
        }
        inbox.put(peer(2), name(9), lock(1));
        inbox.put(peer(2), name(1), lock(1));
        inbox.put(peer(3), name(7), lock(1));
        assert_eq!([next(&inbox), next(&inbox)], [Some(name(0)), Some(name(9))]);
        [0, 9].iter().for_each(|number| inbox.settle(&name(*number)));
        assert_eq!(inbox.senders(&name(1)), [peer(1), peer(2)]);
        inbox.settle(&name(1));
        assert!(inbox.senders(&name(1)).is_empty() && !inbox.wants(peer(1), &name(1)));
        inbox.put(peer(2), name(1), lock(1));
        assert_eq!(next(&inbox), Some(name(2)));
        inbox.mute(peer(1));
        assert_eq!((next(&inbox), inbox.wants(peer(1), &name(5))), (None, false));
        inbox.opened(peer(1));
        assert!(inbox.wants(peer(1), &name(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_judged_is_looked_at_again_for_a_while() {
        let inbox = LockInbox::default();
        inbox.opened(peer(1));
        inbox.put(peer(1), name(1), lock(1));
        assert_eq!(next(&inbox), Some(name(1)));
        inbox.defer(&name(1));
        assert_eq!(next(&inbox), None);
        inbox.retry();
        assert_eq!(next(&inbox), Some(name(1)));
        tokio::time::advance(LONGEST_WAIT).await;
        inbox.retry();
        assert_eq!(next(&inbox), None);
        assert!(inbox.wants(peer(1), &name(1)), "nothing is known of it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded_and_only_its_own_locks_make_room_for_a_node() {
        let inbox = LockInbox::default();
        [1, 2].iter().for_each(|port| inbox.opened(peer(*port)));
        inbox.put(peer(2), name(100_000), lock(MAX_INPUTS));
        for number in 0..2 * MAX_LOCKS {
            inbox.put(peer(1), name(number), lock(1));
        }
        let waiting = |port| inbox.inner.lock().places[&peer(port)].locks.len();
        assert_eq!((waiting(1), waiting(2)), (MAX_LOCKS, 1));
        inbox.defer(&name(0));
        inbox.put(peer(1), name(5_000), lock(1));
        assert_eq!((inbox.senders(&name(0)).len(), inbox.senders(&name(5_000)).len()), (0, 1));
        inbox.put(peer(2), name(5_001), lock(1));
        assert!(inbox.senders(&name(5_001)).is_empty(), "too many inputs");
        for number in 0..3 * MAX_JUDGED {
            inbox.settle(&name(number));
        }
        assert_eq!(inbox.inner.lock().judged.len(), MAX_JUDGED);
        assert_eq!(inbox.inner.lock().judged_in_order.len(), MAX_JUDGED);
    }
}
