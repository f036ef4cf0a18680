use fastrand::Rng;

use crate::{
    decision::Action,
    failure::FailureKind,
    strategy::{Context, Strategy},
};

/// Asks to do the work by its other means, if it has any: after refusals by several distinct peers, rather than asking
/// everybody; after one refusal where [none is left](Context::none_left) who may do better; when no try is left; and when
/// no retry can help.
#[derive(Debug, Clone, Copy)]
pub struct Alternative {
    /// Distinct peers that must have refused.
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
