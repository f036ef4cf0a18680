use std::time::Duration;

use crate::clock::UnixTime;
use crate::config::LONGEST_BAN;
use crate::store::{Ban, PeerRecord, Source};

/// What a node did that its score depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Gave a useful answer.
    Served,
    /// Refused a request.
    Refused,
    /// Did not do what was asked for in another way.
    Failed,
    /// Gave an answer that was shown to be wrong.
    Lied,
}

impl PeerRecord {
    pub(super) const fn new(source: Source, seen: UnixTime) -> Self {
        Self {
            source,
            seen,
            tried: None,
            succeeded: None,
            failures: 0,
            served: 0,
            refused: 0,
            failed: 0,
            lied: 0,
            rtt: None,
            ban: None,
        }
    }

    /// How promising a connection is, above 0 and up to 1: by how the node conducted itself, whether it can be reached,
    /// and how near it is. One that nothing is known of has 0.5.
    pub fn score(&self) -> f64 {
        let good = f64::from(self.served) + 1.0;
        let bad = 0.5 * f64::from(self.refused) + f64::from(self.failed) + 20.0 * f64::from(self.lied);
        let conduct = good / (good + bad);
        let reach = 0.5_f64.powi(i32::try_from(self.failures.min(10)).unwrap_or(10));
        let speed = self.rtt.map_or(0.5, |rtt| 1.0 / (1.0 + rtt.as_secs_f64() / 0.25));
        conduct * reach * speed
    }

    /// The ban that holds at `now`.
    pub fn ban_at(&self, now: UnixTime) -> Option<Ban> {
        self.ban.filter(|ban| now < ban.until)
    }

    pub(super) fn count(&mut self, conduct: Conduct) {
        *match conduct {
            Conduct::Served => &mut self.served,
            Conduct::Refused => &mut self.refused,
            Conduct::Failed => &mut self.failed,
            Conduct::Lied => &mut self.lied,
        } += 1;
        if self.served.max(self.refused).max(self.failed).max(self.lied) > MANY {
            for count in [&mut self.served, &mut self.refused, &mut self.failed, &mut self.lied] {
                *count /= 2;
            }
        }
    }

    /// Whether it ever answered, and has not been lost since: such addresses make room for no others.
    pub(super) fn is_proven(&self, now: UnixTime) -> bool {
        self.succeeded.is_some_and(|at| self.failures < LOST_FAILURES || now < at + LOST_AFTER)
    }

    /// Whether a proven list names it, and nothing speaks against it yet: such an address costs its owner a collateral, one
    /// that others only name costs nothing.
    pub(super) fn is_fresh_masternode(&self) -> bool {
        self.source == Source::Masternode && self.failures == 0
    }

    /// When it may be connected to, with waits of at most `cap`.
    pub(super) fn ready_at(&self, base: Duration, cap: Duration, now: UnixTime) -> UnixTime {
        let doubled = base.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1)));
        // A time ahead of the clock is worth nothing: the clock was set back.
        let tried = self.tried.filter(|&tried| tried <= now);
        let rested = tried.map_or(UnixTime::ZERO, |tried| tried.saturating_add(doubled.min(cap)));
        self.ban_at(now).map_or(rested, |ban| rested.max(ban.until))
    }

    /// Brings a record that was written with another clock into what is possible now.
    pub(super) fn restored(mut self, now: UnixTime) -> Self {
        self.seen = self.seen.min(now);
        self.succeeded = self.succeeded.map(|at| at.min(now));
        self.ban = self.ban_at(now).map(|ban| Ban { until: ban.until.min(now + LONGEST_BAN), ..ban });
        self
    }
}

/// Counts of answers are halved above.
const MANY: u32 = 1_000;

/// An address that answered once is lost after as many failures in a row ...
const LOST_FAILURES: u32 = 8;

/// ... if it has not answered for this long.
const LOST_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BanReason;

    fn with(conduct: &[(Conduct, u32)]) -> PeerRecord {
        let mut record = PeerRecord::new(Source::Seed, UnixTime::ZERO);
        for &(conduct, times) in conduct {
            (0..times).for_each(|_| record.count(conduct));
        }
        record
    }

    #[test]
    fn scores_are_in_order_of_what_nodes_did() {
        let near = PeerRecord { rtt: Some(Duration::from_millis(20)), ..with(&[(Conduct::Served, 50)]) };
        let far = PeerRecord { rtt: Some(Duration::from_secs(1)), ..near };
        let unreachable = PeerRecord { failures: 3, ..near };
        let descending = [
            &near,
            &with(&[]),
            &far,
            &unreachable,
            &with(&[(Conduct::Refused, 20)]),
            &with(&[(Conduct::Lied, 2)]),
        ];
        let scores = descending.map(PeerRecord::score);
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
        assert_eq!(scores[1], 0.5);
    }

    #[test]
    fn what_a_node_did_long_ago_fades() {
        let mut turncoat = with(&[(Conduct::Served, 100_000)]);
        (0..2_000).for_each(|_| turncoat.count(Conduct::Failed));
        assert!(turncoat.served <= 500 && turncoat.score() < 0.25, "{turncoat:?}");
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let (base, cap, now) = (Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(1_000));
        for (failures, wait) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 5), (u32::MAX, 5)] {
            let record = PeerRecord { failures, tried: Some(now), ..with(&[]) };
            assert_eq!(record.ready_at(base, cap, now), now + Duration::from_secs(wait), "{failures}");
        }
        let ahead = PeerRecord { tried: Some(now * 2), ..with(&[]) };
        assert!(ahead.ready_at(base, cap, now) <= now, "the clock was set back");
    }

    #[test]
    fn a_ban_of_a_clock_that_was_ahead_is_cut() {
        let now = Duration::from_secs(1_000);
        let ban = Some(Ban { until: Duration::from_secs(u64::from(u32::MAX)), reason: BanReason::Lied });
        let restored = PeerRecord { ban, ..with(&[]) }.restored(now);
        assert_eq!(restored.ban.unwrap().until, now + LONGEST_BAN);
    }
}
