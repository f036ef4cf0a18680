/// Urgency of an item. `Critical` is the most urgent and compares greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Priority {
    /// Work that no other work waits for.
    Low,
    /// Ordinary work; the default.
    #[default]
    Normal,
    /// Work that others wait for.
    High,
    /// Work without which no other work can continue.
    Critical,
}

impl Priority {
    /// Returns the priority that is one level less urgent; `Low` stays `Low`. Use it for retries after a timeout, which
    /// may mean congestion.
    #[must_use]
    pub const fn lowered(self) -> Self {
        match self {
            Self::Critical => Self::High,
            Self::High => Self::Normal,
            Self::Normal | Self::Low => Self::Low,
        }
    }

    /// Combines this priority with an explicit order among items of equal priority: lower `order` first.
    #[must_use]
    pub const fn in_order(self, order: u64) -> Rank {
        Rank { priority: self, order }
    }

    /// Levels below `Critical`: what an item has to make up for by waiting.
    pub(crate) const fn handicap(self) -> u64 {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }
}

/// The rank of an item in the queue: its priority, then the caller's own order, then the order of arrival.
///
/// A bare [`Priority`] converts into a rank with order 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rank {
    /// Urgency of the item.
    pub priority: Priority,
    /// Order among items of equal effective priority, lower first; for example a block height.
    pub order: u64,
}

impl Rank {
    /// The one that runs first, of two ready for equally long.
    pub(crate) fn more_urgent(self, other: Self) -> Self {
        let place = |rank: Self| (rank.priority.handicap(), rank.order);
        if place(other) < place(self) { other } else { self }
    }
}

impl From<Priority> for Rank {
    fn from(priority: Priority) -> Self {
        priority.in_order(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Priority::{Critical, High, Low, Normal};

    #[test]
    fn urgency_compares_and_lowers_one_level_at_a_time() {
        assert!(Low < Normal && Normal < High && High < Critical);
        assert_eq!([Critical, High, Normal, Low].map(super::Priority::lowered), [High, Normal, Low, Low]);
    }
}
