use std::fmt;
use std::ops::AddAssign;

use super::fault::Fault;

/// What a disk did, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survived {
    /// Syncs that were dropped at some moment.
    pub kills: u64,
    /// Times that the power went at some use of the disk.
    pub power_losses: u64,
    /// Times that the disk was full at some point.
    pub full: u64,
    /// Bits that flipped.
    pub flips: u64,
    /// Times that the disk was slow.
    pub slow: u64,
    /// Syncs that ended with an error, in words.
    pub errors: u64,
    /// Times that damage was found and said, when the store was opened or its rows were read.
    pub damage: u64,
}

impl Survived {
    pub(super) fn count(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(_) => self.kills += 1,
            Fault::PowerGoesAt(_) => self.power_losses += 1,
            Fault::Full(_) => self.full += 1,
            Fault::Flips(count) => self.flips += u64::from(count),
            Fault::Slow(_) => self.slow += 1,
        }
    }
}

impl AddAssign for Survived {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.power_losses += other.power_losses;
        self.full += other.full;
        self.flips += other.flips;
        self.slow += other.slow;
        self.errors += other.errors;
        self.damage += other.damage;
    }
}

impl fmt::Display for Survived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, power_losses, full, flips, slow, errors, damage } = self;
        write!(
            f,
            "{kills} kills, {power_losses} power losses, {full} full and {slow} slow disks, {flips} flipped bits; \
             {errors} syncs ended with an error, damage was found {damage} times"
        )
    }
}
