use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How far back the pace is measured. Answers come in bursts, so it has to be long beside a round trip; and it has to be
/// short beside the time that a pace lasts.
const WINDOW: Duration = Duration::from_secs(12);

/// Least time between two samples, which bounds how many there are.
const APART: Duration = Duration::from_millis(200);

/// How fast one kind of work advances, measured over the recent past.
#[derive(Debug, Default)]
pub(super) struct Pace {
    samples: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Notes how much is done at this moment. A number below the one before begins anew.
    pub(super) fn note(&mut self, now: Instant, done: u64) {
        if self.samples.back().is_some_and(|(_, before)| done < *before) {
            self.samples.clear();
        }
        match self.samples.iter().nth_back(1) {
            // The latest sample moves until it is far enough from the one before it.
            Some((before, _))
                if self.samples.back().is_some_and(|(at, _)| at.duration_since(*before) < APART) =>
            {
                self.samples.pop_back();
            }
            _ => {}
        }
        self.samples.push_back((now, done));
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Pieces per second; `None` until some were done.
    #[expect(clippy::cast_precision_loss, reason = "rates are rough")]
    pub(super) fn per_second(&self) -> Option<f64> {
        let ((first, before), (last, done)) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.duration_since(*first).as_secs_f64();
        (seconds > 0.0 && done > before).then(|| (done - before) as f64 / seconds)
    }

    /// Time for this much more at that pace.
    #[expect(clippy::cast_precision_loss, reason = "times left are rough")]
    pub(super) fn time_for(&self, missing: u64) -> Option<Duration> {
        Duration::try_from_secs_f64(missing as f64 / self.per_second()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(milliseconds: u64) -> Instant {
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_left_is_right_at_a_steady_pace_that_comes_in_bursts() {
        let mut pace = Pace::default();
        pace.note(Instant::now(), 0);
        assert_eq!(pace.time_for(1), None);
        for burst in 1..=600_u64 {
            // Eight thousand every half second, looked at more often than they come.
            for _ in 0..9 {
                pace.note(after(50).await, (burst - 1) * 8_000);
            }
            pace.note(after(50).await, burst * 8_000);
            if burst > 4 {
                let left = pace.time_for((600 - burst) * 8_000).unwrap().as_secs_f64();
                let truth = (600 - burst) as f64 / 2.0;
                assert!((left - truth).abs() <= truth * 0.05 + 0.01, "{left} instead of {truth}");
            }
        }
        assert!(pace.samples.len() <= 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_beginning_is_forgotten() {
        let mut pace = Pace::default();
        for second in 0..60 {
            pace.note(after(1_000).await, second);
        }
        for done in (60..3_000).step_by(100) {
            pace.note(after(1_000).await, done);
        }
        let left = pace.time_for(400).unwrap();
        assert!(left.abs_diff(Duration::from_secs(4)) < Duration::from_millis(500), "{left:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_begins_anew_has_no_pace_yet() {
        let mut pace = Pace::default();
        pace.note(Instant::now(), 0);
        pace.note(after(1_000).await, 100);
        assert_eq!(pace.per_second(), Some(100.0));
        pace.note(after(1_000).await, 3);
        assert_eq!(pace.per_second(), None);
    }
}
