use std::time::Duration;

use fastrand::Rng;

use crate::{
    decision::Action,
    failure::FailureKind,
    strategy::{Context, Strategy},
};

/// Retries at once with a peer that was not asked yet, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct SwitchPeer;

impl<P: Ord + Clone> Strategy<P> for SwitchPeer {
    fn name(&self) -> &'static str {
        "switch_peer"
    }

    fn decide(&self, context: &Context<'_, P>, _: &mut Rng) -> Option<Action<P>> {
        let cured_elsewhere = context.kind == FailureKind::Refused || context.kind.blames_peer();
        if !cured_elsewhere || context.untried().next().is_none() {
            return None;
        }
        let avoid = context.history.peers(&FailureKind::ALL).into_iter().cloned().collect();
        Some(Action::Retry { after: Duration::ZERO, avoid, alone: false })
    }
}
