use std::convert::Infallible;
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use futures::future::BoxFuture;

use crate::fleet::Peers;
use crate::net::metrics::instant_lock;
use crate::net::{HeardLock, LockInbox};
use crate::progress::{Phase, Progress};

/// Judges the InstantSend locks that peers send.
pub(crate) trait Judge: Send + Sync {
    /// Judges one lock, and passes it to the subscribers if it is verified.
    fn judge(&self, lock: InstantLock) -> BoxFuture<'_, LockFate>;
}

/// What became of an InstantSend lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockFate {
    /// A quorum that may sign it did.
    Verified,
    /// No quorum that may sign it did.
    Wrong {
        /// Height and hash of the block that decides which quorums may sign it; `None` where it is wrong on any branch.
        decided_by: Option<(u32, BlockHash)>,
        /// What is wrong.
        reason: String,
    },
    /// It is not known yet whether the lock is right.
    Unknown,
    /// It will never be known whether the lock is right.
    Undecidable,
}

/// Judges the InstantSend locks that peers send, one after the other.
pub(super) struct InstantLocks {
    pub(super) inbox: LockInbox,
    pub(super) judge: Arc<dyn Judge>,
}

impl InstantLocks {
    /// Judges locks as they arrive. A lock that cannot be judged yet is judged again whenever a tip is reached, because
    /// more quorums may be proven then.
    ///
    /// # Cancel safety
    /// The lock that is being judged is judged again.
    pub(super) async fn run(&self, peers: &Peers, progress: &Progress) -> Infallible {
        let mut state = progress.watch();
        let mut phase = state.borrow().phase;
        loop {
            tokio::select! {
                biased;
                Ok(()) = state.changed() => {
                    let before = std::mem::replace(&mut phase, state.borrow_and_update().phase);
                    if phase == Phase::Following && before != phase {
                        self.inbox.retry();
                    }
                }
                HeardLock { name, lock } = self.inbox.next() => match self.judge.judge(lock).await {
                    LockFate::Verified => {
                        instant_lock("verified");
                        self.inbox.settle(&name);
                    }
                    LockFate::Wrong { decided_by, reason } => self.wrong(peers, &name, decided_by, &reason),
                    LockFate::Undecidable => {
                        instant_lock("undecidable");
                        self.inbox.settle(&name);
                    }
                    LockFate::Unknown => self.inbox.defer(&name),
                },
            }
        }
    }

    /// Blames those who sent a wrong lock, as far as they are known to have the block that decides. On another branch it may
    /// be right.
    fn wrong(&self, peers: &Peers, name: &[u8; 32], decided_by: Option<(u32, BlockHash)>, reason: &str) {
        let mut is_certain = true;
        for peer in self.inbox.senders(name) {
            let has_block = |(height, hash): (u32, BlockHash)| {
                peers.heard_of(&peer).is_some_and(|heard| heard.chain.hash(height) == Some(hash))
            };
            if decided_by.is_none_or(has_block) {
                peers.on_wrong_lock(peer, format_args!("InstantSend lock"), &reason);
                self.inbox.mute(peer);
            } else {
                is_certain = false;
            }
        }
        if is_certain {
            instant_lock("wrong");
            self.inbox.settle(name);
        } else {
            self.inbox.defer(name);
        }
    }
}
