/// Bytes of answers: expected ones of requests in flight, and real ones that somebody still holds.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    limit: u64,
    /// Wide enough that no number of requests of any size overflows it.
    used: u128,
}

impl ByteBudget {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Whether a request may start that expects so many bytes. One above the whole budget may when nothing else is
    /// held, else it never could.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        bytes == 0 || self.used == 0 || self.used + u128::from(bytes) <= u128::from(self.limit)
    }

    pub(crate) fn take(&mut self, bytes: u64) {
        self.used += u128::from(bytes);
    }

    pub(crate) fn give_back(&mut self, bytes: u64) {
        debug_assert!(self.used >= u128::from(bytes), "gave back more bytes than were taken");
        self.used = self.used.saturating_sub(u128::from(bytes));
    }

    pub(crate) fn used(&self) -> u64 {
        u64::try_from(self.used).unwrap_or(u64::MAX)
    }
}

/// Extra copies of requests, paid for by accepted answers: a twentieth of a hedge each.
///
/// Counted in twentieths, so that nothing is lost to rounding.
#[derive(Debug)]
pub(crate) struct HedgeBudget {
    twentieths: u32,
    most: u32,
    /// What is still to be paid for the first.
    owed: u32,
}

impl HedgeBudget {
    /// At most `most` hedges saved up; the first is lent, so that a short run can have one too.
    pub(crate) fn new(most: u32) -> Self {
        let most = most.saturating_mul(TWENTIETHS);
        Self { twentieths: most.min(TWENTIETHS), most, owed: most.min(TWENTIETHS) }
    }

    pub(crate) fn earn(&mut self) {
        if self.owed > 0 {
            self.owed -= 1;
            return;
        }
        self.twentieths = self.twentieths.saturating_add(1).min(self.most);
    }

    pub(crate) const fn affords_one(&self) -> bool {
        self.twentieths >= TWENTIETHS
    }

    pub(crate) fn spend(&mut self) {
        debug_assert!(self.affords_one(), "spent a hedge that was not there");
        self.twentieths = self.twentieths.saturating_sub(TWENTIETHS);
    }
}

const TWENTIETHS: u32 = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_large_for_the_budget_runs_alone() {
        let mut budget = ByteBudget::new(10);
        assert!(budget.fits(11));
        budget.take(11);
        assert!(budget.fits(0) && !budget.fits(1));
        budget.give_back(11);
        assert_eq!(budget.used(), 0);
        budget.take(4);
        assert!(budget.fits(6) && !budget.fits(7));
    }

    proptest! {
        #[test]
        fn hedges_are_at_most_one_or_a_twentieth_of_the_answers(
            most in 0..12_u32,
            answers in prop::collection::vec(any::<bool>(), 0..2_000),
        ) {
            let mut budget = HedgeBudget::new(most);
            let (mut earned, mut spent) = (0_u32, 0_u32);
            for answer in answers {
                if answer {
                    budget.earn();
                    earned += 1;
                } else if budget.affords_one() {
                    budget.spend();
                    spent += 1;
                }
                prop_assert!(spent <= most.min(1).max(earned / 20));
                prop_assert!(budget.twentieths <= most * 20);
            }
            (0..most * 20 + 20).for_each(|_| budget.earn());
            prop_assert_eq!(budget.twentieths, most * 20);
        }
    }
}
