use std::time::Duration;

use super::distance::Distance;
use crate::bound::Bounds;
use crate::network::Instance;

/// What nobody can beat: connecting to the nearest node, greeting it, and then one answer after the other, each of as many
/// headers as fit and each by the node that is best for it. What follows an answer cannot be asked for before its last
/// header is there, so nothing of this can happen at the same time; all four bounds are the same.
pub(crate) fn bounds(distance: &Distance, instance: &Instance) -> Bounds {
    let serving = || instance.peers.iter().filter(|peer| !peer.faults.refuse_all);
    let greeted = serving().map(|peer| peer.rtt * 2).min().unwrap_or(Duration::MAX);
    let line = |rate: Option<std::num::NonZeroU64>, bytes: usize| {
        rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(bytes as u64) / u32::try_from(rate.get()).unwrap_or(u32::MAX)
        })
    };
    // An answer leaves the node's line as a whole before the first of it is on the client's.
    let answered = |bytes: usize| {
        let at = serving().map(|peer| peer.rtt + peer.service_time + line(peer.bandwidth, bytes));
        at.min().unwrap_or(Duration::MAX) + line(instance.client_line, bytes)
    };
    let calm = greeted + distance.answers().into_iter().map(answered).sum::<Duration>();
    let lower = match instance.outage {
        // Nothing goes on meanwhile.
        Some((start, length)) if calm > start => calm + length,
        _ => calm,
    };
    Bounds { lower, unlimited: lower, without_foresight: lower, oracle: lower }
}
