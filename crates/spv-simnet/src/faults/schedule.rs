use std::fmt;
use std::num::NonZeroU32;

/// Which requests are hit by a fault.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Schedule {
    /// None.
    #[default]
    Never,
    /// Each with this probability, 0 to 1. As text: `0.25`.
    Probability(f64),
    /// Every n-th, the n-th first. As text: `every:3`.
    Every(NonZeroU32),
    /// The first n. As text: `first:3`.
    First(u32),
}

impl Schedule {
    /// Whether the request with this 1-based number is hit, given a random number from 0 to below 1.
    pub(crate) fn hits(self, number: u64, random: f64) -> bool {
        match self {
            Self::Never => false,
            Self::Probability(probability) => random < probability,
            Self::Every(n) => number.is_multiple_of(u64::from(n.get())),
            Self::First(n) => number <= u64::from(n),
        }
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(n) = text.strip_prefix("every:") {
            return n.parse().map(Self::Every).ok();
        }
        if let Some(n) = text.strip_prefix("first:") {
            return n.parse().map(Self::First).ok();
        }
        let probability: f64 = text.parse().ok()?;
        match probability {
            0.0 => Some(Self::Never),
            _ => (0.0..=1.0).contains(&probability).then_some(Self::Probability(probability)),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("0"),
            Self::Probability(probability) => write!(f, "{probability}"),
            Self::Every(n) => write!(f, "every:{n}"),
            Self::First(n) => write!(f, "first:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(text: &str, count: u64) -> Vec<u64> {
        let schedule = Schedule::parse(text).unwrap();
        let mut rng = fastrand::Rng::with_seed(1);
        (1..=count).filter(|&number| schedule.hits(number, rng.f64())).collect()
    }

    #[test]
    fn schedules_hit_what_they_say() {
        assert_eq!(hits("every:3", 7), [3, 6]);
        assert_eq!(hits("first:2", 7), [1, 2]);
        assert_eq!(hits("0", 7), [] as [u64; 0]);
        assert_eq!(hits("1", 3), [1, 2, 3]);
        let quarter = hits("0.25", 10_000).len();
        assert!((2_300..2_700).contains(&quarter), "{quarter} of 10000");
        assert_eq!(hits("0.25", 100), hits("0.25", 100), "equal seeds, equal faults");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "1.1", "-0.1", "NaN", "every:0", "every:", "first:x", "often"] {
            assert!(Schedule::parse(text).is_none(), "{text:?}");
        }
    }
}
