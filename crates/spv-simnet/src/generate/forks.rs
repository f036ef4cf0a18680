use std::fmt;
use std::ops::RangeInclusive;

use super::spec_error::{SpecError, check};

/// Heights at which the rules of a generated chain change; `None`, the default, is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forks {
    /// `dip8=H`: first height at which coinbases have a root of quorums, and no ChainLock before it. Default: with the first
    /// list. 1 to 100,000.
    pub dip8: Option<u32>,
    /// `v24=H`: coinbases of version 4 from here on, and extended addresses for whoever announces itself, and for a third of
    /// the others at once. From 144 on, as the following.
    pub v24: Option<u32>,
    /// `legacy-evo=H`: every second EvoNode goes back to an entry of version 1, which does not say what it is.
    pub legacy_evo: Option<u32>,
    /// `later=H`: coinbases of a version above all that are known, which append something to what is known.
    pub later: Option<u32>,
    /// `opaque=H`: coinbases of such a version, whose roots are of something that is not known either.
    pub opaque: Option<u32>,
}

impl Forks {
    /// None at all.
    pub const NONE: Self = Self { dip8: None, v24: None, legacy_evo: None, later: None, opaque: None };

    fn named(&self) -> [(&'static str, Option<u32>, RangeInclusive<u64>); 5] {
        [
            ("dip8", self.dip8, DIP8),
            ("v24", self.v24, LATE),
            ("legacy-evo", self.legacy_evo, LATE),
            ("later", self.later, LATE),
            ("opaque", self.opaque, LATE),
        ]
    }

    /// The place of the fork with this name in text, and its limits.
    pub(super) fn by_name(
        &mut self,
        name: &str,
    ) -> Option<(&mut Option<u32>, &'static str, RangeInclusive<u64>)> {
        let (name, _, limits) = self.named().into_iter().find(|(known, ..)| *known == name)?;
        let height = match name {
            "dip8" => &mut self.dip8,
            "v24" => &mut self.v24,
            "legacy-evo" => &mut self.legacy_evo,
            "later" => &mut self.later,
            _ => &mut self.opaque,
        };
        Some((height, name, limits))
    }

    pub(super) fn validate(&self) -> Result<(), SpecError> {
        let mut named = self.named().into_iter();
        named.try_for_each(|(name, height, limits)| {
            height.map_or(Ok(()), |height| check(name, height.into(), limits))
        })
    }
}

/// Each with a comma before it.
impl fmt::Display for Forks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = self.named().into_iter().filter_map(|(name, height, _)| Some((name, height?)));
        named.try_for_each(|(name, height)| write!(f, ",{name}={height}"))
    }
}

/// Whether a fork has taken place at this height.
pub(super) fn is_active(fork: Option<u32>, height: u32) -> bool {
    fork.is_some_and(|fork| height >= fork)
}

/// The first lists that quorums are chosen from are older, and v20 is active.
const LATE: RangeInclusive<u64> = 144..=2_000_000;
const DIP8: RangeInclusive<u64> = 1..=100_000;
