/// Who asks for headers, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    /// `getheaders`, 2,000 an answer, one after the other.
    InARow,
    /// `getheaders2`, 8,000 an answer; asks again when they are hashed and stored.
    StoreFirst,
    /// The header download of our client.
    Ours,
}

impl Asker {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::InARow, Self::StoreFirst, Self::Ours];

    /// Name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InARow => "2,000 in a row",
            Self::StoreFirst => "8,000, then hash, store, ask",
            Self::Ours => crate::contestant::OURS,
        }
    }

    /// What it does.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::InARow => "getheaders to the first peer that greets, the next after 10 s or a wrong answer",
            Self::StoreFirst => "the same with getheaders2, as dash-spv 0.43 goes about it",
            Self::Ours => "qrsync's sync until its header phase ends",
        }
    }
}
