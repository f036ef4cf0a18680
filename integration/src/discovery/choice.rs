use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::net_group::NetGroup;
use crate::clock::UnixTime;
use crate::config::DiscoveryConfig;
use crate::store::PeerRecord;

/// Whom to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Choice {
    /// This address.
    Connect(SocketAddr),
    /// Nobody before that time, unless something changes.
    At(UnixTime),
    /// Nobody: everyone is held, or of a network with enough connections.
    Nobody,
}

type Candidate<'a> = (SocketAddr, &'a PeerRecord);

/// See [`PeerTable::choose`](super::table::PeerTable::choose).
pub(super) fn choose(
    records: &BTreeMap<SocketAddr, PeerRecord>,
    config: &DiscoveryConfig,
    held: &BTreeSet<SocketAddr>,
    lonely: bool,
    now: UnixTime,
    rng: &mut fastrand::Rng,
) -> Choice {
    let mut by_group: BTreeMap<NetGroup, usize> = BTreeMap::new();
    for address in held {
        *by_group.entry(NetGroup::of(address)).or_default() += 1;
    }
    let connected = |address: &SocketAddr| by_group.get(&NetGroup::of(address)).copied().unwrap_or(0);
    let retry_cap = if lonely { config.lonely_retry_cap } else { config.retry_cap };
    let mut earliest: Option<UnixTime> = None;
    let mut fewest = config.connected_per_group;
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for (&address, record) in records {
        let of_group = connected(&address);
        if held.contains(&address) || of_group >= config.connected_per_group {
            continue;
        }
        let ready_at = record.ready_at(config.retry_base, retry_cap, now);
        if ready_at > now {
            earliest = Some(earliest.map_or(ready_at, |earliest| earliest.min(ready_at)));
            continue;
        }
        if of_group < fewest {
            fewest = of_group;
            candidates.clear();
        }
        if of_group == fewest {
            candidates.push((address, record));
        }
    }
    let (proven, unexplored): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|(_, record)| record.succeeded.is_some());
    let explore = proven.is_empty() || !unexplored.is_empty() && rng.f64() < config.exploration;
    let chosen = if explore { explore_one(unexplored, rng) } else { draw_proven(&proven, rng) };
    match (chosen, earliest) {
        (Some(address), _) => Choice::Connect(address),
        (None, Some(time)) => Choice::At(time),
        (None, None) => Choice::Nobody,
    }
}

/// By the square of their scores, so that good ones come first and the others are not forgotten.
fn draw_proven(candidates: &[Candidate<'_>], rng: &mut fastrand::Rng) -> Option<SocketAddr> {
    let weight = |(_, record): &Candidate<'_>| record.score().powi(2);
    let mut drawn = rng.f64() * candidates.iter().map(weight).sum::<f64>();
    let found = candidates.iter().find(|candidate| {
        drawn -= weight(candidate);
        drawn < 0.0
    });
    // Rounding may leave a rest.
    found.or_else(|| candidates.last()).map(|(address, _)| *address)
}

/// Masternodes of a proven list first, as long as they have not failed.
fn explore_one(candidates: Vec<Candidate<'_>>, rng: &mut fastrand::Rng) -> Option<SocketAddr> {
    let (masternodes, others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|(_, record)| record.is_fresh_masternode());
    draw_unexplored(if masternodes.is_empty() { others } else { masternodes }, rng)
}

/// First a network, then one of its addresses, so that nobody is chosen more often for having many; of those the ones that
/// failed least.
fn draw_unexplored(candidates: Vec<Candidate<'_>>, rng: &mut fastrand::Rng) -> Option<SocketAddr> {
    let mut groups: BTreeMap<NetGroup, Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates {
        groups.entry(NetGroup::of(&candidate.0)).or_default().push(candidate);
    }
    let group = rng.choice(groups.into_values())?;
    let fewest = group.iter().map(|(_, record)| record.failures).min()?;
    let best = group.into_iter().filter(|(_, record)| record.failures == fewest);
    rng.choice(best.collect::<Vec<_>>()).map(|(address, _)| address)
}
