use std::fmt;
use std::num::ParseIntError;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What kind of chain to generate. As text: `generated:masternodes=N,cycles=N,seed=N`; what is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedSpec {
    /// Masternodes, about constant over the chain. Default 50, 4 to 5,000.
    pub masternodes: u32,
    /// Quorum cycles of 24 blocks about which `getqrinfo` can be asked with extra share. Default 20, 1 to 1,000.
    pub cycles: u32,
    /// Equal seeds give equal chains. Default 1.
    pub seed: u64,
}

impl GeneratedSpec {
    /// Name that its text form starts with.
    pub const SCHEME: &'static str = "generated";

    /// Whether the numbers are in range.
    ///
    /// # Errors
    /// [`SpecError::OutOfRange`] for the first that is not.
    pub fn validate(&self) -> Result<(), SpecError> {
        check("masternodes", u64::from(self.masternodes), MASTERNODES)?;
        check("cycles", u64::from(self.cycles), CYCLES)
    }
}

impl Default for GeneratedSpec {
    fn default() -> Self {
        Self { masternodes: 50, cycles: 20, seed: 1 }
    }
}

impl fmt::Display for GeneratedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { masternodes, cycles, seed } = self;
        write!(f, "{}:masternodes={masternodes},cycles={cycles},seed={seed}", Self::SCHEME)
    }
}

impl FromStr for GeneratedSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(Self::SCHEME).ok_or_else(|| SpecError::Scheme(text.to_owned()))?;
        let mut spec = Self::default();
        if rest.is_empty() {
            return Ok(spec);
        }
        let parts = rest.strip_prefix(':').ok_or_else(|| SpecError::Scheme(text.to_owned()))?;
        for part in parts.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| SpecError::Key(part.to_owned()))?;
            let number = |limit: RangeInclusive<u64>, key: &'static str| {
                let number = value.parse().map_err(|source| SpecError::Number {
                    key,
                    value: value.to_owned(),
                    source,
                })?;
                check(key, number, limit).map(|()| number)
            };
            match key {
                "masternodes" => spec.masternodes = saturate(number(MASTERNODES, "masternodes")?),
                "cycles" => spec.cycles = saturate(number(CYCLES, "cycles")?),
                "seed" => spec.seed = number(0..=u64::MAX, "seed")?,
                _ => return Err(SpecError::Key(key.to_owned())),
            }
        }
        Ok(spec)
    }
}

/// Why a text describes no chain that can be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It does not start with the scheme.
    #[error("{0:?} is no generated chain; use generated:masternodes=N,cycles=N,seed=N")]
    Scheme(String),
    /// A part is not one of the known settings.
    #[error("unknown setting {0:?}; use masternodes=N, cycles=N or seed=N")]
    Key(String),
    /// A value is no number.
    #[error("{key}={value:?} is no number")]
    Number {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why it is none.
        #[source]
        source: ParseIntError,
    },
    /// A number is too small or too large.
    #[error("{key}={value} is not within {smallest} to {largest}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: u64,
        /// Smallest value possible.
        smallest: u64,
        /// Largest value possible.
        largest: u64,
    },
}

fn check(key: &'static str, value: u64, limit: RangeInclusive<u64>) -> Result<(), SpecError> {
    let (smallest, largest) = (*limit.start(), *limit.end());
    if limit.contains(&value) { Ok(()) } else { Err(SpecError::OutOfRange { key, value, smallest, largest }) }
}

/// For numbers that have passed a check against a 32-bit range.
fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A rotated regtest quorum needs four members.
const MASTERNODES: RangeInclusive<u64> = 4..=5_000;
/// A thousand cycles are 24,000 blocks.
const CYCLES: RangeInclusive<u64> = 1..=1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_parts_are_optional() {
        let spec = GeneratedSpec { masternodes: 500, cycles: 120, seed: 7 };
        assert_eq!(spec.to_string(), "generated:masternodes=500,cycles=120,seed=7");
        assert_eq!(spec.to_string().parse(), Ok(spec));
        assert_eq!("generated".parse(), Ok(GeneratedSpec::default()));
        assert_eq!("generated:seed=9".parse(), Ok(GeneratedSpec { seed: 9, ..GeneratedSpec::default() }));
    }

    #[test]
    fn each_mistake_is_named() {
        let parse = |text: &str| text.parse::<GeneratedSpec>().unwrap_err().to_string();
        assert_eq!(parse("generated:masternodes=3"), "masternodes=3 is not within 4 to 5000");
        assert_eq!(parse("generated:cycles=1001"), "cycles=1001 is not within 1 to 1000");
        assert_eq!(parse("generated:cycles=many"), r#"cycles="many" is no number"#);
        assert!(parse("generated:nodes=5").starts_with(r#"unknown setting "nodes""#));
        assert!(parse("generated:seed").starts_with(r#"unknown setting "seed""#));
        assert!(parse("some/dir").starts_with(r#""some/dir" is no generated chain"#));
    }
}
