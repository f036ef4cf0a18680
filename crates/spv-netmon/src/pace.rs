use std::time::Duration;

use crate::{
    config::Config,
    median::{median_duration, median_f64},
};

/// Whether a peer or the local link is slow at the moment.
///
/// When everybody is slow at once, the reason is what they share. Then it would be wrong to blame or to leave a peer,
/// and no use to ask another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// There are too few peers with round trips to compare; at least three are needed.
    #[default]
    Unknown,
    /// Neither the peer nor the link is slow.
    Usual,
    /// This peer is slow compared with the others.
    SlowPeer,
    /// The round trips of most peers have grown well above their smallest ones, so the shared link is slow.
    SlowLink,
}

/// A peer's round trip now, and what it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) smoothed: Duration,
    pub(crate) min: Duration,
}

/// The pool's ways, compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Baseline {
    /// Of the median peer, now.
    smoothed: Duration,
    /// Of the median peer, at its best.
    min: Duration,
    /// How much longer than at its best, of the median peer.
    excess: f64,
}

impl Baseline {
    /// `None` with too few peers to tell them apart from the link.
    pub(crate) fn new(ways: &[Way]) -> Option<Self> {
        if ways.len() < MIN_PEERS {
            return None;
        }
        let excess = ways.iter().map(|way| ratio(way.smoothed, way.min)).collect();
        Some(Self {
            smoothed: median_duration(ways.iter().map(|way| way.smoothed).collect())?,
            min: median_duration(ways.iter().map(|way| way.min).collect())?,
            excess: median_f64(excess)?,
        })
    }

    /// Whether the link is slow, if it `was` before.
    pub(crate) fn link_is_slow(&self, was: bool, config: &Config) -> bool {
        let bound = if was { config.slow_link_leave } else { config.slow_link_enter };
        self.excess >= bound && (was || self.smoothed.saturating_sub(self.min) >= NOISE)
    }

    /// Whether a peer is slow beside the others, if it `was` before. Against what the others are now: a slow link
    /// slows them too.
    pub(crate) fn peer_is_slow(&self, way: Way, was: bool, config: &Config) -> bool {
        let bound = if was { config.slow_peer_leave } else { config.slow_peer_enter };
        let far = ratio(way.smoothed, self.smoothed) >= bound;
        far && (was || way.smoothed.saturating_sub(self.smoothed) >= NOISE)
    }
}

fn ratio(now: Duration, usual: Duration) -> f64 {
    now.as_secs_f64() / usual.max(RESOLUTION).as_secs_f64()
}

/// With two peers there is no telling which of them is unusual.
const MIN_PEERS: usize = 3;
/// Less is what schedulers and radios do to any packet, and says nothing on a short way.
const NOISE: Duration = Duration::from_millis(20);
/// Shorter times are below what a clock read around a socket can tell.
const RESOLUTION: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ways(ms: &[(u64, u64)]) -> Vec<Way> {
        let of = |&(smoothed, min)| Way {
            smoothed: Duration::from_millis(smoothed),
            min: Duration::from_millis(min),
        };
        ms.iter().map(of).collect()
    }

    #[test]
    fn two_peers_are_too_few_to_compare() {
        assert_eq!(Baseline::new(&ways(&[(50, 50), (500, 50)])), None);
    }

    #[test]
    fn the_link_is_slow_when_most_are_slower_than_at_their_best() {
        let config = Config::default();
        for (case, ms, was, expected) in [
            ("far, but as usual", vec![(900, 800), (900, 800), (900, 800)], false, false),
            ("all three times as slow", vec![(150, 50), (300, 100), (600, 200)], false, true),
            ("one at its best", vec![(150, 50), (300, 100), (200, 200)], false, true),
            ("one slow", vec![(50, 50), (300, 100), (200, 200)], false, false),
            ("between the thresholds", vec![(85, 50), (170, 100), (340, 200)], false, false),
            ("between the thresholds, before slow", vec![(85, 50), (170, 100), (340, 200)], true, true),
            ("over", vec![(70, 50), (140, 100), (280, 200)], true, false),
            ("noise on a short way", vec![(3, 1), (3, 1), (4, 1)], false, false),
        ] {
            assert_eq!(Baseline::new(&ways(&ms)).unwrap().link_is_slow(was, &config), expected, "{case}");
        }
    }

    #[test]
    fn a_peer_is_slow_beside_the_others() {
        let config = Config::default();
        let baseline = Baseline::new(&ways(&[(100, 50), (110, 50), (90, 50)])).unwrap();
        for (ms, was, expected) in
            [(250, false, false), (301, false, true), (250, true, true), (190, true, false)]
        {
            let way = ways(&[(ms, 50)])[0];
            assert_eq!(baseline.peer_is_slow(way, was, &config), expected, "{ms}");
        }
        let near = Baseline::new(&ways(&[(1, 1), (1, 1), (1, 1)])).unwrap();
        assert!(!near.peer_is_slow(ways(&[(9, 1)])[0], false, &config));
    }

    proptest! {
        /// What slows everybody alike makes the link slow and no peer, unless one was before.
        #[test]
        fn a_common_delay_blames_nobody(
            mins in prop::collection::vec(20..60_u64, 3..9),
            slower in 4..40_u64,
        ) {
            let config = Config::default();
            let ways = ways(&mins.iter().map(|min| (min * slower, *min)).collect::<Vec<_>>());
            let baseline = Baseline::new(&ways).unwrap();
            prop_assert!(baseline.link_is_slow(false, &config));
            prop_assert!(ways.iter().all(|way| !baseline.peer_is_slow(*way, false, &config)));
        }

        /// One peer alone never makes the link slow, and is blamed however slow it is.
        #[test]
        fn a_single_slow_peer_is_blamed_alone(
            mins in prop::collection::vec(20..60_u64, 3..9),
            slower in 10..1_000_u64,
        ) {
            let config = Config::default();
            let mut ms: Vec<_> = mins.iter().map(|min| (*min, *min)).collect();
            ms[0].0 = 60 * slower;
            let ways = ways(&ms);
            let baseline = Baseline::new(&ways).unwrap();
            prop_assert!(!baseline.link_is_slow(false, &config));
            prop_assert!(baseline.peer_is_slow(ways[0], false, &config));
            prop_assert!(ways[1..].iter().all(|way| !baseline.peer_is_slow(*way, false, &config)));
        }
    }
}
