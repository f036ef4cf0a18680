use std::time::Duration;

use fastrand::Rng;

use super::reference::Reference;

/// What happens to an attempt to sync, and to its disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// It is killed after a time, wherever it is then.
    Kill(Duration),
    /// The power goes at this use of the disk, which may be in the middle of a transaction.
    PowerGoesAt(u64),
    /// The disk is full after this number of further bytes.
    Full(u64),
    /// This number of bits flip, at different times.
    Flips(u32),
    /// Each write takes this long in real time.
    Slow(Duration),
}

impl Fault {
    pub(super) fn draw(rng: &mut Rng, reference: &Reference, flips: bool) -> Self {
        match rng.u32(..if flips { 16 } else { 10 }) {
            0..3 => Self::Kill(reference.makespan.mul_f64(1.2 * rng.f64())),
            3..7 => Self::PowerGoesAt(rng.u64(1..=reference.operations)),
            7..9 => Self::Full(rng.u64(..=reference.bytes)),
            9 => Self::Slow(Duration::from_micros(rng.u64(..2_000))),
            _ => Self::Flips(rng.u32(1..=20)),
        }
    }

    /// When it ends the attempt.
    pub(super) fn moment(self) -> Option<Duration> {
        match self {
            Self::Kill(after) => Some(after),
            _ => None,
        }
    }

    pub(super) fn flips(self) -> u32 {
        match self {
            Self::Flips(count) => count,
            _ => 0,
        }
    }

    /// Whether the sync may end with an error.
    pub(super) fn explains_errors(self) -> bool {
        matches!(self, Self::PowerGoesAt(_) | Self::Full(_))
    }
}
