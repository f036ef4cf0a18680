use std::fmt;

/// Returns a number with the noun that it counts, which gets an `s` unless the number is 1: `1 request`, `7 requests`.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> impl fmt::Display {
    Counted { number: number.try_into().unwrap_or(u64::MAX), noun }
}

struct Counted<'a> {
    number: u64,
    noun: &'a str,
}

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, noun } = self;
        let ending = if *number == 1 { "" } else { "s" };
        write!(f, "{number} {noun}{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_is_singular() {
        let said = [0, 1, 2].map(|number| counted(number, "wrong answer").to_string());
        assert_eq!(said, ["0 wrong answers", "1 wrong answer", "2 wrong answers"]);
    }
}
