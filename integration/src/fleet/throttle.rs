use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Number of requests in a row without an answer from which a node that has answered others seems to limit its rate.
const SILENT_IN_A_ROW: u32 = 3;

/// Number of requests after which a pace is judged.
const TRIAL: u32 = 6;

/// Number of requests of a trial that may stay without an answer, as happens a little above a node's limit.
const SILENT_OF_TRIAL: u32 = 2;

/// Answers are counted over this time to tell what rate the node keeps up.
const WINDOW: Duration = Duration::from_secs(1);

/// Longest time between two requests to a node that keeps silent.
const LONGEST: Duration = Duration::from_secs(10);

/// Where a node is asked this often, there is no pacing any more.
const SHORTEST: Duration = Duration::from_millis(20);

/// Wait before pacing is tried again with a node that it did not help with.
const RECONSIDERED: Duration = Duration::from_secs(60);

/// Answers that are remembered, which bounds the rate that can be told: far above what a node serves.
const MAX_ANSWERS: usize = 64;

/// How fast a node may be asked for single lists. Nodes may limit that, and then keep silent about what is beyond: their
/// fences come back as if they had refused. That is no fault, so it is waited out.
///
/// A rate is measured, not guessed: where requests begin to stay without an answer, the node is asked as often as it has
/// answered lately. If as many stay without one at that pace, there is no limit, and answers are lost for another reason.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// When it answered lately, oldest first.
    answers: VecDeque<Instant>,
    has_answered: bool,
    silent_in_a_row: u32,
    /// Requests of this trial, and those without an answer.
    trial: (u32, u32),
    /// Whether the trial before was a bad one.
    was_bad: bool,
    /// Time between two requests; zero is none.
    interval: Duration,
    next: Option<Instant>,
    reconsidered: Option<Instant>,
}

impl Throttle {
    /// A list came.
    pub(super) fn on_answer(&mut self, now: Instant) {
        self.forget(now);
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(now);
        }
        (self.has_answered, self.silent_in_a_row) = (true, 0);
        self.tried(false, now);
    }

    /// No list came, though the node is there.
    pub(super) fn on_silence(&mut self, now: Instant) {
        self.forget(now);
        self.silent_in_a_row = self.silent_in_a_row.saturating_add(1);
        let may_pace = self.has_answered && self.reconsidered.is_none_or(|at| now >= at);
        if !self.interval.is_zero() {
            self.tried(true, now);
        } else if may_pace && self.silent_in_a_row >= SILENT_IN_A_ROW {
            let lately = u32::try_from(self.answers.len()).unwrap_or(u32::MAX).max(1);
            self.interval = WINDOW / lately;
            self.next = Some(now + self.interval);
            (self.trial, self.was_bad) = ((0, 0), false);
        }
    }

    /// What a request at the present pace came to.
    fn tried(&mut self, was_silent: bool, now: Instant) {
        let (requests, silent) = self.trial;
        let (requests, silent) = (requests + 1, silent + u32::from(was_silent));
        self.trial = (requests, silent);
        if self.interval.is_zero() || requests < TRIAL {
            return;
        }
        self.trial = (0, 0);
        let was_bad = std::mem::replace(&mut self.was_bad, silent > SILENT_OF_TRIAL && silent < TRIAL);
        self.interval = match silent {
            0 => self.interval * 4 / 5,
            1..SILENT_OF_TRIAL => self.interval,
            SILENT_OF_TRIAL => self.interval * 6 / 5,
            // Not one: the limit is much lower.
            TRIAL.. => self.interval * 2,
            _ if was_bad => {
                self.reconsidered = Some(now + RECONSIDERED);
                Duration::ZERO
            }
            _ => self.interval * 3 / 2,
        }
        .min(LONGEST);
        if self.interval < SHORTEST {
            self.interval = Duration::ZERO;
        }
    }

    /// Whether it has answered any such request, and so is no node that refuses them all.
    pub(super) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Takes the turn to ask the node once more.
    ///
    /// # Errors
    /// When the next turn is; nothing is taken then.
    pub(super) fn take_turn(&mut self, now: Instant) -> Result<(), Instant> {
        if self.interval.is_zero() {
            return Ok(());
        }
        match self.next.filter(|&next| next > now) {
            Some(next) => Err(next),
            None => {
                self.next = Some(now + self.interval);
                Ok(())
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.answers.front().is_some_and(|&answer| now.duration_since(answer) >= WINDOW) {
            self.answers.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for `requests` lists, each as soon as it may and 20 ms after the one before at least; `answers` says which are
    /// answered. The time that took, and how many were not.
    fn ask(requests: u32, mut answers: impl FnMut(u32, Duration) -> bool) -> (Duration, u32) {
        let start = crate::clock::now();
        let (mut throttle, mut now, mut unanswered, mut left, mut sent) =
            (Throttle::default(), start, 0, requests, 0);
        while left > 0 {
            if let Err(next) = throttle.take_turn(now) {
                now = next;
                continue;
            }
            sent += 1;
            if answers(sent, now - start) {
                throttle.on_answer(now);
                left -= 1;
            } else {
                throttle.on_silence(now);
                unanswered += 1;
            }
            now += Duration::from_millis(20);
        }
        (now - start, unanswered)
    }

    #[test]
    fn a_limit_is_found_and_kept() {
        for per_second in [1_u32, 3, 10] {
            // A bucket that holds one second's worth.
            let each = Duration::from_secs(1) / per_second;
            let mut full_at = Duration::ZERO;
            let (took, unanswered) = ask(100, |_, now| {
                let filled = full_at.max(now) + each;
                let fits = filled <= now + Duration::from_secs(1);
                full_at = if fits { filled } else { full_at };
                fits
            });
            assert!(unanswered < 40, "{per_second} a second: {unanswered} without an answer");
            let least = each * 100 - Duration::from_secs(1);
            assert!(took < least * 2, "{per_second} a second: {took:?} where {least:?} is least");
        }
    }

    #[test]
    fn answers_that_are_lost_now_and_then_cost_little() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (took, unanswered) = ask(500, |_, _| rng.bool());
        let without = Duration::from_millis(20) * (500 + unanswered);
        assert!(took < without * 3, "{took:?} instead of {without:?}");
    }

    #[test]
    fn a_node_that_answers_nothing_is_not_paced() {
        let mut throttle = Throttle::default();
        let now = crate::clock::now();
        (0..100).for_each(|_| throttle.on_silence(now));
        assert_eq!(throttle.take_turn(now), Ok(()));
        assert!(!throttle.has_answered());
    }
}
