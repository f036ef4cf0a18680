/// How blocks follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Each 150 s after the one before, at a difficulty that never changes.
    Regtest,
    /// So that DarkGravityWave finds what it asks for and leaves the difficulty as it is: it looks at the time from the
    /// first to the last of 24 blocks, and wants that to be 24 times the [spacing](RETARGETING_SPACING).
    Retargeting,
}

impl Pace {
    /// From the start to the block at `height`.
    pub(super) fn seconds(self, height: u32) -> u32 {
        match self {
            Self::Regtest => height * SECONDS_PER_BLOCK,
            Self::Retargeting => {
                let (windows, rest) = (height / INTERVALS, height % INTERVALS);
                windows * WINDOW + rest * WINDOW / INTERVALS
            }
        }
    }

    /// What the difficulty is, where it is not the parent's.
    pub(super) fn bits(self) -> Option<u32> {
        (self == Self::Retargeting).then_some(SIXTEENTH)
    }
}

const SECONDS_PER_BLOCK: u32 = 150;
/// Between 24 blocks.
const INTERVALS: u32 = 23;
const WINDOW: u32 = 24 * RETARGETING_SPACING;
/// In seconds. DarkGravityWave multiplies a target by the time of 24 blocks, in 256 bits, and blocks that are mined in a
/// moment have targets of nearly as many.
pub(super) const RETARGETING_SPACING: u32 = 1;
/// A sixteenth of regtest's target.
const SIXTEENTH: u32 = 0x2007_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_four_blocks_always_take_as_long_as_their_retargeting_wants() {
        for height in 0..500 {
            let pace = Pace::Retargeting;
            assert_eq!(pace.seconds(height + INTERVALS) - pace.seconds(height), WINDOW, "{height}");
        }
    }
}
