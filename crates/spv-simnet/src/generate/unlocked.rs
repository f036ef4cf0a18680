use std::fmt;

/// Heights of blocks that no quorum locks, as when the network is torn apart: up to eight ranges. As text first and last
/// height of each, with a plus sign between the ranges: `404-440+500-510`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unlocked {
    ranges: [Option<(u32, u32)>; MAX_RANGES],
}

impl Unlocked {
    /// Every block is locked.
    pub const NONE: Self = Self { ranges: [None; MAX_RANGES] };

    /// These blocks are not, by first and last height.
    ///
    /// # Panics
    /// When there are more than eight ranges.
    pub const fn new(ranges: &[(u32, u32)]) -> Self {
        assert!(ranges.len() <= MAX_RANGES, "there are at most eight ranges");
        let mut unlocked = Self::NONE;
        let mut index = 0;
        while index < ranges.len() {
            unlocked.ranges[index] = Some(ranges[index]);
            index += 1;
        }
        unlocked
    }

    pub(super) fn contains(&self, height: u32) -> bool {
        self.ranges.iter().flatten().any(|&(first, last)| (first..=last).contains(&height))
    }

    /// Reads the text form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let range = |text: &str| {
            let (first, last) = text.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        let ranges: Vec<(u32, u32)> = text.split('+').map(range).collect::<Option<_>>()?;
        (ranges.len() <= MAX_RANGES).then(|| Self::new(&ranges))
    }
}

impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().flatten().enumerate() {
            if index > 0 {
                f.write_str("+")?;
            }
            write!(f, "{first}-{last}")?;
        }
        Ok(())
    }
}

const MAX_RANGES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let unlocked = Unlocked::parse("404-440+500-500").unwrap();
        assert_eq!(
            (unlocked, unlocked.to_string().as_str()),
            (Unlocked::new(&[(404, 440), (500, 500)]), "404-440+500-500")
        );
        assert_eq!(
            [403, 404, 440, 441, 500, 501].map(|height| unlocked.contains(height)),
            [false, true, true, false, true, false]
        );
        for text in ["", "5", "5-", "a-b", "1-2+", &["1-2"; 9].join("+")] {
            assert!(Unlocked::parse(text).is_none(), "{text:?}");
        }
    }
}
