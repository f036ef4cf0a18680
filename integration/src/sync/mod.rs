//! A sync from start to end.

mod download;
mod io;
mod peers;
mod progress;
mod quorums;
mod recovering;
mod run;
mod summary;

pub use crate::peer::{Connector, Stream};
pub use download::DownloadFailure;
pub use io::{Io, Verification};
pub(crate) use peers::{Outcome, Peers};
pub use progress::{Phase, Progress, Snapshot};
pub use run::{SyncError, sync, sync_with};
pub use summary::{
    Bytes, EndState, Lists, Peer, Quorums, QuorumsOfType, RecoverySummary, Requests, Seconds, Summary, Tip,
    TipLock,
};
