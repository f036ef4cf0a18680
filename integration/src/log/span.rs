use std::fmt;
use std::time::Duration;

/// A length of time as a person writes it, without spaces: `350ms`, `1.5s`, `2m30s`, `3h5m`, `2d4h`. Two units at most, of
/// which the smaller one is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        let units = match seconds {
            0 => return write!(f, "{millis}ms"),
            1..10 => {
                let tenths = millis / 100;
                return if tenths == 0 { write!(f, "{seconds}s") } else { write!(f, "{seconds}.{tenths}s") };
            }
            10..60 => return write!(f, "{seconds}s"),
            60..3_600 => [(seconds / 60, "m"), (seconds % 60, "s")],
            3_600..86_400 => [(seconds / 3_600, "h"), (seconds / 60 % 60, "m")],
            _ => [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")],
        };
        units
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        for (millis, written) in [
            (0, "0ms"),
            (7, "7ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (1_549, "1.5s"),
            (9_999, "9.9s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (150_000, "2m30s"),
            (3_600_000, "1h"),
            (11_159_000, "3h5m"),
            (86_400_000, "1d"),
            (187_200_000, "2d4h"),
        ] {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), written);
        }
    }
}
