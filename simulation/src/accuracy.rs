use std::time::Duration;

/// One look at the progress shown while lists were brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// From the start of the run.
    pub(crate) at: Duration,
    /// Lists shown as proven, of so many.
    pub(crate) shown: (u64, u64),
    /// Lists that the store really held.
    pub(crate) stored: u64,
    /// Time shown as left.
    pub(crate) left: Option<Duration>,
}

/// How far what was shown was from the truth, which is known only when all is over. Shares of the whole, 0 to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accuracy {
    /// Share of the lists shown as proven, against the share of the final lists that the store held.
    pub lists: Vec<f32>,
    /// Share of the time that had passed according to the time shown as left, against the share that really had.
    pub time: Vec<f32>,
    /// Share of the lists shown as proven, against the share of the time that had passed.
    pub lists_against_time: Vec<f32>,
}

impl Accuracy {
    /// `began` and `ended` are when lists began to be brought and when the last of them was, `lists` how many the store
    /// held then.
    pub(crate) fn new(samples: &[Sample], began: Duration, ended: Duration, lists: u64) -> Self {
        let mut accuracy = Self::default();
        let length = ended.saturating_sub(began);
        for sample in samples.iter().filter(|sample| sample.at <= ended) {
            let elapsed = sample.at.saturating_sub(began);
            let shown = ratio(sample.shown.0 as f64, sample.shown.1 as f64);
            let passed = ratio(elapsed.as_secs_f64(), length.as_secs_f64());
            let difference = |a: f64, b: f64| narrow((a - b).abs());
            accuracy.lists.push(difference(shown, ratio(sample.stored as f64, lists as f64)));
            accuracy.lists_against_time.push(difference(shown, passed));
            if let Some(left) = sample.left {
                let estimated = ratio(elapsed.as_secs_f64(), (elapsed + left).as_secs_f64());
                accuracy.time.push(difference(estimated, passed));
            }
        }
        accuracy
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.lists.extend(other.lists);
        self.time.extend(other.time);
        self.lists_against_time.extend(other.lists_against_time);
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share needs few digits, and there are millions of them"
)]
fn narrow(share: f64) -> f32 {
    share as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn errors_are_shares_of_the_whole() {
        let sample = Sample { at: SECOND * 6, shown: (50, 100), stored: 40, left: Some(SECOND * 15) };
        let accuracy = Accuracy::new(&[sample], SECOND, SECOND * 11, 100);
        let near = |found: &[f32], expected: f32| found.len() == 1 && (found[0] - expected).abs() < 1e-6;
        // Half is shown, 40 of 100 are stored; half of the time has passed, a quarter is believed to have.
        assert!(near(&accuracy.lists, 0.1), "{accuracy:?}");
        assert!(near(&accuracy.lists_against_time, 0.0), "{accuracy:?}");
        assert!(near(&accuracy.time, 0.25), "{accuracy:?}");
    }

    #[test]
    fn what_is_seen_after_the_last_list_does_not_count() {
        let sample = Sample { at: SECOND * 12, shown: (1, 1), stored: 1, left: Some(Duration::ZERO) };
        assert_eq!(Accuracy::new(&[sample], SECOND, SECOND * 11, 1), Accuracy::default());
    }
}
