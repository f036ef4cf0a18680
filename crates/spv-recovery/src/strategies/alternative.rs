use fastrand::Rng;

use crate::{
    decision::Action,
    failure::FailureKind,
    strategy::{Context, Strategy},
};

/// Decides to use the alternative of the work, if it has one: after refusals by several different peers, instead of
/// asking all; after one refusal if [no other peer is left](Context::none_left); when no attempt is left; and when no
/// retry can help.
#[derive(Debug, Clone, Copy)]
pub struct Alternative {
    /// Number of different peers that must have refused.
    pub after_refusals: u32,
}

impl<P: Ord + Clone> Strategy<P> for Alternative {
    fn name(&self) -> &'static str {
        "alternative"
    }

    fn decide(&self, context: &Context<'_, P>, _: &mut Rng) -> Option<Action<P>> {
        let refusers = context.history.peers(&[FailureKind::Refused]);
        let nobody_is_left = !refusers.is_empty() && context.none_left();
        let hopeless = context.is_exhausted() || !context.kind.is_transient();
        let applies = hopeless || nobody_is_left || refusers.len() >= self.after_refusals as usize;
        (context.history.has_alternative() && applies).then_some(Action::Alternative)
    }
}
