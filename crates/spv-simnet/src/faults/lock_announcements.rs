use std::fmt;

/// How a node announces the ChainLocks of new blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LockAnnouncements {
    /// As Dash Core does: behind the block.
    #[default]
    Honest,
    /// `none`: not at all.
    None,
    /// `early`: that of the next block, before anybody has seen this block.
    Early,
    /// `twice`: `clsig` is sent two times for each request.
    Twice,
    /// `forged`: one bit of each signature is flipped.
    Forged,
}

impl LockAnnouncements {
    const ALL: [(&'static str, Self); 5] = [
        ("honest", Self::Honest),
        ("none", Self::None),
        ("early", Self::Early),
        ("twice", Self::Twice),
        ("forged", Self::Forged),
    ];

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|&(_, kind)| kind)
    }
}

impl fmt::Display for LockAnnouncements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}
