/// How many requests of all peers together bring no answer lately: what is usual is no reason to leave a peer alone.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    share: f64,
    outcomes: u32,
}

impl Losses {
    pub(crate) fn answered(&mut self) {
        self.note(0.0);
    }

    pub(crate) fn lost(&mut self) {
        self.note(1.0);
    }

    /// Losses in a row that can be chance; none before there were enough requests to tell, and few however many are lost.
    pub(crate) fn by_chance(&self) -> u32 {
        if self.outcomes < MIN_OUTCOMES {
            return 0;
        }
        let mut chance = self.share;
        let mut row = 0;
        while row < MOST_BY_CHANCE && chance >= UNLIKELY {
            row += 1;
            chance *= self.share;
        }
        row
    }

    fn note(&mut self, outcome: f64) {
        self.outcomes = (self.outcomes + 1).min(MEMORY);
        self.share += (outcome - self.share) / f64::from(self.outcomes);
    }
}

/// One row in ten may be so long by chance.
const UNLIKELY: f64 = 0.1;
const MIN_OUTCOMES: u32 = 16;
/// Requests over which the share is taken.
const MEMORY: u32 = 64;
const MOST_BY_CHANCE: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_lost_the_longer_a_row_can_be_chance() {
        for (every, row) in [(1, 4), (2, 3), (3, 2), (8, 1), (50, 0)] {
            let mut losses = Losses::default();
            for n in 1..=1_000 {
                if n % every == 0 { losses.lost() } else { losses.answered() }
            }
            assert_eq!(losses.by_chance(), row, "one of {every}");
        }
        let mut losses = Losses::default();
        (0..15).for_each(|_| losses.lost());
        assert_eq!(losses.by_chance(), 0, "too few to tell");
        (0..200).for_each(|_| losses.answered());
        assert_eq!(losses.by_chance(), 0, "long ago");
    }
}
