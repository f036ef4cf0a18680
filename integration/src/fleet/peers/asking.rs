use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use spv_correlation::CorrelationError;
use spv_executor::{Completed, ExecuteError};
use spv_recovery::{Answered, Classify, Decision, FailureKind, History};
use spv_scheduler::Conditions;
use tokio::sync::watch;

use super::Peers;
use crate::chain::BlockId;
use crate::clock::now;
use crate::fleet::peer_report::Outcome;
use crate::net::RequestError;
use crate::wire::{Answer, Request, RequestKind};

/// How a request ended.
pub(crate) type Executed =
    Result<Completed<SocketAddr, Answer>, ExecuteError<SocketAddr, Answer, RequestError>>;

/// Asking: which peers a request may go to, and what becomes of requests that fail.
impl Peers {
    /// Asks this peer for headers and no other. One whose compressed headers cannot be decoded is asked for plain ones at
    /// once.
    pub(crate) async fn ask_for_headers(&self, peer: &SocketAddr, request: Request) -> Executed {
        let executed =
            self.count(RequestKind::GetHeaders, self.executor.execute_on(peer, request.clone()).await);
        self.plainly_instead(executed, request).await
    }

    /// Asks some peer for headers that is not in `exclude`. One whose compressed headers cannot be decoded is asked for
    /// plain ones at once.
    pub(crate) async fn ask_somebody_for_headers(
        &self,
        request: Request,
        exclude: BTreeSet<SocketAddr>,
    ) -> Executed {
        let book = self.book.clone();
        let eligible = move |peer: &SocketAddr| !exclude.contains(peer) && book.serves_headers(peer, now());
        let executed = self.executor.execute_where(request.clone(), eligible).await;
        self.plainly_instead(self.count(RequestKind::GetHeaders, executed), request).await
    }

    /// What comes of asking once more where compressed headers came that cannot be decoded: the connection asks for plain
    /// ones from then on.
    async fn plainly_instead(&self, executed: Executed, request: Request) -> Executed {
        match executed {
            Err(ExecuteError::Transport { peer, source: RequestError::Undecodable }) => {
                self.count(RequestKind::GetHeaders, self.executor.execute_on(&peer, request).await)
            }
            executed => executed,
        }
    }

    /// Sends one of many requests for lists that are applied in `order`, and waits for the answer. `block` is the newest
    /// that the request names. It goes to a peer that is ready and not known to lack the block; to one that rests, or is
    /// to be avoided, only where there are no others. The lowest of all orders holds up the others, so it may be sent to a
    /// second peer when the first one is slow.
    pub(crate) async fn ask_for_lists(
        &self,
        request: Request,
        block: BlockId,
        avoid: &BTreeSet<SocketAddr>,
        order: u64,
    ) -> Executed {
        let kind = request.kind();
        let (book, choice) = (self.book.clone(), self.book.list_peers(block, avoid, now()));
        let eligible = move |peer: &SocketAddr| book.serves_lists(peer, &choice, now());
        self.count(kind, self.executor.execute_in_order(request, eligible, order).await)
    }

    /// Whether there is a peer, at rest or not, that may be asked for the list of this block and need not be avoided.
    pub(crate) fn serve_lists(&self, block: BlockId, avoid: &BTreeSet<SocketAddr>) -> bool {
        self.book.has_server(block, avoid, now())
    }

    /// How many more requests for lists could start now.
    pub(crate) fn capacity(&self) -> usize {
        self.executor.capacity_where(|peer| self.book.has_list_slots(peer, now()))
    }

    /// Notified whenever a request ends and so a slot may be free, also one that nobody waits for any more.
    pub(crate) fn slots(&self) -> watch::Receiver<spv_executor::Progress> {
        self.executor.progress()
    }

    /// Tells how many requests for lists are held back for later: for the last few of many, slow peers are not worth
    /// asking.
    pub(crate) fn announce(&self, requests: usize) {
        self.executor.announce(requests);
    }

    /// What is wrong with the network now, as far as the size of batches depends on it.
    pub(crate) fn conditions(&self) -> Conditions {
        let measured = self.pool.monitor().conditions(now());
        Conditions {
            high_latency: measured.high_latency,
            low_bandwidth: measured.low_bandwidth,
            unstable: measured.unstable,
        }
    }

    /// Copies that were sent to a second peer.
    pub(crate) fn hedged(&self) -> u64 {
        self.executor.progress().borrow().hedged
    }

    /// How many requests for lists may be sent now; if none, how long to wait unless something is heard meanwhile. Where
    /// nearly everything fails, it is one at a time.
    pub(crate) fn may_send(&self) -> Result<NonZeroUsize, Duration> {
        self.book.with_recovery(|recovery, _| recovery.may_send(now()))
    }

    /// A request for lists is sent; whether it may be.
    pub(crate) fn on_sending(&self) -> bool {
        self.book.with_recovery(|recovery, _| recovery.on_sending(now()))
    }

    /// Nobody waits any more for requests for lists that were under way.
    pub(crate) fn on_given_up(&self) {
        self.book.with_recovery(|recovery, _| recovery.on_given_up());
    }

    /// How long after giving up another try makes sense; `None` when only another peer can help.
    pub(crate) fn after_giving_up(&self) -> Option<Duration> {
        self.book.with_recovery(|recovery, available| recovery.after_giving_up(available, now()))
    }

    /// How often nearly everything failed, so that requests were sent one at a time for a while.
    pub(crate) fn pool_openings(&self) -> u64 {
        self.book.with_recovery(|recovery, _| recovery.pool_openings())
    }

    /// Whether anybody may be asked for lists, at rest or not.
    pub(crate) fn is_deserted(&self) -> bool {
        self.book.proven().is_empty()
    }

    /// Peers that may be asked for lists and do not rest, in order of address.
    pub(crate) fn ready_for_lists(&self) -> Vec<SocketAddr> {
        self.book.ready(now())
    }

    /// Whether there are peers, but none that may be made to refuse once more.
    pub(crate) fn credit_spent(&self) -> bool {
        self.book.all_spent(now())
    }

    /// An answer came that is still to be verified.
    pub(crate) fn on_answer(&self, peer: SocketAddr) -> Answered {
        self.book.on_answer(peer, now())
    }

    /// Decides what becomes of work whose latest failure is in its history; with `answered` where an answer had come that
    /// proved wrong. `block` is the newest that the work names; those in `no_room` cannot be asked for it now.
    pub(crate) fn on_failure(
        &self,
        history: &History<SocketAddr>,
        block: &BlockId,
        no_room: &BTreeSet<SocketAddr>,
        answered: Option<Answered>,
    ) -> Decision<SocketAddr> {
        let decision = self.book.on_failure(history, block, no_room, answered, now());
        if let Some(peer) = history.tries().next_back().and_then(|attempt| attempt.peer) {
            self.renew_if_spent(peer);
        }
        // A peer may rest from now on that requests wait for.
        self.executor.recheck();
        decision
    }

    /// An answer that had come was proven. Cuts off the peers whose answers to the same work it shows to have been wrong.
    pub(crate) fn on_verified(&self, history: &History<SocketAddr>, peer: SocketAddr, digest: &[u8; 32]) {
        for liar in self.book.on_verified(history, peer, digest, now()) {
            self.ban(liar, "another copy of its answer verifies");
        }
    }

    fn count(&self, kind: RequestKind, executed: Executed) -> Executed {
        let peer = match &executed {
            Ok(completed) => Some(completed.peer),
            Err(ExecuteError::Transport { source: RequestError::CreditSpent, .. }) => return executed,
            Err(error) => error.peer().copied(),
        };
        if let Some(peer) = peer {
            self.book.count_sent(peer, kind);
        }
        if let Err(error) = &executed
            && let (Some(peer), Some(kind)) = (peer, failure_kind(error))
        {
            self.record(peer, Outcome::Failed(kind));
            if let ExecuteError::Transport {
                source: RequestError::Correlation(CorrelationError::Refused { after }),
                ..
            } = error
            {
                self.book.with_report(peer, |report| {
                    report.slowest_refusal = report.slowest_refusal.max(Some(*after));
                });
            }
        }
        executed
    }
}

/// What kind of failure an error is; `None` when it is not about a peer or a request at all.
pub(crate) fn failure_kind(error: &ExecuteError<SocketAddr, Answer, RequestError>) -> Option<FailureKind> {
    match error {
        ExecuteError::NoEligiblePeer => Some(FailureKind::NoPeer),
        ExecuteError::SoftTimeout { .. } | ExecuteError::HardTimeout { .. } => Some(FailureKind::Timeout),
        ExecuteError::Transport { source, .. } => Some(source.failure_kind()),
        ExecuteError::Closed => None,
        _ => Some(FailureKind::Internal),
    }
}
