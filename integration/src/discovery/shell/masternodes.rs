use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Discovery, State};
use crate::discovery::acceptable::is_acceptable_masternode;
use crate::discovery::net_group::NetGroup;
use crate::store::Source;

/// Most masternodes of proven lists that are remembered as such, while they are of use.
const MOST: usize = 32;

/// With fewer, more are wanted.
const FEWEST: usize = MOST / 2;

/// Learning of addresses from proven masternode lists, the one source in which each address costs a collateral.
impl Discovery {
    /// Whether masternodes of a proven list should be learnt: few are known that are of use.
    pub(crate) fn wants_masternodes(&self) -> bool {
        self.state.lock().table.usable_masternodes(self.clock.now()).count() < FEWEST
    }

    /// Remembers some of the addresses of valid masternodes of a proven list: at most one in each network, drawn so that
    /// nobody can tell which.
    pub(crate) fn learn_masternodes(&self, addresses: impl Iterator<Item = SocketAddr>) {
        let acceptable = addresses.filter(|address| is_acceptable_masternode(address, &self.params));
        self.with(|state, now| {
            let State { table, rng, .. } = state;
            let known: BTreeSet<NetGroup> = table.usable_masternodes(now).map(NetGroup::of).collect();
            let mut by_group: BTreeMap<NetGroup, Vec<SocketAddr>> = BTreeMap::new();
            for address in acceptable {
                let group = NetGroup::of(&address);
                if !known.contains(&group) {
                    by_group.entry(group).or_default().push(address);
                }
            }
            let mut groups: Vec<_> = by_group.into_values().collect();
            rng.shuffle(&mut groups);
            groups.truncate(MOST.saturating_sub(table.usable_masternodes(now).count()));
            for address in groups.into_iter().filter_map(|group| rng.choice(group)).collect::<Vec<_>>() {
                table.learn(address, Source::Masternode, now, now, rng);
            }
        });
    }
}
