use std::time::{Duration, Instant};

/// Measures how many pieces of work ended per second in the recent past. An executor measures its requests with it;
/// programs can use it for other units of work.
///
/// The past fades by completions, not by time: its half-life is a few rounds of the present parallelism, so that the
/// rate means the same for answers in milliseconds and in minutes, and one burst of simultaneous answers is not
/// mistaken for the pace. Time in which nothing was to be done does not count.
#[derive(Debug)]
pub struct CompletionRate {
    completions: f64,
    seconds: f64,
    /// What the latest completions take off the weight of all before, applied when time next moves on: answers of
    /// one instant must weigh as much as the wait for them.
    fade: f64,
    /// Up to when time was counted; `None` while there is nothing to do.
    counted_until: Option<Instant>,
}

impl CompletionRate {
    /// Records that one piece ended, while `parallel` pieces (including this one) were in progress.
    pub fn completed(&mut self, now: Instant, parallel: usize) {
        let since = self.counted_until.map_or(Duration::ZERO, |until| now.saturating_duration_since(until));
        if !since.is_zero() {
            self.completions *= self.fade;
            self.seconds = self.seconds.mul_add(self.fade, since.as_secs_f64());
            self.fade = 1.0;
        }
        self.completions += 1.0;
        self.fade *= 0.5_f64.powf(1.0 / (HALF_LIFE_ROUNDS * parallel.max(1) as f64));
        self.counted_until = Some(now);
    }

    /// Tells whether there is work left to do; call it after every change.
    pub const fn set_busy(&mut self, busy: bool, now: Instant) {
        match (busy, self.counted_until) {
            (true, None) => self.counted_until = Some(now),
            (false, _) => self.counted_until = None,
            (true, Some(_)) => {}
        }
    }

    /// Returns how long `remaining` pieces will take at this rate, or `None` before anything was measured.
    #[must_use]
    pub fn eta(&self, remaining: usize) -> Option<Duration> {
        if remaining == 0 {
            return Some(Duration::ZERO);
        }
        if self.completions <= 0.0 {
            return None;
        }
        let per_request = self.seconds / self.completions;
        Duration::try_from_secs_f64(per_request * remaining as f64).ok()
    }
}

impl Default for CompletionRate {
    fn default() -> Self {
        Self { completions: 0.0, seconds: 0.0, fade: 1.0, counted_until: None }
    }
}

/// Rounds of the present parallelism after which a completion counts half. With fewer, an estimate made in the middle
/// of a round is off by more than 5 %.
const HALF_LIFE_ROUNDS: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment to count from; a core has no clock, a test may have one.
    #[expect(clippy::disallowed_methods, reason = "only differences matter here")]
    fn start() -> Instant {
        Instant::now()
    }

    fn seconds(duration: Option<Duration>) -> f64 {
        duration.unwrap().as_secs_f64()
    }

    #[test]
    fn the_estimate_is_unknown_until_measured_and_zero_when_done() {
        let rate = CompletionRate::default();
        assert_eq!(rate.eta(5), None);
        assert_eq!(rate.eta(0), Some(Duration::ZERO));
    }

    #[test]
    fn full_rounds_of_simultaneous_answers_give_the_exact_pace() {
        let mut rate = CompletionRate::default();
        let mut now = start();
        rate.set_busy(true, now);
        for _ in 0..10 {
            now += Duration::from_secs(1);
            for _ in 0..20 {
                rate.completed(now, 20);
            }
        }
        // 20 a second, so 600 more take 30 s.
        assert!((seconds(rate.eta(600)) - 30.0).abs() < 1e-6);
    }

    #[test]
    fn a_change_of_pace_is_followed() {
        let mut rate = CompletionRate::default();
        let mut now = start();
        rate.set_busy(true, now);
        for step in [1, 4] {
            for _ in 0..100 {
                now += Duration::from_secs(step);
                rate.completed(now, 2);
            }
        }
        assert!((seconds(rate.eta(10)) - 40.0).abs() < 2.0);
    }

    #[test]
    fn idle_time_does_not_slow_the_pace() {
        let mut rate = CompletionRate::default();
        let mut now = start();
        for _ in 0..20 {
            rate.set_busy(true, now);
            now += Duration::from_secs(1);
            rate.completed(now, 1);
            rate.set_busy(false, now);
            now += Duration::from_secs(3600);
        }
        assert!((seconds(rate.eta(3)) - 3.0).abs() < 0.01);
    }
}
