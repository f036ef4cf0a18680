use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::rate::CompletionRate;

/// Where the work of an executor stands, see [`Executor::progress`](crate::Executor::progress).
///
/// The counters never go backwards. Every request ends in exactly one of `succeeded`, `failed` and `cancelled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Requests not sent yet, those included that a `run` or `stream` still holds back and that were
    /// [announced](crate::Executor::announce).
    pub waiting: usize,
    /// Slots in use: requests sent whose transport future has not ended, whether or not somebody still waits for
    /// the answer.
    pub in_flight: usize,
    /// Requests answered in time.
    pub succeeded: u64,
    /// Requests that ended with an error, soft timeouts included.
    pub failed: u64,
    /// Requests nobody waited for any more when they ended.
    pub cancelled: u64,
    /// Of those that passed their soft timeout, how many were answered all the same.
    pub late: u64,
    /// Answers that their callers rejected; each counts in `succeeded` or `late` too.
    pub rejected: u64,
    /// Copies sent to a second peer.
    pub hedged: u64,
    /// Bytes of answers expected or held, of [`Config::max_bytes`](crate::Config::max_bytes).
    pub held_bytes: u64,
    /// How long the present work will take, from the measured rate at which requests end, as of the latest change.
    /// `None` until one has ended, zero when nothing is left to do.
    pub eta: Option<Duration>,
}

/// Counts what ends, and how fast.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    late: u64,
    rejected: u64,
    hedged: u64,
    /// Sent, and not yet ended for the caller.
    awaited: usize,
    rate: CompletionRate,
}

/// How a request ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded,
    Failed(&'static str),
    Cancelled,
}

impl Tally {
    pub(crate) const fn sent(&mut self) {
        self.awaited += 1;
    }

    /// A request ended without having been sent.
    pub(crate) const fn ended_unsent(&mut self, ending: Ending) {
        match ending {
            Ending::Succeeded => self.succeeded += 1,
            Ending::Failed(_) => self.failed += 1,
            Ending::Cancelled => self.cancelled += 1,
        }
    }

    /// A request that had been sent ended.
    pub(crate) fn ended(&mut self, ending: Ending, now: Instant) {
        self.rate.completed(now, self.awaited);
        self.awaited = self.awaited.saturating_sub(1);
        self.ended_unsent(ending);
    }

    pub(crate) const fn answered_late(&mut self) {
        self.late += 1;
    }

    pub(crate) const fn rejected(&mut self) {
        self.rejected += 1;
    }

    pub(crate) const fn hedged(&mut self) {
        self.hedged += 1;
    }

    pub(crate) fn progress<P: Clone + Ord + 'static, J>(
        &mut self,
        plan: &Plan<P, J>,
        now: Instant,
    ) -> Progress {
        let waiting = plan.to_send();
        let remaining = waiting + self.awaited;
        self.rate.set_busy(remaining > 0, now);
        Progress {
            waiting,
            in_flight: plan.in_flight(),
            succeeded: self.succeeded,
            failed: self.failed,
            cancelled: self.cancelled,
            late: self.late,
            rejected: self.rejected,
            hedged: self.hedged,
            held_bytes: plan.held_bytes(),
            eta: self.rate.eta(remaining),
        }
    }
}

impl Ending {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(kind) => kind,
            Self::Cancelled => "cancelled",
        }
    }
}
