//! The peers of a sync: which of them may be asked, who is asked next, and what each of them did.

mod book;
mod heard_chain;
mod live_peer;
mod peer_report;
mod peer_sources;
mod peer_summary;
mod peers;
mod recovering;
mod request_trace;
mod selecting;
mod throttle;
mod transport;

pub use live_peer::LivePeer;
pub(crate) use peer_report::{OtherChain, Outcome, PeerReport};
pub(crate) use peer_sources::PeerSources;
pub use peer_summary::Peer;
#[cfg(test)]
pub(crate) use peers::tests::Scene;
pub(crate) use peers::{Executed, Peers, failure_kind};
