use super::{Candidate, PeerSelector};

/// Selects the peers in turn: the one with the oldest latest request, new peers first.
///
/// A peer that was busy or not eligible when its turn came does not lose it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl<P> PeerSelector<P> for RoundRobin {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, P>]) -> &'c Candidate<'c, P> {
        candidates.iter().min_by_key(|candidate| candidate.last_assigned).unwrap_or(&candidates[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Depth;

    #[test]
    fn the_longest_unused_peer_is_next_and_a_new_one_before_all() {
        let of = |peer, last_assigned| Candidate { last_assigned, ..Candidate::new(peer, Depth::THREE) };
        let cases = [
            (vec![of(&'a', Some(4)), of(&'b', Some(2)), of(&'c', Some(3))], 'b'),
            (vec![of(&'a', Some(4)), of(&'b', Some(2)), of(&'c', None)], 'c'),
            (vec![of(&'a', None), of(&'b', None)], 'a'),
        ];
        for (candidates, expected) in cases {
            assert_eq!(*RoundRobin.select(&candidates).peer, expected);
        }
    }

    #[test]
    fn load_does_not_change_the_turn() {
        let busy = Candidate { in_flight: 2, last_assigned: Some(1), ..Candidate::new(&'a', Depth::THREE) };
        let idle = Candidate { last_assigned: Some(2), ..Candidate::new(&'b', Depth::THREE) };
        assert_eq!(*RoundRobin.select(&[busy, idle]).peer, 'a');
    }
}
