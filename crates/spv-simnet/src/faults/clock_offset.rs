use std::fmt;
use std::time::Duration;

use humantime_serde::re::humantime;

/// How wrong a clock is, in whole seconds. As text a time, with a minus sign if the clock is slow: `6h`, `-90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ClockOffset(i64);

impl ClockOffset {
    /// Seconds that the clock is fast; negative if it is slow.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sign, time) = text.strip_prefix('-').map_or((1, text), |time| (-1, time));
        let time = humantime::parse_duration(time).ok().filter(|time| time.subsec_nanos() == 0)?;
        i64::try_from(time.as_secs()).ok().map(|seconds| Self(sign * seconds))
    }
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let time = humantime::format_duration(Duration::from_secs(self.0.unsigned_abs()));
        // A time with several parts is printed with spaces between them, which parse without too.
        write!(f, "{sign}{}", time.to_string().replace(' ', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for (text, seconds) in [("6h", 21_600), ("-6h", -21_600), ("1h30s", 3_630), ("0s", 0)] {
            let offset = ClockOffset::parse(text).unwrap();
            assert_eq!((offset.seconds(), offset.to_string().as_str()), (seconds, text));
        }
        for text in ["", "-", "6", "--6h", "1500ms", "soon"] {
            assert!(ClockOffset::parse(text).is_none(), "{text:?}");
        }
    }
}
