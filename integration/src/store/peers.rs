use std::net::SocketAddr;
use std::time::Duration;

use dashcore::consensus::{deserialize, serialize};
use redb::ReadableTable;

use super::digest::digest;
use super::peer_record::{Ban, BanReason, PeerRecord, Source};
use super::schema::{PEERS, PeerValue};
use super::{Store, StoreError};

impl Store {
    /// What is remembered of nodes, in order of address. Empty for a database that was written before they were.
    ///
    /// # Errors
    /// When reading fails.
    pub fn peers(&self) -> Result<Vec<(SocketAddr, PeerRecord)>, StoreError> {
        self.contained(|| {
            let transaction = self.read()?;
            let table = match transaction.open_table(PEERS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(source) => return Err(self.failed(source)),
            };
            let rows = table.iter().map_err(|source| self.failed(source))?;
            let peers = rows.map(|row| {
                let (address, value) = row.map_err(|source| self.failed(source))?;
                let ((key, (value, seal)), damaged) =
                    ((address.value(), value.value()), || self.damaged("peer"));
                if seal != digest::<&[u8; 18], PeerValue>("peers", key, value) {
                    return Err(damaged());
                }
                Ok((deserialize(key).map_err(|_| damaged())?, from_value(value)))
            });
            peers.collect()
        })
    }

    /// Remembers these nodes and no others.
    ///
    /// # Errors
    /// When writing fails; nothing has then changed.
    pub fn save_peers(&self, peers: &[(SocketAddr, PeerRecord)]) -> Result<(), StoreError> {
        self.contained(|| {
            let transaction = self.write()?;
            {
                let mut table = transaction.open_table(PEERS).map_err(|source| self.failed(source))?;
                table.retain(|_, _| false).map_err(|source| self.failed(source))?;
                for (address, record) in peers {
                    let mut key = [0; 18];
                    key.copy_from_slice(&serialize(address));
                    let value = to_value(record);
                    let seal = digest::<&[u8; 18], PeerValue>("peers", &key, value);
                    table.insert(&key, (value, seal)).map_err(|source| self.failed(source))?;
                }
            }
            transaction.commit().map_err(|source| self.failed(source))
        })
    }
}

fn to_value(record: &PeerRecord) -> PeerValue {
    let PeerRecord { source, seen, tried, succeeded, failures, served, refused, failed, lied, rtt, ban } =
        *record;
    let source = match source {
        Source::Configured => (0, 0),
        Source::Seed => (1, 0),
        Source::Gossip(group) => (2, group),
        Source::FixedSeed => (3, 0),
        Source::Masternode => (4, 0),
    };
    let ban = ban.map(|ban| {
        let reason = match ban.reason {
            BanReason::Lied => 0,
            BanReason::Refuses => 1,
            BanReason::Behind => 2,
            BanReason::Manual => 3,
        };
        (reason, millis(ban.until))
    });
    let times = (millis(seen), tried.map(millis), succeeded.map(millis));
    (source, times, failures, (served, refused, failed, lied), rtt.map(millis), ban)
}

fn from_value(value: PeerValue) -> PeerRecord {
    let ((source, group), times, failures, (served, refused, failed, lied), rtt, ban) = value;
    let (seen, tried, succeeded) = times;
    PeerRecord {
        source: match source {
            0 => Source::Configured,
            1 => Source::Seed,
            3 => Source::FixedSeed,
            4 => Source::Masternode,
            // Also of a code that is not known here: a stranger's word.
            _ => Source::Gossip(group),
        },
        seen: Duration::from_millis(seen),
        tried: tried.map(Duration::from_millis),
        succeeded: succeeded.map(Duration::from_millis),
        failures,
        served,
        refused,
        failed,
        lied,
        rtt: rtt.map(Duration::from_millis),
        ban: ban.map(|(reason, until)| Ban {
            until: Duration::from_millis(until),
            reason: match reason {
                0 => BanReason::Lied,
                1 => BanReason::Refuses,
                2 => BanReason::Behind,
                _ => BanReason::Manual,
            },
        }),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use dashcore::Network;

    use super::*;

    fn records() -> Vec<(SocketAddr, PeerRecord)> {
        let ms = Duration::from_millis;
        let record = PeerRecord {
            source: Source::Gossip(u64::MAX),
            seen: ms(1),
            tried: Some(ms(2)),
            succeeded: Some(ms(3)),
            failures: 4,
            served: 5,
            refused: 6,
            failed: 7,
            lied: 8,
            rtt: Some(ms(9)),
            ban: Some(Ban { until: ms(10), reason: BanReason::Behind }),
        };
        let bare =
            PeerRecord { source: Source::Seed, tried: None, succeeded: None, rtt: None, ban: None, ..record };
        let manual = Some(Ban { until: ms(11), reason: BanReason::Manual });
        let banned = PeerRecord { source: Source::Configured, ban: manual, ..record };
        let addresses = ["1.2.3.4:5", "[2a01::1]:6", "[2a01::1]:7"].map(|text| text.parse().unwrap());
        addresses.into_iter().zip([record, bare, banned]).collect()
    }

    #[test]
    fn peers_are_remembered_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(directory.path(), &Network::Dash).unwrap();
        assert_eq!(store.peers().unwrap(), [], "older databases have no such table");
        store.save_peers(&records()).unwrap();
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        let mut expected = records();
        assert_eq!(sorted(store.peers().unwrap()), expected);
        expected.truncate(1);
        store.save_peers(&expected).unwrap();
        assert_eq!(store.peers().unwrap(), expected);
    }

    #[test]
    fn rows_of_older_versions_keep_their_meaning() {
        let value = |source| (source, (1, None, None), 0, (0, 0, 0, 0), None, None);
        for (code, source) in [
            ((0, 0), Source::Configured),
            ((1, 0), Source::Seed),
            ((2, 7), Source::Gossip(7)),
            ((3, 0), Source::FixedSeed),
            ((4, 0), Source::Masternode),
            ((200, 7), Source::Gossip(7)),
        ] {
            let record = from_value(value(code));
            assert_eq!(record.source, source);
            assert!(code.0 == 200 || to_value(&record) == value(code));
        }
    }

    fn sorted(mut peers: Vec<(SocketAddr, PeerRecord)>) -> Vec<(SocketAddr, PeerRecord)> {
        peers.sort_by_key(|(address, _)| *address);
        peers
    }
}
