use std::fmt;

/// A number of things, by the word for one of them: `1 wrong answer`, `3 wrong answers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted<'a>(pub u64, pub &'a str);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one) = self;
        write!(f, "{count} {one}{}", if *count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_called_several() {
        let written = [0, 1, 2].map(|count| Counted(count, "wrong ChainLock").to_string());
        assert_eq!(written, ["0 wrong ChainLocks", "1 wrong ChainLock", "2 wrong ChainLocks"]);
    }
}
