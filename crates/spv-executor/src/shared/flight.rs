use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Shared;
use crate::call::CopyEnd;
use crate::plan::{RequestId, Slot};
use crate::timeouts::Timeouts;
use crate::{LateError, Transport};

/// One copy of a request on its way: from the slot it was given until its transport future has ended.
pub(super) struct Flight<T: Transport> {
    charge: Charge<T>,
    request: T::Request,
    may_hedge: bool,
}

impl<T: Transport> Flight<T> {
    /// `may_hedge` tells whether the first copy should look after a second one.
    pub(super) const fn new(charge: Charge<T>, request: T::Request, may_hedge: bool) -> Self {
        Self { charge, request, may_hedge }
    }

    pub(super) async fn fly(self) {
        let Self { mut charge, request, may_hedge } = self;
        let stop = charge.shared.stop.clone();
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Lost { error: LateError::Closed, blames_peer: false }),
            answer = AssertUnwindSafe(charge.send(request, may_hedge)).catch_unwind() => answer.unwrap_or_else(|_| {
                tracing::warn!(peer = ?charge.slot.peer, "transport panicked");
                Err(Lost { error: LateError::Panicked, blames_peer: true })
            }),
        };
        charge.end(answer);
    }
}

/// An answer, with all that the transport has to say of it.
pub(super) struct Arrived<T: Transport> {
    pub(super) response: T::Response,
    pub(super) bytes: u64,
    pub(super) rtt: Option<Duration>,
}

/// Why there is no answer.
pub(super) struct Lost<T: Transport> {
    pub(super) error: LateError<T::Error>,
    pub(super) blames_peer: bool,
}

pub(super) type Answer<T> = Result<Arrived<T>, Lost<T>>;

/// A charged slot. Whatever becomes of the task that holds it, the slot is given back.
pub(super) struct Charge<T: Transport> {
    shared: Arc<Shared<T>>,
    id: RequestId,
    slot: Slot<T::Peer>,
    is_hedge: bool,
    /// Before the soft timeout.
    patient: bool,
    settled: bool,
    /// Counts the task from the moment it was decided on, so that closing cannot overlook one that is not spawned yet.
    _tracked: TaskTrackerToken,
}

impl<T: Transport> Charge<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>, id: RequestId, slot: Slot<T::Peer>, is_hedge: bool) -> Self {
        let _tracked = shared.tasks.token();
        Self { shared: Arc::clone(shared), id, slot, is_hedge, patient: true, settled: false, _tracked }
    }

    /// Sends and waits through all timeouts. The transport future has ended when this has. All of the transport's code runs
    /// in here, where its panics are caught.
    async fn send(&mut self, request: T::Request, may_hedge: bool) -> Answer<T> {
        let (shared, peer) = (Arc::clone(&self.shared), self.slot.peer.clone());
        self.admit(&shared.transport).await;
        let Timeouts { hedge, soft, hard } = self.slot.timeouts;
        let sent = Instant::from_std(self.slot.sent);
        let mut sending = pin!(shared.transport.send(&peer, request));
        let mut answer = Err(());
        if may_hedge && hedge < soft {
            answer = timeout_at(sent + hedge, &mut sending).await.map_err(|_| self.hedge_is_due());
        }
        if answer.is_err() && soft < hard {
            answer = timeout_at(sent + soft, &mut sending).await.map_err(|_| self.soft_timeout(soft));
        }
        if answer.is_err() {
            answer = timeout_at(sent + hard, sending).await.map_err(drop);
        }
        match answer {
            Ok(Ok(response)) => {
                let bytes = shared.transport.size(&response);
                // What is only a measurement must not cost an answer that is there.
                let rtt = catch_unwind(AssertUnwindSafe(|| shared.transport.rtt(&peer)));
                let rtt = rtt.inspect_err(|_| {
                    tracing::warn!("the transport panicked while it was asked for a round trip")
                });
                let rtt = rtt.ok().flatten();
                Ok(Arrived { response, bytes, rtt })
            }
            Ok(Err(source)) => {
                let blames_peer = shared.transport.blames_peer(&source);
                Err(Lost { error: LateError::Transport { source }, blames_peer })
            }
            Err(()) => Err(Lost { error: LateError::HardTimeout, blames_peer: true }),
        }
    }

    /// Waits until we may send. The request's time counts from then on.
    async fn admit(&mut self, transport: &T) {
        let peer = self.slot.peer.clone();
        let mut admission = pin!(transport.admit(&peer));
        if futures::poll!(&mut admission).is_ready() {
            return;
        }
        self.shared.await_admission(self.id, &mut self.slot);
        admission.await;
        self.shared.admitted(self.id, &mut self.slot, self.is_hedge);
    }

    /// Every change starts what may start, and now this may.
    fn hedge_is_due(&self) {
        self.shared.update(|_, _| ());
    }

    fn soft_timeout(&mut self, after: Duration) {
        tracing::debug!(peer = ?self.slot.peer, ?after, "soft timeout");
        self.patient = false;
        self.shared.soft_timeout(self.id, &self.slot.peer, after);
    }

    fn end(mut self, answer: Answer<T>) {
        self.settled = true;
        let copy = CopyEnd {
            peer: self.slot.peer.clone(),
            hard_timeout: self.slot.timeouts.hard,
            patient: self.patient,
            is_hedge: self.is_hedge,
        };
        self.shared.copy_ended(self.id, &self.slot, copy, answer);
    }
}

impl<T: Transport> Drop for Charge<T> {
    fn drop(&mut self) {
        if !self.settled {
            // The task was dropped before its end, which only a runtime that shuts down does: nothing that waits
            // could be started any more, so it must not be left waiting.
            self.shared.close();
            self.shared.abandon(self.id, &self.slot);
        }
    }
}
