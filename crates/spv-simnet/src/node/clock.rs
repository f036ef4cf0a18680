use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Node;

/// The time by the node's clock: the real one, and what tokio's was advanced by where that is paused; wrong by as much as
/// its faults say.
#[expect(clippy::disallowed_methods, reason = "nodes date their greeting by the wall clock")]
pub(super) fn clock(node: &Node) -> i64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let advanced = now().saturating_duration_since(Instant::now());
    let seconds = i64::try_from(real.saturating_add(advanced).as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_add(node.config.faults.clock.seconds())
}

/// When the other nodes were last seen, as far as a simulated node can say: equal in every run.
pub(super) fn tip_time(node: &Node) -> u32 {
    let chain = node.chain();
    chain.world().header(chain.tip()).map_or(0, |header| header.time)
}

/// Obeys paused time.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
