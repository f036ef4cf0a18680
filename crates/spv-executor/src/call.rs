use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::outcome::{HEDGE_FAILED, HEDGE_LOST, HEDGE_WON};
use crate::progress::Ending;
use crate::{Completed, ExecuteError, ExecuteResult, LateAnswer, LateError, Transport};

/// A request that waits.
pub(crate) struct Job<T: Transport> {
    pub(crate) request: T::Request,
    /// For a second copy.
    pub(crate) spare: Option<T::Request>,
    pub(crate) reply: oneshot::Sender<ExecuteResult<T>>,
    pub(crate) submitted: Instant,
}

/// A request that was sent: who waits for it, and its copies, of which there are one or two.
pub(crate) struct Call<T: Transport> {
    listener: Listener<T>,
    /// For a second copy.
    spare: Option<T::Request>,
    queued: Duration,
    /// Copies whose transport future has not ended.
    copies: usize,
    /// Those of them before their soft timeout.
    patient: usize,
    /// A peer past its soft timeout, whose caller waits for the other copy.
    slow: Option<(T::Peer, Duration)>,
    hedged: bool,
}

/// How one copy ended.
pub(crate) type LateResult<T> =
    Result<Completed<<T as Transport>::Peer, <T as Transport>::Response>, LateError<<T as Transport>::Error>>;

/// What one copy's end needs to know of it.
pub(crate) struct CopyEnd<T: Transport> {
    pub(crate) peer: T::Peer,
    pub(crate) hard_timeout: Duration,
    /// Before its soft timeout.
    pub(crate) patient: bool,
    pub(crate) is_hedge: bool,
}

enum Listener<T: Transport> {
    Caller(oneshot::Sender<ExecuteResult<T>>),
    /// The caller was freed at the soft timeout and holds a `LateAnswer`.
    Late(oneshot::Sender<LateResult<T>>),
    Told,
}

impl<T: Transport> Call<T> {
    /// The call, with its first copy, and the request to be sent.
    pub(crate) fn new(job: Job<T>, now: Instant) -> (Self, T::Request) {
        let call = Self {
            listener: Listener::Caller(job.reply),
            spare: job.spare,
            queued: now.saturating_duration_since(job.submitted),
            copies: 1,
            patient: 1,
            slow: None,
            hedged: false,
        };
        (call, job.request)
    }

    /// The request for a second copy, which counts from here on.
    pub(crate) fn hedge(&mut self) -> Option<T::Request> {
        let request = self.spare.take()?;
        self.copies += 1;
        self.patient += 1;
        self.hedged = true;
        Some(request)
    }

    pub(crate) const fn may_hedge(&self) -> bool {
        self.spare.is_some()
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.copies == 0
    }

    pub(crate) const fn queued(&self) -> Duration {
        self.queued
    }

    /// The first copy was held up for so long after it had got its slot.
    pub(crate) fn admitted_after(&mut self, held_up: Duration) {
        self.queued += held_up;
    }

    /// A copy is past its soft timeout. Frees the caller, unless another copy may still be in time.
    pub(crate) fn soft_timeout(&mut self, peer: T::Peer, after: Duration) -> Option<Message<T>> {
        self.patient = self.patient.saturating_sub(1);
        self.slow = Some((peer, after));
        if self.patient == 0 { self.free_caller() } else { None }
    }

    /// A copy has ended. The first answer is what counts; an error does only when no other copy is left.
    pub(crate) fn ended(&mut self, copy: CopyEnd<T>, result: LateResult<T>) -> Message<T> {
        self.copies = self.copies.saturating_sub(1);
        self.patient = self.patient.saturating_sub(usize::from(copy.patient));
        if result.is_err() && self.copies > 0 {
            let freed = if self.patient == 0 { self.free_caller() } else { None };
            return freed.unwrap_or(Message::Nobody { _unread: result });
        }
        match std::mem::replace(&mut self.listener, Listener::Told) {
            Listener::Caller(reply) => {
                let hedge = self.hedged.then_some(match (&result, copy.is_hedge) {
                    (Ok(_), true) => HEDGE_WON,
                    (Ok(_), false) => HEDGE_LOST,
                    (Err(_), _) => HEDGE_FAILED,
                });
                let result =
                    result.map_err(|error| ExecuteError::on_time(copy.peer, copy.hard_timeout, error));
                Message::Caller { reply, result, hedge }
            }
            Listener::Late(reply) => Message::Late { reply, result },
            Listener::Told => Message::Nobody { _unread: result },
        }
    }

    fn free_caller(&mut self) -> Option<Message<T>> {
        let (sender, receiver) = oneshot::channel();
        match std::mem::replace(&mut self.listener, Listener::Late(sender)) {
            Listener::Caller(reply) => {
                let (peer, after) = self.slow.take()?;
                let result = Err(ExecuteError::SoftTimeout { peer, after, late: LateAnswer::new(receiver) });
                Some(Message::Caller { reply, result, hedge: self.hedged.then_some(HEDGE_FAILED) })
            }
            other => {
                self.listener = other;
                None
            }
        }
    }
}

/// Something to be told, once the lock is released: what is sent may be dropped on the spot, and is the caller's type.
#[must_use = "somebody waits for this"]
pub(crate) enum Message<T: Transport> {
    Caller { reply: oneshot::Sender<ExecuteResult<T>>, result: ExecuteResult<T>, hedge: Option<&'static str> },
    Late { reply: oneshot::Sender<LateResult<T>>, result: LateResult<T> },
    Nobody { _unread: LateResult<T> },
}

impl<T: Transport> Message<T> {
    pub(crate) fn deliver(self) {
        // Whoever has gone does not want to know.
        match self {
            Self::Caller { reply, result, .. } => drop(reply.send(result)),
            Self::Late { reply, result } => drop(reply.send(result)),
            Self::Nobody { .. } => {}
        }
    }

    /// How the request ended for its caller, if this is what it is told. The verdict on the answer is then one on the
    /// request.
    pub(crate) fn ending(&mut self) -> Option<Ending> {
        match self {
            Self::Caller { reply, .. } if reply.is_closed() => Some(Ending::Cancelled),
            Self::Caller { result: Ok(completed), .. } => {
                completed.permit.ends_request();
                Some(Ending::Answered)
            }
            Self::Caller { result: Err(error), .. } => Some(Ending::Failed(error.kind())),
            Self::Late { .. } | Self::Nobody { .. } => None,
        }
    }
}
