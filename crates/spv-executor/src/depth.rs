use std::fmt;

/// Maximum number of requests in flight to one peer at the same time: 1, 2 or 3.
///
/// A peer of a Bitcoin-family network answers its requests one after the other, so more of them in flight only hide
/// the round trip. Past three there is nothing left to hide, and a long queue at the peer makes every timeout worse.
/// The bound is a type so that no configuration and no caller can exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u8", into = "u8")
)]
pub struct Depth(u8);

impl Depth {
    /// One request at a time.
    pub const ONE: Self = Self(1);
    /// Two requests at a time, the default. This hides the round trip if it is not longer than the peer's service time.
    pub const TWO: Self = Self(2);
    /// Three requests at a time, the maximum, for peers whose round trip exceeds their service time.
    pub const THREE: Self = Self(3);

    /// The depth as a number, 1..=3.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for Depth {
    fn default() -> Self {
        Self::TWO
    }
}

impl TryFrom<u8> for Depth {
    type Error = DepthOutOfRange;

    fn try_from(value: u8) -> Result<Self, DepthOutOfRange> {
        match value {
            1..=3 => Ok(Self(value)),
            _ => Err(DepthOutOfRange { value }),
        }
    }
}

impl From<Depth> for u8 {
    fn from(depth: Depth) -> Self {
        depth.0
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is not a [`Depth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer's depth is 1, 2 or 3, not {value}")]
pub struct DepthOutOfRange {
    /// The number given.
    pub value: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_two_and_three_are_depths() {
        for value in 0..=u8::MAX {
            let depth = Depth::try_from(value);
            if (1..=3).contains(&value) {
                assert_eq!(depth.map(Depth::get), Ok(usize::from(value)));
            } else {
                assert_eq!(depth, Err(DepthOutOfRange { value }));
            }
        }
    }

    #[test]
    fn a_depth_read_from_text_is_checked_too() {
        assert_eq!(serde_json::from_str::<Depth>("3").unwrap(), Depth::THREE);
        assert!(serde_json::from_str::<Depth>("0").is_err());
        assert!(serde_json::from_str::<Depth>("4").is_err());
        assert_eq!(serde_json::to_string(&Depth::TWO).unwrap(), "2");
    }
}
