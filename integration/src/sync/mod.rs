//! A sync from start to end.

mod download;
mod failure;
mod io;
mod peer_report;
mod peers;
mod progress;
mod quorums;
mod recovering;
mod run;
mod session;
mod summary;

pub use crate::peer::{Connector, Stream};
pub use failure::DownloadFailure;
pub use io::{Io, Verification};
pub(crate) use peer_report::Outcome;
pub(crate) use peers::Peers;
pub use progress::{Phase, Progress, Snapshot};
pub use run::{SyncError, sync, sync_with};
pub use session::{Download, Session};
pub use summary::{
    Bytes, EndState, Lists, Peer, Quorums, QuorumsOfType, RecoverySummary, Requests, Seconds, Summary, Tip,
    TipLock,
};
