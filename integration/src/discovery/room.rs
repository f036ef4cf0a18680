use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::net_group::NetGroup;
use crate::clock::UnixTime;
use crate::config::DiscoveryConfig;
use crate::store::{PeerRecord, Source};

/// One part of the network may tell of as large a share of all addresses, as long as nothing is heard of them otherwise.
const SHARE_PER_SOURCE: usize = 4;

/// Who is counted for a bound.
type Belongs<'a> = &'a dyn Fn(&SocketAddr, &PeerRecord) -> bool;

/// Whether there is room for an address, if need be by forgetting another one. There are three bounds: on the addresses
/// of one network, on those that one network tells of, and on all. An address that answered, that is banned, or that a proven
/// list names and that has not failed, stays.
pub(super) fn make_room(
    records: &mut BTreeMap<SocketAddr, PeerRecord>,
    config: &DiscoveryConfig,
    newcomer: &SocketAddr,
    source: Source,
    now: UnixTime,
    rng: &mut fastrand::Rng,
) -> bool {
    let group = NetGroup::of(newcomer);
    let in_group = |address: &SocketAddr, _: &PeerRecord| NetGroup::of(address) == group;
    let same_source = |_: &SocketAddr, record: &PeerRecord| {
        matches!(source, Source::Gossip(_)) && record.source == source && record.succeeded.is_none()
    };
    let bounds: [(usize, Belongs<'_>); 3] = [
        (config.per_group, &in_group),
        (config.capacity / SHARE_PER_SOURCE, &same_source),
        (config.capacity, &|_, _| true),
    ];
    for (bound, belongs) in bounds {
        let crowd = records.iter().filter(|(address, record)| belongs(address, record));
        let crowd: Vec<_> = crowd.map(|(address, record)| (*address, record)).collect();
        if crowd.len() < bound {
            continue;
        }
        match dispensable(&crowd, now, rng) {
            Some(address) => records.remove(&address),
            None => return false,
        };
    }
    true
}

/// Whom of a crowd to forget: first who cannot be reached; else one of the network with the most addresses, but only every
/// other time, so that a flood does not wash away what was there before.
fn dispensable(
    crowd: &[(SocketAddr, &PeerRecord)],
    now: UnixTime,
    rng: &mut fastrand::Rng,
) -> Option<SocketAddr> {
    let is_dispensable = |record: &PeerRecord| {
        !record.is_proven(now) && record.ban_at(now).is_none() && !record.is_fresh_masternode()
    };
    let candidates: Vec<_> = crowd.iter().filter(|(_, record)| is_dispensable(record)).collect();
    let failing = candidates.iter().filter(|(_, record)| record.failures > 0);
    if let Some((address, _)) = failing.max_by_key(|(_, record)| record.failures) {
        return Some(*address);
    }
    if rng.bool() {
        return None;
    }
    let mut by_group: BTreeMap<NetGroup, Vec<SocketAddr>> = BTreeMap::new();
    for (address, _) in candidates {
        by_group.entry(NetGroup::of(address)).or_default().push(*address);
    }
    let largest = by_group.into_values().max_by_key(Vec::len)?;
    rng.choice(largest)
}
