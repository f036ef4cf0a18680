use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dashcore::BlockHash;
use dashcore::ephemerealdata::chain_lock::ChainLock;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::lock_inbox::LockInbox;

/// Announcements that may wait to be read: a block and a lock of more peers than are connected. Others are dropped: what they
/// tell is asked for sooner or later anyway, and another peer sends the same lock.
const MAX_WAITING: usize = 512;

/// What a peer says of new blocks without having been asked. Nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Who says it.
    pub(crate) peer: SocketAddr,
    /// What.
    pub(crate) news: News,
}

/// See [`Announcement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Payload of a `headers` message.
    Headers(Bytes),
    /// There is a block with this hash.
    Block(BlockHash),
    /// A ChainLock.
    ChainLock(ChainLock),
}

/// Whose place it is, and for what: a lock does not take that of a block.
type Place = (SocketAddr, bool);

/// Where connections put announcements. Each peer has one place for blocks and one for locks, where its newest one is.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    newest: Arc<Mutex<BTreeMap<Place, News>>>,
    turns: mpsc::Sender<Place>,
    /// Where InstantSend locks go; `None` if they are not asked for.
    instant_locks: Option<LockInbox>,
}

/// Where announcements are read, peer after peer.
#[derive(Debug)]
pub(crate) struct Announcements {
    newest: Arc<Mutex<BTreeMap<Place, News>>>,
    turns: mpsc::Receiver<Place>,
}

/// Places for announcements that many peers fill and one task empties. InstantSend locks go to an inbox of their own.
pub(crate) fn announcements(instant_locks: Option<LockInbox>) -> (Announcer, Announcements) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let newest = Arc::new(Mutex::new(BTreeMap::new()));
    (
        Announcer { newest: newest.clone(), turns: sender, instant_locks },
        Announcements { newest, turns: receiver },
    )
}

impl Announcer {
    /// Where InstantSend locks go, if they are asked for.
    pub(super) fn instant_locks(&self) -> Option<&LockInbox> {
        self.instant_locks.as_ref()
    }

    /// Puts an announcement in the place of this peer. One that was not read yet is lost, and its turn is kept.
    pub(super) fn put(&self, peer: SocketAddr, news: News) {
        let mut newest = self.newest.lock();
        let place = (peer, matches!(news, News::ChainLock(_)));
        let had_turn = newest.insert(place, news).is_some();
        if !had_turn && self.turns.try_send(place).is_err() {
            newest.remove(&place);
        }
    }
}

impl Announcements {
    /// The newest announcement of the peer whose turn it is; `None` once there are no peers any more.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<Announcement> {
        loop {
            let place = self.turns.recv().await?;
            // Always there: it came before the turn did.
            if let Some(news) = self.newest.lock().remove(&place) {
                return Some(Announcement { peer: place.0, news });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dashcore::bls_sig_utils::BLSSignature;
    use futures::FutureExt;

    use super::*;

    fn peer(index: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], index))
    }

    fn block(byte: u8) -> News {
        News::Block(BlockHash::from_byte_array([byte; 32]))
    }

    #[test]
    fn one_peer_cannot_take_the_place_of_another() {
        let (announcer, mut announcements) = announcements(None);
        let mut next = || announcements.recv().now_or_never().flatten();
        (0..=255).for_each(|byte| announcer.put(peer(1), block(byte)));
        announcer.put(peer(2), block(7));
        announcer.put(peer(1), block(3));
        assert_eq!(next(), Some(Announcement { peer: peer(1), news: block(3) }), "the newest");
        announcer.put(peer(1), block(4));
        assert_eq!(next(), Some(Announcement { peer: peer(2), news: block(7) }), "in turn");
        assert_eq!(next(), Some(Announcement { peer: peer(1), news: block(4) }));
        assert_eq!(next(), None);
        let lock = ChainLock {
            block_height: 5,
            block_hash: BlockHash::all_zeros(),
            signature: BLSSignature::default(),
        };
        announcer.put(peer(1), block(5));
        announcer.put(peer(1), News::ChainLock(lock.clone()));
        assert_eq!(next(), Some(Announcement { peer: peer(1), news: block(5) }), "is not displaced");
        assert_eq!(next(), Some(Announcement { peer: peer(1), news: News::ChainLock(lock) }));
    }

    #[test]
    fn what_waits_is_bounded_and_ends_with_the_peers() {
        let (announcer, mut announcements) = announcements(None);
        (0..1_000).for_each(|index| announcer.put(peer(index), block(1)));
        assert_eq!(announcer.newest.lock().len(), MAX_WAITING);
        drop(announcer);
        for _ in 0..MAX_WAITING {
            assert!(announcements.recv().now_or_never().flatten().is_some());
        }
        assert_eq!(announcements.recv().now_or_never(), Some(None));
    }
}
