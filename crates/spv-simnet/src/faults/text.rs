//! Faults as text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::{
    ClockOffset, Faults, FaultsError, Flood, InstantLockAnnouncements, JunkChain, LockAnnouncements, Schedule,
};

impl Faults {
    fn schedules(&self) -> [(&'static str, Schedule); 13] {
        [
            ("disconnect", self.disconnect),
            ("refuse", self.refuse),
            ("drop", self.drop),
            ("stall", self.stall),
            ("wrong", self.wrong),
            ("corrupt", self.corrupt),
            ("bad-checksum", self.bad_checksum),
            ("reorder", self.reorder),
            ("forge", self.forge),
            ("truncate", self.truncate),
            ("pad", self.pad),
            ("half-headers", self.half_headers),
            ("bad-headers2", self.bad_headers2),
        ]
    }

    /// What the node is like all the time, as text.
    fn traits(&self) -> impl Iterator<Item = String> {
        [
            self.mute_after.map(|messages| format!("mute-after={messages}")),
            self.trickle.map(|rate| format!("trickle={rate}")),
            (self.behind > 0).then(|| format!("behind={}", self.behind)),
            self.claim.map(|height| format!("claim={height}")),
            self.withhold.map(|height| format!("withhold={height}")),
            self.junk_chain.map(|junk| format!("junk-chain={junk}")),
            self.flood.map(|flood| format!("flood={flood}")),
            self.rate_limit.map(|rate| format!("rate-limit={rate}")),
            (self.clock != ClockOffset::default()).then(|| format!("clock={}", self.clock)),
            (self.locks != LockAnnouncements::default()).then(|| format!("locks={}", self.locks)),
            (self.instant_locks != InstantLockAnnouncements::default())
                .then(|| format!("instant-locks={}", self.instant_locks)),
        ]
        .into_iter()
        .flatten()
    }

    fn set(&mut self, fault: &str) -> Result<(), FaultsError> {
        let unknown = || FaultsError::Unknown(fault.to_owned());
        let Some((name, value)) = fault.split_once('=') else {
            let flag = match fault {
                "silent" => &mut self.silent,
                "refuse-all" => &mut self.refuse_all,
                "headers" => &mut self.headers,
                "no-headers2" => &mut self.no_headers2,
                "no-pong" => &mut self.no_pong,
                "never-read" => &mut self.never_read,
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
            "forge" => self.forge = schedule(value)?,
            "truncate" => self.truncate = schedule(value)?,
            "pad" => self.pad = schedule(value)?,
            "half-headers" => self.half_headers = schedule(value)?,
            "bad-headers2" => self.bad_headers2 = schedule(value)?,
            "trickle" => self.trickle = Some(number(fault, value)?),
            "rate-limit" => self.rate_limit = Some(number(fault, value)?),
            "mute-after" => self.mute_after = Some(number(fault, value)?),
            "behind" => self.behind = number(fault, value)?,
            "claim" => self.claim = Some(number(fault, value)?),
            "withhold" => self.withhold = Some(number(fault, value)?),
            "junk-chain" => {
                let junk = JunkChain::parse(value).ok_or_else(|| FaultsError::Number(fault.to_owned()))?;
                self.junk_chain = Some(junk);
            }
            "flood" => {
                let flood = Flood::parse(value).ok_or_else(|| FaultsError::Flood(fault.to_owned()))?;
                self.flood = Some(flood);
            }
            "locks" => {
                self.locks =
                    LockAnnouncements::parse(value).ok_or_else(|| FaultsError::Locks(fault.to_owned()))?;
            }
            "instant-locks" => {
                self.instant_locks = InstantLockAnnouncements::parse(value)
                    .ok_or_else(|| FaultsError::InstantLocks(fault.to_owned()))?;
            }
            "clock" => {
                self.clock = ClockOffset::parse(value).ok_or_else(|| FaultsError::Clock(fault.to_owned()))?;
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

fn number<N: FromStr>(fault: &str, value: &str) -> Result<N, FaultsError> {
    value.parse().map_err(|_| FaultsError::Number(fault.to_owned()))
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
        let flags = [
            ("silent", self.silent),
            ("refuse-all", self.refuse_all),
            ("headers", self.headers),
            ("no-headers2", self.no_headers2),
            ("no-pong", self.no_pong),
            ("never-read", self.never_read),
        ];
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
            .chain(self.traits())
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "silent,refuse-all,headers,no-headers2,no-pong,never-read,disconnect=0.01,refuse=0.2,drop=0.1,stall=first:2,\
                       wrong=0.5,corrupt=every:3,bad-checksum=1,reorder=every:5,forge=every:4,truncate=0.25,pad=0.5,\
                       half-headers=first:1,bad-headers2=0.75,\
                       delay=0.1:500ms,late=every:2:1m1s,\
                       duplicate=every:3:200ms,mute-after=20,trickle=1,behind=7,claim=0,withhold=600,\
                       junk-chain=500:120,flood=ping:100,rate-limit=5,clock=-6h,locks=early,instant-locks=no-cycle";

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
        assert_eq!(parse("behind=-1"), FaultsError::Number("behind=-1".into()));
        assert_eq!(parse("trickle=0"), FaultsError::Number("trickle=0".into()));
        assert_eq!(parse("claim="), FaultsError::Number("claim=".into()));
        assert_eq!(parse("junk-chain=many"), FaultsError::Number("junk-chain=many".into()));
        assert_eq!(parse("flood=ping"), FaultsError::Flood("flood=ping".into()));
        assert_eq!(parse("instant-locks=late"), FaultsError::InstantLocks("instant-locks=late".into()));
        assert_eq!(parse("clock=6"), FaultsError::Clock("clock=6".into()));
    }
}
