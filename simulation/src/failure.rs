use std::net::SocketAddr;
use std::time::Duration;

use spv_integration::session::EndState;

/// Why a run counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The sync did not end.
    NeverEnded,
    /// The sync could not be carried out.
    Error(String),
    /// It ended in a state that the scenario does not allow.
    WrongEnd(EndState),
    /// It ended as synced below the tip that an honest node has.
    LowTip {
        /// Height that it ended at.
        height: u32,
    },
    /// A list that was reported as proven is missing or not the chain's.
    WrongList {
        /// Its height.
        height: u32,
    },
    /// Something that the store returned is not so.
    WrongRow {
        /// What.
        what: String,
    },
    /// A list that was stored is gone after another start.
    Lost {
        /// Its height.
        height: u32,
    },
    /// A panic that nothing contained.
    Panicked {
        /// What it said.
        what: String,
    },
    /// A node had more requests at one time than the cap.
    TooManyInFlight {
        /// The node.
        peer: SocketAddr,
        /// Most requests that it had.
        in_flight: u32,
    },
    /// A node is close to discouraging us.
    Misbehaviour {
        /// The node.
        peer: SocketAddr,
        /// Its score of us.
        score: u32,
    },
    /// Nearly everything failed, and requests went on all the same.
    PoolStayedClosed,
    /// Progress went backwards.
    ProgressWentBack,
    /// An honest node was there to be asked, and nobody was asked anything for longer than the longest wait of the
    /// configuration.
    Stalled {
        /// When, from the start of the run.
        at: Duration,
        /// For how long.
        idle_for: Duration,
    },
    /// Lists were missing and a node was connected, but nothing was in flight or waiting for its time: nothing would ever
    /// have happened again but by chance.
    Forgotten {
        /// When, from the start of the run.
        at: Duration,
    },
    /// Something that has a bound was above it.
    OutOfBounds {
        /// What.
        what: &'static str,
        /// How much of it there was.
        value: u64,
        /// Its bound.
        bound: u64,
    },
    /// Requests that were sent, received and ended do not add up.
    Miscounted {
        /// What was compared.
        what: &'static str,
        /// What there should have been.
        expected: u64,
        /// What there was.
        found: u64,
    },
}
