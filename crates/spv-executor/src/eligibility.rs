use std::fmt;
use std::sync::Arc;

use crate::contained::contained;

/// Which peers may be asked for a request.
#[derive(Clone)]
pub(crate) enum Eligibility<P> {
    Anybody,
    Only(P),
    /// Those of whom the caller says so at the moment of the choice.
    Where(Arc<Predicate<P>>),
}

type Predicate<P> = dyn Fn(&P) -> bool + Send + Sync;

impl<P> Eligibility<P> {
    pub(crate) fn new(eligible: impl Fn(&P) -> bool + Send + Sync + 'static) -> Self {
        Self::Where(Arc::new(eligible))
    }
}

impl<P: PartialEq> Eligibility<P> {
    pub(crate) fn allows(&self, peer: &P) -> bool {
        match self {
            Self::Anybody => true,
            Self::Only(only) => only == peer,
            Self::Where(eligible) => contained("the predicate of a request", false, || eligible(peer)),
        }
    }
}

/// Whether two requests are known to allow the same peers. Predicates are only known to if they are the same one.
impl<P: PartialEq> PartialEq for Eligibility<P> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anybody, Self::Anybody) => true,
            (Self::Only(one), Self::Only(other)) => one == other,
            (Self::Where(one), Self::Where(other)) => std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)),
            _ => false,
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Eligibility<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("Anybody"),
            Self::Only(peer) => f.debug_tuple("Only").field(peer).finish(),
            Self::Where(_) => f.debug_tuple("Where").finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_allow_the_same_is_equal() {
        let odd = Eligibility::new(|peer: &u8| peer % 2 == 1);
        let cases = [Eligibility::Anybody, Eligibility::Only(1), Eligibility::Only(2), odd.clone()];
        for (index, one) in cases.iter().enumerate() {
            for (other_index, other) in cases.iter().enumerate() {
                assert_eq!(one == other, index == other_index);
            }
        }
        assert_eq!(odd, odd.clone());
        assert_ne!(odd, Eligibility::new(|peer: &u8| peer % 2 == 1));
        assert_eq!([1, 2].map(|peer| odd.allows(&peer)), [true, false]);
    }

    #[test]
    fn a_predicate_that_panics_allows_nobody() {
        let panics = Eligibility::new(|_: &u8| panic!("as written"));
        assert!(!panics.allows(&1));
    }
}
