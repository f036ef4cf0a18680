//! A sync from start to end.

mod connected;
mod contacts;
mod download;
mod failure;
mod follow;
mod io;
mod lists;
mod live_peer;
mod peer_report;
mod peers;
mod progress;
mod quorums;
mod recovering;
mod run;
mod selector;
mod session;
mod summary;
mod tips;

pub use crate::peer::{Connector, Stream};
pub use crate::stages::StageTotal;
pub(crate) use download::REPLACEMENTS;
pub use failure::DownloadFailure;
pub use follow::{Step, follow_with};
pub use io::{Io, Verification};
pub use live_peer::{LivePeer, PeerState};
pub(crate) use peer_report::Outcome;
pub(crate) use peers::{Executed, Peers};
pub use progress::{Phase, Progress, Snapshot};
pub(crate) use run::blocking;
pub use run::{SyncError, sync, sync_with};
pub use selector::Selector;
pub use session::{Download, Session};
pub use summary::{
    Bytes, EndState, Lists, Peer, Quorums, QuorumsOfType, RecoverySummary, Requests, Seconds, Summary, Tip,
    TipLock,
};
pub(crate) use tips::Tips;
