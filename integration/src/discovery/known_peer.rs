use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::standing::Standing;
use crate::clock;
use crate::config::LONGEST_BAN;
use crate::store::{Ban, BanReason, PeerRecord, Source, Store, StoreError};

/// A node that a store remembers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownPeer {
    /// Its address.
    pub address: SocketAddr,
    /// How promising a connection is, above 0 and up to 1; 0.5 where nothing is known.
    pub score: f64,
    /// Banned, or not connected: no sync is running while the store can be read.
    pub standing: Standing,
    /// All that is on record; times are those since 1970.
    #[serde(flatten)]
    pub record: PeerRecord,
}

/// Nodes that `store` remembers: banned ones last, the others by score, best first.
///
/// # Errors
/// When reading fails.
pub fn known_peers(store: &Store) -> Result<Vec<KnownPeer>, StoreError> {
    let now = clock::unix_now();
    let known = |(address, record): (SocketAddr, PeerRecord)| {
        let ban = record.ban_at(now);
        KnownPeer {
            address,
            score: record.score(),
            standing: ban.map_or(Standing::Absent { wait: None }, |Ban { until, reason }| Standing::Banned {
                wait: until - now,
                reason,
            }),
            record: PeerRecord { ban, ..record },
        }
    };
    let mut peers: Vec<KnownPeer> = store.peers()?.into_iter().map(known).collect();
    let is_banned = |peer: &KnownPeer| matches!(peer.standing, Standing::Banned { .. });
    peers.sort_by(|a, b| is_banned(a).cmp(&is_banned(b)).then(b.score.total_cmp(&a.score)));
    Ok(peers)
}

/// Has an address avoided for a while, 30 days at most, whether it was known or not. Peers that are configured are
/// connected to nevertheless.
///
/// # Errors
/// When reading or writing fails.
pub fn ban(store: &Store, address: SocketAddr, length: Duration) -> Result<(), StoreError> {
    let now = clock::unix_now();
    let ban = Ban { until: now + length.min(LONGEST_BAN), reason: BanReason::Manual };
    change(store, address, |record| {
        record.get_or_insert_with(|| PeerRecord::new(Source::Configured, now)).ban = Some(ban);
    })
}

/// Ends the ban of an address, for whatever reason it is banned; whether it was.
///
/// # Errors
/// When reading or writing fails.
pub fn unban(store: &Store, address: SocketAddr) -> Result<bool, StoreError> {
    let now = clock::unix_now();
    let mut was_banned = false;
    change(store, address, |record| {
        let ban = record.as_mut().and_then(|record| record.ban.take());
        was_banned = ban.is_some_and(|ban| now < ban.until);
    })?;
    Ok(was_banned)
}

fn change(
    store: &Store,
    address: SocketAddr,
    change: impl FnOnce(&mut Option<PeerRecord>),
) -> Result<(), StoreError> {
    let mut peers = store.peers()?;
    let position = peers.iter().position(|(known, _)| *known == address);
    let mut record = position.map(|position| peers.swap_remove(position).1);
    change(&mut record);
    peers.extend(record.map(|record| (address, record)));
    store.save_peers(&peers)
}

#[cfg(test)]
mod tests {
    use dashcore::Network;

    use super::*;

    #[test]
    fn bans_by_hand_hold_until_they_are_lifted() {
        let store = Store::in_memory(&Network::Regtest).unwrap();
        let [one, other] = ["5.6.7.8:1", "6.6.7.8:1"].map(|address| address.parse().unwrap());
        ban(&store, one, Duration::from_secs(60)).unwrap();
        ban(&store, other, Duration::MAX / 4).unwrap();
        assert!(unban(&store, one).unwrap());
        assert!(!unban(&store, one).unwrap());
        let known = known_peers(&store).unwrap();
        assert_eq!(known.iter().map(|peer| peer.address).collect::<Vec<_>>(), [one, other]);
        assert_eq!(known[0].standing, Standing::Absent { wait: None });
        let Standing::Banned { wait, reason: BanReason::Manual } = known[1].standing else {
            panic!("{:?}", known[1]);
        };
        assert!(wait <= LONGEST_BAN);
    }
}
