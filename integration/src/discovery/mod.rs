//! Which nodes to talk to: addresses from DNS seeds and from other nodes, what each of them is worth, and who is banned.
//!
//! `PeerTable` decides, and knows neither clock nor network; `Discovery` feeds it.

mod acceptable;
mod choice;
mod known_peer;
pub(crate) mod metrics;
mod net_group;
mod record;
mod room;
mod seeds;
mod shell;
mod standing;
mod table;

pub use known_peer::{KnownPeer, ban, known_peers, unban};
pub(crate) use record::Conduct;
pub(crate) use shell::{Candidate, Discovery, Heard, Next};
pub use standing::Standing;
