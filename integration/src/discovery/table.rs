use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::choice::{self, Choice};
use super::net_group::NetGroup;
use super::record::Conduct;
use super::room::make_room;
use crate::clock::UnixTime;
use crate::config::DiscoveryConfig;
use crate::store::{Ban, BanReason, PeerRecord, Source};

/// Addresses of nodes and what each is worth. Knows no clock and no network: times come in with the calls, and so does the
/// generator of what is drawn.
#[derive(Debug, Clone)]
pub(crate) struct PeerTable {
    config: DiscoveryConfig,
    records: BTreeMap<SocketAddr, PeerRecord>,
}

/// How many addresses are known, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All.
    pub(crate) known: usize,
    /// Those that were connected to at least once, whether that worked or not.
    pub(crate) tried: usize,
    /// Those that are avoided now.
    pub(crate) banned: usize,
}

/// After this many failures in a row nobody counts on an address.
pub(super) const DOUBTFUL_FAILURES: u32 = 3;

impl PeerTable {
    /// An empty table; the configuration must be valid.
    pub(crate) const fn new(config: DiscoveryConfig) -> Self {
        Self { config, records: BTreeMap::new() }
    }

    /// Takes up what was remembered, the best first, as far as there is room.
    pub(crate) fn restore(
        &mut self,
        remembered: impl IntoIterator<Item = (SocketAddr, PeerRecord)>,
        now: UnixTime,
    ) {
        let mut remembered: Vec<_> =
            remembered.into_iter().map(|(address, record)| (address, record.restored(now))).collect();
        // Bans before all, or whoever wants to be forgotten would only have to fill the table.
        let rank =
            |record: &PeerRecord| (record.ban.is_some(), record.is_proven(now), record.is_fresh_masternode());
        remembered.sort_by(|(_, a), (_, b)| rank(b).cmp(&rank(a)).then(b.score().total_cmp(&a.score())));
        let mut by_group: BTreeMap<NetGroup, usize> = BTreeMap::new();
        for (address, record) in remembered {
            let of_group = by_group.entry(NetGroup::of(&address)).or_default();
            if self.records.len() < self.config.capacity && *of_group < self.config.per_group {
                *of_group += 1;
                self.records.insert(address, record);
            }
        }
    }

    /// Remembers an address, if there is room; whether it is a new one that is remembered now. An address that ever
    /// answered never makes room for one that somebody only names. That a proven list names it outweighs who else did.
    pub(crate) fn learn(
        &mut self,
        address: SocketAddr,
        source: Source,
        seen: UnixTime,
        now: UnixTime,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let seen = seen.min(now);
        if let Some(record) = self.records.get_mut(&address) {
            record.seen = record.seen.max(seen);
            if source == Source::Masternode && record.source != Source::Configured {
                record.source = source;
            }
            return false;
        }
        let has_room = make_room(&mut self.records, &self.config, &address, source, now, rng);
        if has_room {
            self.records.insert(address, PeerRecord::new(source, seen));
        }
        has_room
    }

    /// A connection is attempted.
    pub(crate) fn tried(&mut self, address: &SocketAddr, now: UnixTime) {
        self.change(address, |record| record.tried = Some(now));
    }

    /// An attempt failed, or the connection ended before it was of any use.
    pub(crate) fn unreachable(&mut self, address: &SocketAddr, now: UnixTime) {
        self.change(address, |record| {
            record.tried = Some(now);
            record.failures = record.failures.saturating_add(1);
        });
    }

    /// The node has answered.
    pub(crate) fn answered(&mut self, address: &SocketAddr, rtt: Option<Duration>, now: UnixTime) {
        self.change(address, |record| {
            record.succeeded = Some(now);
            record.seen = record.seen.max(now);
            record.failures = 0;
            record.rtt = rtt.or(record.rtt);
        });
    }

    /// Puts on record what the node did.
    pub(crate) fn record(&mut self, address: &SocketAddr, conduct: Conduct) {
        self.change(address, |record| record.count(conduct));
    }

    /// Avoids an address until `until`, or longer where it already is.
    pub(crate) fn ban(&mut self, address: &SocketAddr, reason: BanReason, until: UnixTime) {
        self.change(address, |record| {
            if record.ban.is_none_or(|ban| ban.until < until) {
                record.ban = Some(Ban { until, reason });
            }
        });
    }

    /// Whom to connect to next, while connections to `held` are there or under way; `lonely` when none is there.
    pub(crate) fn choose(
        &self,
        held: &BTreeSet<SocketAddr>,
        lonely: bool,
        now: UnixTime,
        rng: &mut fastrand::Rng,
    ) -> Choice {
        choice::choose(&self.records, &self.config, held, lonely, now, rng)
    }

    /// Addresses that a connection may come about to: neither banned nor failing again and again.
    pub(crate) fn usable(&self, now: UnixTime) -> usize {
        self.records.values().filter(|record| is_usable(record, now)).count()
    }

    /// Those of them that a proven list names.
    pub(crate) fn usable_masternodes(&self, now: UnixTime) -> impl Iterator<Item = &SocketAddr> {
        let of_list =
            move |record: &PeerRecord| record.source == Source::Masternode && is_usable(record, now);
        self.records.iter().filter(move |(_, record)| of_list(record)).map(|(address, _)| address)
    }

    pub(crate) fn counts(&self, now: UnixTime) -> Counts {
        let count = |is_counted: fn(&PeerRecord, UnixTime) -> bool| {
            self.records.values().filter(|record| is_counted(record, now)).count()
        };
        Counts {
            known: self.records.len(),
            tried: count(|record, _| record.tried.is_some()),
            banned: count(|record, now| record.ban_at(now).is_some()),
        }
    }

    /// All that is known.
    pub(crate) const fn records(&self) -> &BTreeMap<SocketAddr, PeerRecord> {
        &self.records
    }

    fn change(&mut self, address: &SocketAddr, change: impl FnOnce(&mut PeerRecord)) {
        if let Some(record) = self.records.get_mut(address) {
            change(record);
        }
    }
}

fn is_usable(record: &PeerRecord, now: UnixTime) -> bool {
    record.ban_at(now).is_none() && record.failures < DOUBTFUL_FAILURES
}

impl Source {
    /// What this node tells of.
    pub(crate) fn told_by(peer: &SocketAddr) -> Self {
        Self::Gossip(NetGroup::of(peer).to_u64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn config() -> DiscoveryConfig {
        DiscoveryConfig { capacity: 64, per_group: 8, ..DiscoveryConfig::default() }
    }

    /// Host `host` of network `group`.
    fn address(group: u8, host: u16) -> SocketAddr {
        let [high, low] = host.to_be_bytes();
        SocketAddr::from(([50, group, high, low], 9999))
    }

    fn now(seconds: u64) -> UnixTime {
        Duration::from_secs(1_700_000_000 + seconds)
    }

    fn in_group(table: &PeerTable, group: u8) -> usize {
        table.records().keys().filter(|known| NetGroup::of(known) == NetGroup::of(&address(group, 0))).count()
    }

    #[derive(Debug, Clone)]
    enum Event {
        Learn { address: SocketAddr, source: Source, seen: u64 },
        Tried(SocketAddr),
        Unreachable(SocketAddr),
        Answered(SocketAddr),
        Did(SocketAddr, Conduct),
        Ban(SocketAddr),
    }

    fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
        let any_address = || (0..12_u8, 0..40_u16).prop_map(|(group, host)| address(group, host));
        let source = prop_oneof![
            Just(Source::Seed),
            Just(Source::Configured),
            Just(Source::Masternode),
            (0..3_u64).prop_map(Source::Gossip)
        ];
        let conduct = prop_oneof![
            Just(Conduct::Served),
            Just(Conduct::Refused),
            Just(Conduct::Failed),
            Just(Conduct::Lied)
        ];
        let event = prop_oneof![
            6 => (any_address(), source, any::<u32>()).prop_map(|(address, source, seen)| {
                Event::Learn { address, source, seen: seen.into() }
            }),
            1 => any_address().prop_map(Event::Tried),
            1 => any_address().prop_map(Event::Unreachable),
            1 => any_address().prop_map(Event::Answered),
            1 => (any_address(), conduct).prop_map(|(address, conduct)| Event::Did(address, conduct)),
            1 => any_address().prop_map(Event::Ban),
        ];
        prop::collection::vec((0..5_000_u64, event), 0..400)
    }

    /// The table after all that; the events are as many seconds apart as they say.
    fn after(events: &[(u64, Event)], rng: &mut fastrand::Rng) -> (PeerTable, u64) {
        let mut table = PeerTable::new(config());
        let mut seconds = 0;
        for (pause, event) in events {
            seconds += pause;
            let now = now(seconds);
            match event {
                Event::Learn { address, source, seen } => {
                    table.learn(*address, *source, Duration::from_secs(*seen), now, rng);
                }
                Event::Tried(address) => table.tried(address, now),
                Event::Unreachable(address) => table.unreachable(address, now),
                Event::Answered(address) => table.answered(address, Some(Duration::from_millis(50)), now),
                Event::Did(address, conduct) => table.record(address, *conduct),
                Event::Ban(address) => table.ban(address, BanReason::Lied, now + HOUR),
            }
        }
        (table, seconds)
    }

    proptest! {
        #[test]
        fn the_table_keeps_its_bounds(events in events(), seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            for end in [events.len() / 2, events.len()] {
                let (table, _) = after(&events[..end], &mut rng);
                prop_assert!(table.records().len() <= 64);
                prop_assert!((0..12).all(|group| in_group(&table, group) <= 8));
                let told_by = |source| table.records().values().filter(|record| record.source == Source::Gossip(source) && record.succeeded.is_none()).count();
                prop_assert!((0..3).all(|source| told_by(source) <= 16));
            }
        }

        #[test]
        fn no_address_that_answered_is_displaced_by_a_flood(
            events in events(), seed: u64, group: u8, spread: bool, source: u64,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut table, seconds) = after(&events, &mut rng);
            let now = now(seconds);
            let proven: Vec<SocketAddr> = table.records().iter().filter(|(_, record)| record.is_proven(now)).map(|(address, _)| *address).collect();
            let banned = table.counts(now).banned;
            for host in 0..500_u16 {
                let group = if spread { u8::try_from(host % 256).unwrap() } else { group };
                table.learn(address(group, 1_000 + host), Source::Gossip(source), now, now, &mut rng);
            }
            prop_assert!(proven.iter().all(|address| table.records().contains_key(address)));
            prop_assert_eq!(table.counts(now).banned, banned);
            prop_assert!(table.records().len() <= 64);
        }

        #[test]
        fn equal_seeds_choose_alike_and_nobody_banned_or_held(events in events(), seed: u64) {
            let run = || {
                let mut rng = fastrand::Rng::with_seed(seed);
                let (table, seconds) = after(&events, &mut rng);
                let now = now(seconds);
                let mut held = BTreeSet::new();
                let mut chosen = Vec::new();
                while let Choice::Connect(next) = table.choose(&held, held.is_empty(), now, &mut rng) {
                    chosen.push(next);
                    assert!(held.insert(next), "{next} is held already");
                }
                (table, chosen, now)
            };
            let ((table, chosen, now), (_, again, _)) = (run(), run());
            prop_assert_eq!(&chosen, &again);
            prop_assert!(chosen.iter().all(|address| table.records()[address].ban_at(now).is_none()));
            // Nobody is the second of its group while another group has nobody yet, nor ever the third.
            let mut by_group: BTreeMap<NetGroup, usize> = BTreeMap::new();
            let mut most = 0;
            for address in &chosen {
                let count = by_group.entry(NetGroup::of(address)).or_default();
                *count += 1;
                prop_assert!(*count >= most && *count <= 2);
                most = *count;
            }
        }

        #[test]
        fn what_is_written_down_is_taken_up_again(events in events(), seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (table, seconds) = after(&events, &mut rng);
            let rows = table.records().clone();
            let mut restored = PeerTable::new(config());
            restored.restore(rows.clone(), now(seconds));
            let expected: BTreeMap<_, _> =
                rows.into_iter().map(|(address, record)| (address, record.restored(now(seconds)))).collect();
            prop_assert_eq!(restored.records(), &expected);
        }
    }

    #[test]
    fn bans_expire() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = PeerTable::new(config());
        let peer = address(1, 1);
        table.learn(peer, Source::Seed, now(0), now(0), &mut rng);
        table.ban(&peer, BanReason::Lied, now(0) + HOUR);
        table.ban(&peer, BanReason::Behind, now(0) + HOUR / 2);
        let mut choose = |now| table.choose(&BTreeSet::new(), true, now, &mut rng);
        assert_eq!(choose(now(3_599)), Choice::At(now(3_600)), "the longer ban holds");
        assert_eq!(choose(now(3_600)), Choice::Connect(peer));
        assert_eq!(table.counts(now(3_599)).banned, 1);
        assert_eq!(table.counts(now(3_600)).banned, 0);
    }

    #[test]
    fn who_has_nobody_does_not_wait_long() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = PeerTable::new(config());
        let peer = address(1, 1);
        table.learn(peer, Source::Seed, now(0), now(0), &mut rng);
        (0..40).for_each(|_| table.unreachable(&peer, now(0)));
        let nobody = BTreeSet::new();
        assert_eq!(table.choose(&nobody, true, now(1), &mut rng), Choice::At(now(30)));
        assert_eq!(table.choose(&nobody, false, now(1), &mut rng), Choice::At(now(3_600)));
    }

    #[test]
    fn most_connections_go_where_answers_came_from_and_some_to_the_unknown() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = PeerTable::new(config());
        for group in 0..40 {
            table.learn(address(group, 1), Source::Seed, now(0), now(0), &mut rng);
        }
        for group in 0..10 {
            table.answered(&address(group, 1), None, now(0));
        }
        let mut proven = 0;
        for _ in 0..1_000 {
            match table.choose(&BTreeSet::new(), true, now(1), &mut rng) {
                Choice::Connect(chosen) => proven += u32::from(table.records()[&chosen].succeeded.is_some()),
                other => panic!("{other:?}"),
            }
        }
        assert!((700..=800).contains(&proven), "{proven}");
    }

    #[test]
    fn masternodes_of_a_proven_list_are_tried_before_those_that_are_only_named() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = PeerTable::new(config());
        for group in 0..30 {
            table.learn(address(group, 1), Source::Gossip(1), now(0), now(0), &mut rng);
        }
        let masternodes = [address(5, 1), address(40, 1)];
        for masternode in masternodes {
            table.learn(masternode, Source::Masternode, now(0), now(0), &mut rng);
        }
        let mut held = BTreeSet::new();
        for _ in masternodes {
            let Choice::Connect(chosen) = table.choose(&held, true, now(1), &mut rng) else { panic!() };
            assert!(masternodes.contains(&chosen) && held.insert(chosen), "{chosen}");
        }
        table.unreachable(&address(5, 1), now(1));
        held.clear();
        held.insert(address(40, 1));
        let mut chosen = BTreeSet::new();
        for _ in 0..50 {
            let Choice::Connect(next) = table.choose(&held, true, now(60), &mut rng) else { panic!() };
            chosen.insert(next);
        }
        assert!(chosen.len() > 10, "one that failed is nothing better: {chosen:?}");
    }

    #[test]
    fn masternodes_displace_nobody_who_answered_and_gossip_displaces_no_masternode() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = PeerTable::new(config());
        for group in 0..8 {
            for host in 0..8 {
                table.learn(address(group, host), Source::Seed, now(0), now(0), &mut rng);
                table.answered(&address(group, host), None, now(0));
            }
        }
        assert!(!table.learn(address(9, 1), Source::Masternode, now(0), now(0), &mut rng), "full");

        let mut table = PeerTable::new(config());
        table.learn(address(0, 0), Source::Masternode, now(0), now(0), &mut rng);
        // From many, so that it is not the bound on each of them that holds them back.
        for host in 1..2_000 {
            let source = Source::Gossip(u64::from(host % 16));
            table.learn(address((host % 12) as u8, host), source, now(0), now(0), &mut rng);
        }
        assert!(table.records().contains_key(&address(0, 0)));
    }

    #[test]
    fn those_who_serve_are_chosen_before_those_who_refuse() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut table = PeerTable::new(config());
        for group in 0..2 {
            table.learn(address(group, 1), Source::Seed, now(0), now(0), &mut rng);
            table.answered(&address(group, 1), None, now(0));
        }
        (0..50).for_each(|_| table.record(&address(0, 1), Conduct::Served));
        (0..50).for_each(|_| table.record(&address(1, 1), Conduct::Refused));
        let mut chosen = |_| table.choose(&BTreeSet::new(), true, now(1), &mut rng);
        let serving = (0..100).map(&mut chosen).filter(|&choice| choice == Choice::Connect(address(0, 1)));
        assert!(serving.count() > 90);
    }
}
