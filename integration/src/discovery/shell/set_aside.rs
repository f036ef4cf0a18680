use std::net::SocketAddr;
use std::time::Duration;

use super::{Discovery, State};
use crate::clock::UnixTime;
use crate::discovery::choice::Choice;
use crate::discovery::record::Conduct;
use crate::store::BanReason;

/// A node whose chain ends more blocks below ours, an hour's worth, is far behind.
pub(super) const FAR_BEHIND: u32 = 24;

/// What a node said of its height when it greeted is only held against it this long; the chain grows.
const HEIGHT_COUNTS_FOR: Duration = Duration::from_secs(60);

/// With as many others, one that is of no use is given up although nobody is known to take its place.
const MIN_PEERS: usize = 3;

/// How nodes conduct themselves, and which of them are avoided for it.
impl Discovery {
    /// Puts on record what a node did.
    pub(crate) fn record(&self, address: &SocketAddr, conduct: Conduct) {
        self.with(|state, _| state.table.record(address, conduct));
    }

    /// The node sent something wrong. It is avoided for a while, unless it is configured.
    pub(crate) fn lied(&self, address: &SocketAddr) {
        self.with(|state, now| {
            state.table.ban(address, BanReason::Lied, now + self.config.ban);
            state.urgent = true;
        });
    }

    /// The node refuses whatever it is asked for. Whether to give up the connection: where there is somebody to take its
    /// place.
    pub(crate) fn refuses(&self, address: &SocketAddr) -> bool {
        self.with(|state, now| self.set_aside(state, address, BanReason::Refuses, now))
    }

    /// A chain of this height was verified; gives the nodes that are too far behind to be kept.
    pub(crate) fn verified(&self, height: u32) -> Vec<SocketAddr> {
        self.with(|state, now| {
            state.height = state.height.max(height);
            let up: Vec<SocketAddr> = state.up.keys().copied().collect();
            up.into_iter().filter(|address| self.is_left_behind(state, address, now)).collect()
        })
    }

    /// Whether the node claimed a height that is far below ours and was given up for it.
    pub(super) fn is_left_behind(&self, state: &mut State, address: &SocketAddr, now: UnixTime) -> bool {
        let Some(&(since, claimed)) = state.up.get(address) else { return false };
        now - since <= HEIGHT_COUNTS_FOR
            && claimed.saturating_add(FAR_BEHIND) < state.height
            && self.set_aside(state, address, BanReason::Behind, now)
    }

    /// Avoids a node for a while if somebody can take its place; whether it does.
    fn set_aside(&self, state: &mut State, address: &SocketAddr, reason: BanReason, now: UnixTime) -> bool {
        if self.is_fixed(address) {
            return false;
        }
        let State { table, rng, held, up, .. } = state;
        let has_substitute = matches!(table.choose(held, false, now, rng), Choice::Connect(_));
        let is_replaceable =
            has_substitute || up.keys().filter(|&other| other != address).count() >= MIN_PEERS;
        if is_replaceable {
            state.table.ban(address, reason, now + self.config.set_aside);
        }
        is_replaceable
    }
}
