use std::time::Duration;

use fastrand::Rng;
use spv_recovery::Backoff;
use tokio::time::Instant;

/// How long to wait before a node is tried again.
///
/// One that has served is missed: it is tried the more rarely, the longer it is away, so that its return is noticed
/// within half the time that it was away. One that was never there is tried with exponential backoff.
#[derive(Debug)]
pub(super) struct Absence {
    base: Duration,
    cap: Duration,
    /// Attempts that failed since it was last there.
    failures: u32,
    left: Option<Instant>,
}

impl Absence {
    pub(super) const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0, left: None }
    }

    /// The node was there until now.
    pub(super) const fn begins(&mut self, now: Instant) {
        self.failures = 0;
        self.left = Some(now);
    }

    /// An attempt to connect failed.
    pub(super) const fn goes_on(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The node was there and did what no honest one does: nobody misses it.
    pub(super) const fn is_deserved(&mut self) {
        self.left = None;
        self.failures = self.failures.saturating_add(1);
    }

    /// A random wait, so that the clients of a node that comes back do not come all at once.
    pub(super) fn wait(&self, now: Instant, rng: &mut Rng) -> Duration {
        let Some(left) = self.left else {
            return Backoff::new(self.base, self.cap).delay(self.failures, rng);
        };
        let longest = ((now - left) / 2).clamp(self.base, self.cap.max(self.base));
        Backoff::new(longest, longest).delay(0, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(500);
    const CAP: Duration = Duration::from_secs(30);

    /// Attempts within a time that the node is away, and the longest wait among them.
    fn tries(absence: &mut Absence, within: Duration, seed: u64) -> (u32, Duration) {
        let (start, mut rng) = (Instant::now(), Rng::with_seed(seed));
        let (mut now, mut longest) = (start, Duration::ZERO);
        let mut tries = 0;
        while now < start + within {
            let wait = absence.wait(now, &mut rng);
            (now, longest) = (now + wait, longest.max(wait));
            absence.goes_on();
            tries += 1;
        }
        (tries, longest)
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_was_there_is_missed_for_at_most_half_as_long_as_it_was_away() {
        for seed in 0..20 {
            let mut absence = Absence::new(BASE, CAP);
            absence.begins(Instant::now());
            let (few, longest) = tries(&mut absence, Duration::from_secs(4), seed);
            assert!((4..30).contains(&few) && longest <= Duration::from_secs(2), "{few} tries, {longest:?}");
            absence.begins(Instant::now());
            let (many, longest) = tries(&mut absence, Duration::from_secs(3_600), seed);
            assert!(many < 400 && longest <= CAP, "{many} tries, {longest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_misbehaves_whenever_it_is_there_is_tried_ever_more_rarely() {
        let mut absence = Absence::new(BASE, CAP);
        absence.begins(Instant::now());
        (0..10).for_each(|_| absence.is_deserved());
        let mut rng = Rng::with_seed(1);
        let longest = (0..100).map(|_| absence.wait(Instant::now(), &mut rng)).max();
        assert!(longest > Some(CAP / 2) && longest <= Some(CAP));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_was_there_is_tried_ever_more_rarely() {
        let mut absence = Absence::new(BASE, CAP);
        (0..10).for_each(|_| absence.goes_on());
        let mut rng = Rng::with_seed(1);
        let longest = (0..100).map(|_| absence.wait(Instant::now(), &mut rng)).max();
        assert!(longest > Some(CAP / 2) && longest <= Some(CAP));
    }
}
