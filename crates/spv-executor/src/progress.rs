use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::rate::CompletionRate;

/// Counters and remaining time of an executor's work, see [`Executor::progress`](crate::Executor::progress).
///
/// Every request that ended counts in exactly one of `succeeded`, `failed`, `cancelled` and `unjudged`. An answer is taken
/// for what its caller finds, and until then it is in `unjudged`, the only one of them that goes down again. So of peers
/// that answer nothing but wrong, all has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Requests that were not sent yet, including those that a `run` or `stream` still holds back and those that were
    /// [announced](crate::Executor::announce).
    pub waiting: usize,
    /// Slots in use: sent requests whose transport future has not ended, whether or not a caller still waits for the
    /// answer.
    pub in_flight: usize,
    /// Requests answered in time whose answer was [accepted](crate::Permit::accept).
    pub succeeded: u64,
    /// Requests that ended with an error, soft timeouts included, or whose answer was rejected.
    pub failed: u64,
    /// Requests for which no caller waited any more when they ended.
    pub cancelled: u64,
    /// Requests answered in time whose answer was neither accepted nor rejected: not yet, or never if its
    /// [`Permit`](crate::Permit) was dropped.
    pub unjudged: u64,
    /// Requests that were answered after their soft timeout.
    pub late: u64,
    /// Answers that their callers rejected. Each of their requests also counts in `failed`, because of the rejection or
    /// because of an earlier soft timeout.
    pub rejected: u64,
    /// Copies sent to a second peer.
    pub hedged: u64,
    /// Bytes of answers expected or held, of [`Config::max_bytes`](crate::Config::max_bytes).
    pub held_bytes: u64,
    /// Estimated time until the present work ends, from the measured rate at which requests end. It is updated with
    /// each change, is `None` until one request has ended, and zero if nothing is left to do.
    pub eta: Option<Duration>,
}

/// Counts what ends, and how fast.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    unjudged: u64,
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
    /// What the answer is worth is found out later.
    Answered,
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
            Ending::Answered => self.unjudged += 1,
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

    /// The answer by which a request ended was found to be right.
    pub(crate) const fn succeeded(&mut self) {
        self.unjudged = self.unjudged.saturating_sub(1);
        self.succeeded += 1;
    }

    /// An answer was found to be wrong. If its request had ended by it, that has failed.
    pub(crate) const fn rejected(&mut self, ended_request: bool) {
        self.rejected += 1;
        if ended_request {
            self.unjudged = self.unjudged.saturating_sub(1);
            self.failed += 1;
        }
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
            unjudged: self.unjudged,
            late: self.late,
            rejected: self.rejected,
            hedged: self.hedged,
            held_bytes: plan.held_bytes(),
            eta: self.rate.eta(remaining),
        }
    }
}

impl Ending {
    /// As a metric label; `None` as long as it is not known.
    pub(crate) const fn label(self) -> Option<&'static str> {
        match self {
            Self::Answered => None,
            Self::Failed(kind) => Some(kind),
            Self::Cancelled => Some("cancelled"),
        }
    }
}
