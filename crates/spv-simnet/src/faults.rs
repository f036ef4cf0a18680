//! What a simulated node does wrong.

mod plan;
mod schedule;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use humantime_serde::re::humantime;
use serde::{Deserialize, Serialize};

pub use schedule::Schedule;

pub(crate) use plan::{Fault, FaultPlan};

/// What a simulated node does wrong, in which cases. They concern `qrinfo` and `mnlistdiff`, with
/// [`headers`](Self::headers) also `headers`. At most one fault hits a request, the first of the order below.
///
/// As text, and in configuration files, faults are separated by commas:
/// `drop=0.1,refuse=every:4,delay=0.1:500ms,silent`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct Faults {
    /// `silent`: nothing is ever answered after the handshake, not even pings.
    pub silent: bool,
    /// `refuse-all`: every request is refused.
    pub refuse_all: bool,
    /// `headers`: the other faults concern `getheaders` too.
    pub headers: bool,
    /// `disconnect=S`: the connection is closed instead of an answer; concerns `getheaders` in any case.
    pub disconnect: Schedule,
    /// `refuse=S`: no answer but its pong, and a point of misbehaviour, as if the node lacked the data.
    pub refuse: Schedule,
    /// `drop=S`: no answer but its pong, without a point of misbehaviour, as after an error inside the node.
    pub drop: Schedule,
    /// `stall=S`: no answer, and no pong for the next ping of the connection either.
    pub stall: Schedule,
    /// `wrong=S`: the honest answer to a different request.
    pub wrong: Schedule,
    /// `corrupt=S`: one byte of the payload is changed; the frame's checksum fits.
    pub corrupt: Schedule,
    /// `bad-checksum=S`: the frame's checksum does not fit.
    pub bad_checksum: Schedule,
    /// `delay=S:TIME`: the answer, and all that follows on the connection, comes so much later.
    pub delay: Schedule,
    /// How much later: at most 1 h.
    pub delay_by: Duration,
    /// `late=S:TIME`: the answer comes so much later, but its pong and all that follows do not wait for it.
    pub late: Schedule,
    /// How much later: at most 1 h.
    pub late_by: Duration,
    /// `duplicate=S` or `duplicate=S:TIME`: the answer is sent a second time, right behind the first or so much later.
    /// Nothing waits for the second one.
    pub duplicate: Schedule,
    /// How much later: at most 1 h. Default 0.
    pub duplicate_after: Duration,
    /// `reorder=S`: the answer, and with it its pong, is held back until the next answer on the connection has been
    /// sent, or until 300 ms have passed without one.
    pub reorder: Schedule,
}

impl Faults {
    fn schedules(&self) -> [(&'static str, Schedule); 8] {
        [
            ("disconnect", self.disconnect),
            ("refuse", self.refuse),
            ("drop", self.drop),
            ("stall", self.stall),
            ("wrong", self.wrong),
            ("corrupt", self.corrupt),
            ("bad-checksum", self.bad_checksum),
            ("reorder", self.reorder),
        ]
    }

    fn set(&mut self, fault: &str) -> Result<(), FaultsError> {
        let unknown = || FaultsError::Unknown(fault.to_owned());
        let Some((name, value)) = fault.split_once('=') else {
            let flag = match fault {
                "silent" => &mut self.silent,
                "refuse-all" => &mut self.refuse_all,
                "headers" => &mut self.headers,
                _ => return Err(unknown()),
            };
            *flag = true;
            return Ok(());
        };
        let schedule =
            |text: &str| Schedule::parse(text).ok_or_else(|| FaultsError::Schedule(fault.to_owned()));
        let delayed = || {
            let (when, time) = value.rsplit_once(':').ok_or_else(|| FaultsError::Delay(fault.to_owned()))?;
            let time = humantime::parse_duration(time).map_err(|_| FaultsError::Delay(fault.to_owned()))?;
            Ok((schedule(when)?, time))
        };
        match name {
            "disconnect" => self.disconnect = schedule(value)?,
            "refuse" => self.refuse = schedule(value)?,
            "drop" => self.drop = schedule(value)?,
            "stall" => self.stall = schedule(value)?,
            "wrong" => self.wrong = schedule(value)?,
            "corrupt" => self.corrupt = schedule(value)?,
            "bad-checksum" => self.bad_checksum = schedule(value)?,
            "delay" => (self.delay, self.delay_by) = delayed()?,
            "late" => (self.late, self.late_by) = delayed()?,
            "duplicate" => {
                (self.duplicate, self.duplicate_after) =
                    schedule(value).map(|when| (when, Duration::ZERO)).or_else(|_| delayed())?;
            }
            "reorder" => self.reorder = schedule(value)?,
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut faults = Self::default();
        for fault in text.split(',').map(str::trim).filter(|fault| !fault.is_empty()) {
            faults.set(fault)?;
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [("silent", self.silent), ("refuse-all", self.refuse_all), ("headers", self.headers)];
        let delays = [
            ("delay", self.delay, self.delay_by),
            ("late", self.late, self.late_by),
            ("duplicate", self.duplicate, self.duplicate_after),
        ];
        let flags = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned());
        let schedules = self.schedules().into_iter().filter(|(_, schedule)| *schedule != Schedule::Never);
        let delays = delays.into_iter().filter(|(_, schedule, _)| *schedule != Schedule::Never);
        let parts: Vec<String> = flags
            .chain(schedules.map(|(name, schedule)| format!("{name}={schedule}")))
            .chain(delays.map(|(name, schedule, by)| match by {
                Duration::ZERO if name == "duplicate" => format!("{name}={schedule}"),
                // A duration with several parts is printed with spaces between them, which parse without too.
                _ => format!(
                    "{name}={schedule}:{}",
                    humantime::format_duration(by).to_string().replace(' ', "")
                ),
            }))
            .collect();
        f.write_str(&parts.join(","))
    }
}

impl TryFrom<String> for Faults {
    type Error = FaultsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Faults> for String {
    fn from(faults: Faults) -> Self {
        faults.to_string()
    }
}

/// Why a text describes no faults. Each holds the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// There is no such fault.
    #[error(
        "unknown fault {0:?}; use silent, refuse-all, headers, or one of disconnect, refuse, drop, stall, wrong, \
         corrupt, bad-checksum, reorder, delay, late and duplicate with =WHEN"
    )]
    Unknown(String),
    /// What follows the name does not say when.
    #[error("{0:?} does not say when; use a probability from 0 to 1, every:N or first:N")]
    Schedule(String),
    /// A delay has no time.
    #[error("{0:?} does not say how long; use WHEN:TIME, for example 0.1:500ms")]
    Delay(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "silent,refuse-all,headers,disconnect=0.01,refuse=0.2,drop=0.1,stall=first:2,wrong=0.5,\
                       corrupt=every:3,bad-checksum=1,reorder=every:5,delay=0.1:500ms,late=every:2:1m1s,\
                       duplicate=every:3:200ms";

    #[test]
    fn text_form_round_trips() {
        let faults: Faults = ALL.parse().unwrap();
        assert_eq!(faults.to_string(), ALL);
        assert_eq!(faults.late_by, Duration::from_secs(61));
        assert_eq!("".parse(), Ok(Faults::default()));
        let at_once: Faults = "duplicate=every:3".parse().unwrap();
        assert_eq!(
            (at_once.duplicate_after, at_once.to_string().as_str()),
            (Duration::ZERO, "duplicate=every:3")
        );
        let json = serde_json::to_string(&faults).unwrap();
        assert_eq!(json, format!("{ALL:?}"));
        assert_eq!(serde_json::from_str::<Faults>(&json).unwrap(), faults);
    }

    #[test]
    fn each_mistake_is_named() {
        let parse = |text: &str| text.parse::<Faults>().unwrap_err();
        assert_eq!(parse("drop=0.1,loud"), FaultsError::Unknown("loud".into()));
        assert_eq!(parse("lose=0.1"), FaultsError::Unknown("lose=0.1".into()));
        assert_eq!(parse("drop=2"), FaultsError::Schedule("drop=2".into()));
        assert_eq!(parse("delay=0.1"), FaultsError::Delay("delay=0.1".into()));
        assert_eq!(parse("late=0.1:soon"), FaultsError::Delay("late=0.1:soon".into()));
        assert_eq!(parse("duplicate=0.1:soon"), FaultsError::Delay("duplicate=0.1:soon".into()));
        assert_eq!(parse("reorder=often"), FaultsError::Schedule("reorder=often".into()));
    }
}
