use std::fmt;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::store::BanReason;

/// Whether a node may be asked; if not, why, and for how much longer where that is known.
///
/// Serialises to an object with `state`, `reason` (a sentence for people) and
/// `seconds`, null where time alone changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may be asked for anything.
    Ready,
    /// It has greeted, but has not answered a ping yet: it may be asked for headers alone.
    Unproven,
    /// There is no connection to it.
    Absent {
        /// Until the next attempt to connect.
        wait: Option<Duration>,
    },
    /// Requests to it failed, so it is left alone while others can be asked.
    Resting {
        /// Until it is tried again.
        wait: Duration,
    },
    /// It has rested, and the one request that shows whether it does better is under way.
    Probing,
    /// It has refused as many requests as it may be made to on one connection.
    Spent,
    /// It is not connected to for a while because of what it did.
    Banned {
        /// Until the ban ends.
        wait: Duration,
        /// What it did.
        reason: BanReason,
    },
}

impl Standing {
    /// Name as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unproven => "unproven",
            Self::Absent { .. } => "absent",
            Self::Resting { .. } => "resting",
            Self::Probing => "probing",
            Self::Spent => "spent",
            Self::Banned { .. } => "banned",
        }
    }

    /// How much longer it holds if nothing else happens; `None` where time alone changes nothing.
    pub const fn wait(self) -> Option<Duration> {
        match self {
            Self::Absent { wait } => wait,
            Self::Resting { wait } | Self::Banned { wait, .. } => Some(wait),
            Self::Ready | Self::Unproven | Self::Probing | Self::Spent => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("may be asked"),
            Self::Unproven => f.write_str("has not answered a ping yet, may be asked for headers alone"),
            Self::Absent { wait: None } => f.write_str("not connected"),
            Self::Absent { wait: Some(wait) } => {
                write!(f, "not connected, next attempt in {}", Rounded(*wait))
            }
            Self::Resting { wait } => write!(f, "rests after failures for {}", Rounded(*wait)),
            Self::Probing => f.write_str("on probation, waits for the outcome of one request"),
            Self::Spent => f.write_str("has refused as many requests as it may on one connection"),
            Self::Banned { wait, reason } => {
                write!(f, "avoided for {} because it {}", Rounded(*wait), offence(*reason))
            }
        }
    }
}

const fn offence(reason: BanReason) -> &'static str {
    match reason {
        BanReason::Lied => "sent something wrong",
        BanReason::Refuses => "refused everything",
        BanReason::Behind => "is far behind",
        BanReason::Manual => "was banned by hand",
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Standing", 3)?;
        object.serialize_field("state", self.as_str())?;
        object.serialize_field("reason", &self.to_string())?;
        object.serialize_field("seconds", &self.wait().map(|wait| wait.as_secs_f64()))?;
        object.end()
    }
}

/// A duration in the largest unit that it fills, rounded up.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_millis().div_ceil(1_000);
        // Each unit by the rounded number of the one before: two hours are 2 h also a second later.
        let minutes = seconds.div_ceil(60);
        match (seconds, minutes) {
            (..120, _) => write!(f, "{seconds} s"),
            (_, ..120) => write!(f, "{minutes} min"),
            _ => write!(f, "{} h", minutes.div_ceil(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standing_says_in_words_why_and_for_how_long() {
        let wait = Duration::from_millis(1_500);
        for (standing, words) in [
            (Standing::Ready, "may be asked"),
            (Standing::Absent { wait: Some(wait) }, "not connected, next attempt in 2 s"),
            (Standing::Resting { wait: 90 * wait }, "rests after failures for 3 min"),
            (Standing::Resting { wait: Duration::from_secs(7_199) }, "rests after failures for 2 h"),
            (
                Standing::Banned { wait: 57_600 * wait, reason: BanReason::Lied },
                "avoided for 24 h because it sent something wrong",
            ),
        ] {
            assert_eq!(standing.to_string(), words);
        }
    }
}
