use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use dashcore::ChainParams;
use dashcore::params::Retargeting;

use super::forks::Forks;
use super::pace::RETARGETING_SPACING;
use super::profile::QuorumProfile;
use super::spec_error::{SpecError, check};
use super::unlocked::Unlocked;

/// What kind of chain to generate. As text: `generated:masternodes=N,cycles=N,seed=N,quorums=small|mainnet,
/// signatures=valid|none` and so on; what is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedSpec {
    /// Masternodes, about constant over the chain. Default 50, 4 to 5,000; at least 1,000 for mainnet's quorums.
    pub masternodes: u32,
    /// Cycles of the rotated quorums about which `getqrinfo` can be asked with extra share. Default 20, 1 to 1,000.
    pub cycles: u32,
    /// Equal seeds give equal chains. Default 1.
    pub seed: u64,
    /// Which quorums form, and on which kind of network. `None` (default): mainnet's from 1,000 masternodes on, else the small
    /// ones.
    pub quorums: Option<QuorumProfile>,
    /// Whether keys are real and commitments and ChainLocks signed with them (default). Without, they are random bytes
    /// of the right form, made in a fraction of the time.
    pub signatures: bool,
    /// Blocks at the beginning in which nothing happens, as far as headers alone matter; rounded up to a multiple of 576,
    /// and added to the heights at which rules start. Default 0, up to 1,000,000.
    pub quiet: u32,
    /// Time of the last block, in seconds since 1970; the others precede it at 150 s each. Default: the first block is
    /// made 150 s after genesis. 1,700,000,000 to 4,200,000,000.
    pub tip_time: Option<u32>,
    /// Whether blocks are sixteen times as hard as regtest's, one a second, and DarkGravityWave holds, as on the public
    /// networks; not by default. No option of `qrsync` says so of regtest: such a chain is for clients that take its parameters from here.
    pub retargets: bool,
    /// Blocks that no quorum locks; by default there are none but those before the first quorum. Coinbases
    /// there carry the newest lock before.
    pub unlocked: Unlocked,
    /// Heights at which rules change.
    pub forks: Forks,
}

impl GeneratedSpec {
    /// Name that its text form starts with.
    pub const SCHEME: &'static str = "generated";

    /// The defaults, for constants.
    pub const DEFAULT: Self = Self {
        masternodes: 50,
        cycles: 20,
        seed: 1,
        quorums: None,
        signatures: true,
        quiet: 0,
        tip_time: None,
        retargets: false,
        unlocked: Unlocked::NONE,
        forks: Forks::NONE,
    };

    /// Whether the numbers are in range.
    ///
    /// # Errors
    /// [`SpecError::OutOfRange`] for the first that is not.
    pub fn validate(&self) -> Result<(), SpecError> {
        check("masternodes", u64::from(self.masternodes), MASTERNODES)?;
        if self.quorums == Some(QuorumProfile::Mainnet) {
            check("masternodes", u64::from(self.masternodes), FOR_MAINNET..=*MASTERNODES.end())?;
        }
        check("cycles", u64::from(self.cycles), CYCLES)?;
        check("quiet", u64::from(self.quiet), QUIET)?;
        self.forks.validate()?;
        self.tip_time.map_or(Ok(()), |time| check("tip-time", u64::from(time), TIP_TIME))
    }

    /// Which quorums form: those given, or the default for this many masternodes.
    pub fn profile(&self) -> QuorumProfile {
        let for_mainnet = u64::from(self.masternodes) >= FOR_MAINNET;
        let by_size = if for_mainnet { QuorumProfile::Mainnet } else { QuorumProfile::Small };
        self.quorums.unwrap_or(by_size)
    }

    /// Blocks before those of the quorums' intervals, which all divide it.
    pub(super) fn quiet_blocks(&self) -> u32 {
        self.quiet.next_multiple_of(QUIET_STEP)
    }

    /// Parameters of the network that the chain belongs to.
    pub(crate) fn params(&self) -> ChainParams {
        let mut params = self.profile().params();
        let activation = &mut params.activation;
        // Coinbases have no ChainLocks without a root of quorums before.
        if let Some(dip8) = self.forks.dip8 {
            (activation.dip8, activation.v20) = (dip8, activation.v20.max(dip8));
        }
        for height in
            [&mut activation.dip3, &mut activation.v20, &mut activation.mn_rr, &mut activation.withdrawals]
        {
            *height += self.quiet_blocks();
        }
        if self.retargets {
            params.target_spacing = RETARGETING_SPACING;
            params.retargeting = Retargeting::DarkGravityWave {
                from: FIRST_RETARGET,
                exact_from: FIRST_RETARGET,
                allow_min_difficulty: false,
            };
        }
        params
    }
}

impl Default for GeneratedSpec {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for GeneratedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            masternodes,
            cycles,
            seed,
            quorums,
            signatures,
            quiet,
            tip_time,
            retargets,
            unlocked,
            forks,
        } = self;
        write!(f, "{}:masternodes={masternodes},cycles={cycles},seed={seed}", Self::SCHEME)?;
        if let Some(profile) = quorums {
            write!(f, ",quorums={profile}")?;
        }
        if !*signatures {
            f.write_str(",signatures=none")?;
        }
        if *quiet > 0 {
            write!(f, ",quiet={quiet}")?;
        }
        if let Some(time) = tip_time {
            write!(f, ",tip-time={time}")?;
        }
        if *retargets {
            f.write_str(",retargeting=dgw")?;
        }
        if *unlocked != Unlocked::NONE {
            write!(f, ",unlocked={unlocked}")?;
        }
        write!(f, "{forks}")
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
                "quiet" => spec.quiet = saturate(number(QUIET, "quiet")?),
                "tip-time" => spec.tip_time = Some(saturate(number(TIP_TIME, "tip-time")?)),
                "quorums" => {
                    let named = QuorumProfile::ALL.into_iter().find(|profile| profile.to_string() == value);
                    spec.quorums = Some(named.ok_or_else(|| unknown_value("quorums", value))?);
                }
                "retargeting" => {
                    spec.retargets = match value {
                        "none" => false,
                        "dgw" => true,
                        _ => return Err(unknown_value("retargeting", value)),
                    };
                }
                "unlocked" => {
                    spec.unlocked = Unlocked::parse(value).ok_or_else(|| unknown_value("unlocked", value))?;
                }
                "signatures" => {
                    spec.signatures = match value {
                        "valid" => true,
                        "none" => false,
                        _ => return Err(unknown_value("signatures", value)),
                    };
                }
                _ => {
                    let (height, key, limits) =
                        spec.forks.by_name(key).ok_or_else(|| SpecError::Key(key.to_owned()))?;
                    *height = Some(saturate(number(limits, key)?));
                }
            }
        }
        spec.validate()?;
        Ok(spec)
    }
}

fn unknown_value(key: &'static str, value: &str) -> SpecError {
    SpecError::Value { key, value: value.to_owned() }
}

/// For numbers that have passed a check against a 32-bit range.
fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A rotated regtest quorum needs four members.
const MASTERNODES: RangeInclusive<u64> = 4..=5_000;
/// Leaves more enabled than the largest quorums have members, and as many EvoNodes as Platform's need at least.
const FOR_MAINNET: u64 = 1_000;
/// A thousand cycles are 24,000 blocks, or 288,000 with mainnet's quorums.
const CYCLES: RangeInclusive<u64> = 1..=1_000;
/// Three times as much as a year of mainnet's blocks and more.
const QUIET: RangeInclusive<u64> = 0..=1_000_000;
/// So late that the longest chain begins after genesis, and that all times fit into 32 bits.
const TIP_TIME: RangeInclusive<u64> = 1_700_000_000..=4_200_000_000;
/// Above the blocks that have too few before them.
const FIRST_RETARGET: u32 = 100;
/// A multiple of all intervals between sessions.
const QUIET_STEP: u32 = 576;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_parts_are_optional() {
        let spec = GeneratedSpec { masternodes: 500, cycles: 120, seed: 7, ..GeneratedSpec::default() };
        assert_eq!(spec.to_string(), "generated:masternodes=500,cycles=120,seed=7");
        assert_eq!(spec.to_string().parse(), Ok(spec));
        let spec = GeneratedSpec {
            masternodes: 3_200,
            quorums: Some(QuorumProfile::Mainnet),
            signatures: false,
            quiet: 300_000,
            tip_time: Some(1_800_000_000),
            retargets: true,
            unlocked: Unlocked::new(&[(404, 440), (500, 510)]),
            forks: Forks {
                dip8: Some(200),
                v24: Some(500),
                legacy_evo: Some(300),
                later: None,
                opaque: Some(600),
            },
            ..spec
        };
        let text = "generated:masternodes=3200,cycles=120,seed=7,quorums=mainnet,signatures=none,quiet=300000,\
                    tip-time=1800000000,retargeting=dgw,unlocked=404-440+500-510,dip8=200,v24=500,legacy-evo=300,opaque=600";
        assert_eq!((spec.to_string().as_str(), text.parse()), (text, Ok(spec)));
        assert_eq!("generated".parse(), Ok(GeneratedSpec::default()));
        assert_eq!("generated:seed=9".parse(), Ok(GeneratedSpec { seed: 9, ..GeneratedSpec::default() }));
    }

    #[test]
    fn mainnet_s_quorums_are_for_worlds_of_its_size() {
        let profile = |masternodes| GeneratedSpec { masternodes, ..GeneratedSpec::default() }.profile();
        assert_eq!((profile(999), profile(1_000)), (QuorumProfile::Small, QuorumProfile::Mainnet));
    }

    #[test]
    fn each_mistake_is_named() {
        let parse = |text: &str| text.parse::<GeneratedSpec>().unwrap_err().to_string();
        assert_eq!(parse("generated:masternodes=3"), "masternodes=3 is not within 4 to 5000");
        assert_eq!(parse("generated:cycles=1001"), "cycles=1001 is not within 1 to 1000");
        assert_eq!(parse("generated:quiet=1000001"), "quiet=1000001 is not within 0 to 1000000");
        assert_eq!(parse("generated:v24=143"), "v24=143 is not within 144 to 2000000");
        assert_eq!(parse("generated:tip-time=5"), "tip-time=5 is not within 1700000000 to 4200000000");
        assert_eq!(
            parse("generated:masternodes=999,quorums=mainnet"),
            "masternodes=999 is not within 1000 to 5000"
        );
        assert!(parse("generated:quorums=large").starts_with(r#"quorums="large" is not possible"#));
        assert!(parse("generated:signatures=some").starts_with(r#"signatures="some" is not possible"#));
        assert_eq!(parse("generated:cycles=many"), r#"cycles="many" is not a number"#);
        assert!(parse("generated:nodes=5").starts_with(r#"unknown setting "nodes""#));
        assert!(parse("generated:seed").starts_with(r#"unknown setting "seed""#));
        assert!(parse("some/dir").starts_with(r#""some/dir" is not a generated chain"#));
    }
}
