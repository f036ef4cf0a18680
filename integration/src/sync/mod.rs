//! A sync from start to end.

mod download;
mod peers;
mod progress;
mod run;
mod summary;

pub use download::DownloadFailure;
pub(crate) use peers::{Outcome, Peers};
pub use progress::{Phase, Progress, Snapshot};
pub use run::{SyncError, sync};
pub use summary::{Bytes, EndState, Lists, Peer, Quorums, QuorumsOfType, Requests, Seconds, Summary, Tip};
