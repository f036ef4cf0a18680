use std::fmt;
use std::time::Duration;

/// Messages that a node sends without being asked, on every connection as long as it lasts. As text kind and number per
/// second: `ping:100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood {
    /// What is sent.
    pub kind: FloodKind,
    /// How many a second: 1 to 10,000.
    rate: u32,
}

/// What a node can send unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FloodKind {
    /// `known-headers`: the first 2,000 headers of the node's chain, or as many as there are.
    KnownHeaders,
    /// `fork-headers`: a valid branch of at most 300 headers from a low height, with less work than the chain.
    ForkHeaders,
    /// `big-headers`: a `headers` of 32 MiB of junk.
    BigHeaders,
    /// `big-lists`: a `qrinfo` of 32 MiB of junk.
    BigLists,
    /// `inv`: 100 hashes of blocks that do not exist, others each time.
    Inv,
    /// `lock-inv`: 50 names of ChainLocks and 50 of InstantSend locks that do not exist, others each time.
    LockInv,
    /// `locks`: an InstantSend lock that is made up and was not asked for, another one each time.
    Locks,
    /// `addr`: 1,000 addresses in 127.0.0.0/8 that are made up, others each time.
    Addr,
    /// `ping`: pings.
    Ping,
}

impl Flood {
    /// Time from one message to the next.
    pub fn period(self) -> Duration {
        Duration::from_secs(1) / self.rate
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, rate) = text.split_once(':')?;
        let kind = FloodKind::ALL.into_iter().find(|candidate| candidate.name() == kind)?;
        let rate = rate.parse().ok().filter(|rate| (1..=MAX_RATE).contains(rate))?;
        Some(Self { kind, rate })
    }
}

impl FloodKind {
    const ALL: [Self; 9] = [
        Self::KnownHeaders,
        Self::ForkHeaders,
        Self::BigHeaders,
        Self::BigLists,
        Self::Inv,
        Self::LockInv,
        Self::Locks,
        Self::Addr,
        Self::Ping,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::KnownHeaders => "known-headers",
            Self::ForkHeaders => "fork-headers",
            Self::BigHeaders => "big-headers",
            Self::BigLists => "big-lists",
            Self::Inv => "inv",
            Self::LockInv => "lock-inv",
            Self::Locks => "locks",
            Self::Addr => "addr",
            Self::Ping => "ping",
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.rate)
    }
}

/// More than any client reads of even the smallest messages.
const MAX_RATE: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for kind in FloodKind::ALL {
            let text = format!("{}:4", kind.name());
            let flood = Flood::parse(&text).unwrap();
            assert_eq!((flood.kind, flood.to_string()), (kind, text));
            assert_eq!(flood.period(), Duration::from_millis(250));
        }
        for text in ["", "ping", "ping:", "ping:0", "ping:10001", "pong:1", ":1"] {
            assert!(Flood::parse(text).is_none(), "{text:?}");
        }
    }
}
