use super::{Candidate, PeerSelector};

/// The peer with the smallest share of its depth in use; among equals, whoever has gone longest without a request.
///
/// The default. A slow peer keeps its slots longer and so gets less, without anything being measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl<P> PeerSelector<P> for LeastLoaded {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        candidates
            .iter()
            .min_by(|a, b| {
                // in_flight / depth, compared without division.
                let (left, right) = (a.in_flight * b.depth.get(), b.in_flight * a.depth.get());
                left.cmp(&right).then(a.last_assigned.cmp(&b.last_assigned))
            })
            .unwrap_or(&candidates[0])
    }
}

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
        ];
        for (candidates, expected) in cases {
            assert_eq!(*LeastLoaded.select(&candidates).peer, expected, "{candidates:?}");
        }
    }
}
