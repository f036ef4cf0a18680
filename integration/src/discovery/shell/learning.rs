use std::net::SocketAddr;
use std::time::Duration;

use dashcore::network::message_network::service_flags;

use super::{Discovery, State};
use crate::clock::UnixTime;
use crate::config::PeerName;
use crate::discovery::acceptable::is_acceptable;
use crate::discovery::seeds::look_up;
use crate::resolver::LookupFailed;
use crate::store::Source;

/// Below this share of the table, nodes are asked for addresses.
const WANTED_SHARE: usize = 4;

/// Seeds are asked again after this long at the earliest.
pub(super) const SEED_INTERVAL: Duration = Duration::from_secs(600);

/// Addresses that a node sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Who.
    pub(crate) from: SocketAddr,
    /// What.
    pub(crate) candidates: Vec<Candidate>,
}

/// An address that a node sent. Nothing of it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The address.
    pub(crate) address: SocketAddr,
    /// Service bits.
    pub(crate) services: u64,
    /// When it was seen, Unix time in seconds.
    pub(crate) time: u32,
}

/// Learning of addresses: from other nodes, and from DNS seeds.
impl Discovery {
    /// Remembers addresses that a node sent.
    pub(crate) fn heard(&self, heard: Heard) {
        let source = Source::told_by(&heard.from);
        self.with(|state, now| {
            let State { table, rng, .. } = state;
            let serving = heard.candidates.into_iter().filter(|candidate| {
                // Nodes without the whole chain cannot prove lists of long ago.
                candidate.services & service_flags::NETWORK != 0
                    && is_acceptable(&candidate.address, &self.params)
            });
            let mut learnt = 0;
            for candidate in serving {
                let seen = Duration::from_secs(candidate.time.into());
                learnt += usize::from(table.learn(candidate.address, source, seen, now, rng));
            }
            tracing::debug!(peer = %heard.from, addresses = learnt, "learnt addresses");
        });
    }

    /// Whether nodes should be asked for addresses.
    pub(crate) fn wants_addresses(&self) -> bool {
        self.state.lock().table.usable(self.clock.now()) < self.config.capacity / WANTED_SHARE
    }

    /// Whether the seeds should be asked: so few are known that a place might stay empty. Answers yes once per interval.
    pub(crate) fn takes_turn_of_seeds(&self) -> bool {
        if self.params.dns_seeds.is_empty() {
            return false;
        }
        let now = self.clock.now();
        let mut state = self.state.lock();
        let is_due = state.seeds_at.is_none_or(|at| now >= at + SEED_INTERVAL);
        let is_needed = state.table.usable(now) < 2 * self.config.target_peers;
        if is_due && is_needed {
            state.seeds_at = Some(now);
            state.asking_seeds = true;
        }
        is_due && is_needed
    }

    /// Asks the DNS seeds and remembers what they answer. When nobody is known after that, the network's fixed seeds are
    /// remembered.
    ///
    /// # Errors
    /// When no DNS seed answers and there are no fixed ones to take their place.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn ask_seeds(&self) -> Result<(), LookupFailed> {
        let seeds = self.params.dns_seeds.iter();
        // Those that the network has can all be read.
        let seeds: Vec<PeerName> =
            seeds.filter_map(|seed| PeerName::parse(seed, self.params.default_port).ok()).collect();
        let found = look_up(&self.resolver, &seeds, self.config.seed_timeout).await;
        let (found, failure) = match found {
            Ok(found) => (found, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        let needs_fixed = self.with(|state, now| {
            state.asking_seeds = false;
            self.learn_from(state, &found, Source::Seed, now);
            let needs_fixed = !self.params.fixed_seeds.is_empty() && state.table.usable(now) == 0;
            if needs_fixed {
                self.learn_from(state, self.params.fixed_seeds, Source::FixedSeed, now);
            }
            needs_fixed
        });
        if needs_fixed {
            tracing::warn!(
                "no DNS seed returned a node and no other node is known; using the built-in seeds"
            );
            return Ok(());
        }
        failure.map_or(Ok(()), Err)
    }

    fn learn_from(&self, state: &mut State, addresses: &[SocketAddr], source: Source, now: UnixTime) {
        let State { table, rng, .. } = state;
        for address in addresses.iter().filter(|address| is_acceptable(address, &self.params)) {
            table.learn(*address, source, now, now, rng);
        }
    }
}
