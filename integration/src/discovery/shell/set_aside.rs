use std::net::SocketAddr;

use super::{Discovery, State};
use crate::clock::UnixTime;
use crate::discovery::choice::Choice;
use crate::discovery::record::Conduct;
use crate::store::BanReason;

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

    /// The chain that the node has shown is far behind one that is proven. Whether to give up the connection: where there
    /// is somebody to take its place.
    pub(crate) fn is_behind(&self, address: &SocketAddr) -> bool {
        self.with(|state, now| self.set_aside(state, address, BanReason::Behind, now))
    }

    /// Avoids a node for a while if somebody can take its place; whether it does.
    fn set_aside(&self, state: &mut State, address: &SocketAddr, reason: BanReason, now: UnixTime) -> bool {
        if state.fixed.contains(address) {
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
