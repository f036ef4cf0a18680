use std::fmt;

/// What a node makes of the InstantSend locks that it announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum InstantLockAnnouncements {
    /// As Dash Core does: nothing.
    #[default]
    Honest,
    /// `none`: they are not announced.
    None,
    /// `forged`: another point is their signature.
    Forged,
    /// `genesis`: their cycle is said to begin with the genesis block.
    Genesis,
    /// `unknown`: a block that does not exist is said to begin their cycle.
    Unknown,
    /// `no-cycle`: a block is said to begin their cycle that begins none.
    NoCycle,
    /// `future`: they are said to be of the next cycle, which may not have begun.
    Future,
}

impl InstantLockAnnouncements {
    const ALL: [(&'static str, Self); 7] = [
        ("honest", Self::Honest),
        ("none", Self::None),
        ("forged", Self::Forged),
        ("genesis", Self::Genesis),
        ("unknown", Self::Unknown),
        ("no-cycle", Self::NoCycle),
        ("future", Self::Future),
    ];

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|&(_, kind)| kind)
    }
}

impl fmt::Display for InstantLockAnnouncements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}
