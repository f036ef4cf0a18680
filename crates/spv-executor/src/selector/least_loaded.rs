use super::{Candidate, PeerSelector};

/// Selects the peer with the smallest share of its depth in use; among equals, the one with the oldest latest request.
///
/// The default. A slow peer keeps its slots longer and so gets less, without anything being measured. A failure counts
/// as a slot in use until the next good answer, so a peer is not preferred for being free at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl<P> PeerSelector<P> for LeastLoaded {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        candidates
            .iter()
            .min_by(|a, b| {
                // load / depth, compared without division.
                let (left, right) = (load(a) * b.depth.get(), load(b) * a.depth.get());
                left.cmp(&right).then(a.last_assigned.cmp(&b.last_assigned))
            })
            .unwrap_or(&candidates[0])
    }
}

fn load<P>(candidate: &Candidate<'_, P>) -> usize {
    candidate.in_flight + usize::try_from(candidate.failures.min(MOST_FAILURES)).unwrap_or(0)
}

/// More failures than this say nothing new.
const MOST_FAILURES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Depth;

    #[test]
    fn the_smallest_share_in_use_wins_and_ties_go_to_the_longest_unused() {
        let of = |peer, in_flight, depth, last_assigned| Candidate {
            in_flight,
            last_assigned,
            ..Candidate::new(peer, depth)
        };
        let cases = [
            (vec![of(&'a', 1, Depth::TWO, Some(1)), of(&'b', 0, Depth::ONE, Some(9))], 'b'),
            // A third of its depth is less than a half.
            (vec![of(&'a', 1, Depth::TWO, Some(1)), of(&'b', 1, Depth::THREE, Some(9))], 'b'),
            (vec![of(&'a', 1, Depth::TWO, Some(5)), of(&'b', 1, Depth::TWO, Some(3))], 'b'),
            (vec![of(&'a', 0, Depth::TWO, Some(5)), of(&'b', 0, Depth::TWO, None)], 'b'),
            (vec![of(&'a', 0, Depth::TWO, None), of(&'b', 0, Depth::THREE, None)], 'a'),
            (
                vec![
                    Candidate { failures: 2, ..of(&'a', 0, Depth::TWO, None) },
                    of(&'b', 1, Depth::TWO, None),
                ],
                'b',
            ),
        ];
        for (candidates, expected) in cases {
            assert_eq!(*LeastLoaded.select(&candidates).peer, expected, "{candidates:?}");
        }
    }
}
