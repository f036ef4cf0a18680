use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a network could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The configuration has no peer.
    #[error("a network needs at least one peer")]
    NoPeers,
    /// The ports that follow the first one run out.
    #[error("{peers} peers do not fit into the ports from {first} on")]
    TooFewPorts {
        /// The first port.
        first: u16,
        /// How many ports are needed.
        peers: usize,
    },
    /// A peer's chain is to end where the world has no block.
    #[error("peer {peer} cannot end its chain at height {tip}: the world's tip is {world_tip}")]
    TipAboveWorld {
        /// Index of the peer.
        peer: usize,
        /// Where its chain should end.
        tip: u32,
        /// Where the world ends.
        world_tip: u32,
    },
    /// A peer is to speak a version with another message layout.
    #[error(
        "peer {peer} cannot speak protocol version {version}: the oldest with today's layout is {oldest}"
    )]
    ProtocolVersion {
        /// Index of the peer.
        peer: usize,
        /// Version that was asked for.
        version: i32,
        /// Oldest version that is possible.
        oldest: i32,
    },
    /// A peer is to wait longer than anybody would wait for it.
    #[error("peer {peer}: {field} of {time:?} is longer than {longest:?}")]
    TooLong {
        /// Index of the peer.
        peer: usize,
        /// Which of its times.
        field: &'static str,
        /// What was asked for.
        time: Duration,
        /// Longest time that is possible.
        longest: Duration,
    },
    /// A peer is to mine where that takes more than a moment.
    #[error("peer {peer}: {fault} needs a network on which blocks cost next to nothing, such as regtest")]
    TooHard {
        /// Index of the peer.
        peer: usize,
        /// The fault for which it would mine.
        fault: &'static str,
    },
    /// A peer's junk chain is to begin where the peer has no block.
    #[error("peer {peer}: junk-chain cannot fork off at height {fork}: the peer's tip is {tip}")]
    ForkAboveTip {
        /// Index of the peer.
        peer: usize,
        /// Height of the last real block.
        fork: u32,
        /// Where the peer's chain ends.
        tip: u32,
    },
    /// A listener could not be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
