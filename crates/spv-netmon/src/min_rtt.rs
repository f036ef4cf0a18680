use std::time::{Duration, Instant};

/// The smallest round trip of the recent past: between half a window and a whole one.
///
/// Two halves instead of all samples: constant memory, and a path that has become longer is believed in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct WindowedMin {
    current: Option<(Instant, Duration)>,
    previous: Option<Duration>,
}

impl WindowedMin {
    pub(crate) fn record(&mut self, sample: Duration, now: Instant, window: Duration) {
        let half = window / 2;
        self.current = Some(match self.current {
            Some((begin, min)) if now.saturating_duration_since(begin) < half => (begin, min.min(sample)),
            Some((begin, min)) if now.saturating_duration_since(begin) < window => {
                self.previous = Some(min);
                (begin + half, sample)
            }
            _ => {
                self.previous = None;
                (now, sample)
            }
        });
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        let (_, current) = self.current?;
        Some(self.previous.map_or(current, |previous| previous.min(current)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[expect(clippy::disallowed_methods, reason = "a base for times; nothing reads it again")]
    fn base() -> Instant {
        Instant::now()
    }

    proptest! {
        /// Never below what a whole window holds, never above what half of one does.
        #[test]
        fn the_minimum_is_that_of_half_a_window_to_a_whole_one(
            samples in prop::collection::vec((1..20_u64, 1..1_000_u64), 1..80),
        ) {
            let (mut min, mut now, mut past) = (WindowedMin::default(), base(), Vec::new());
            prop_assert_eq!(min.get(), None);
            for (wait, sample) in samples {
                now += Duration::from_secs(wait);
                let sample = Duration::from_millis(sample);
                min.record(sample, now, WINDOW);
                past.push((now, sample));
                let since = |age| past.iter().filter(move |(at, _)| now - *at < age).map(|(_, sample)| *sample).min();
                prop_assert!(min.get() >= since(WINDOW));
                prop_assert!(min.get() <= Some(sample));
                let half: Vec<_> = past.iter().filter(|(at, _)| now - *at < WINDOW / 2).collect();
                prop_assert!(half.iter().all(|(_, sample)| min.get() <= Some(*sample)));
            }
        }
    }
}
