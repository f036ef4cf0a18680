//! A sync from start to end, and staying at the tip.

mod connected;
mod contacts;
mod end_state;
mod engine;
mod follow;
mod io;
mod lists;
mod quorums;
mod run;
mod summary;

pub use end_state::EndState;
pub use engine::{Download, Session};
pub use follow::{Step, follow_with};
pub use io::Io;
pub use run::{SyncError, sync, sync_with};
pub use summary::{Bytes, Lists, Quorums, QuorumsOfType, RecoverySummary, Requests, Seconds, Summary, Tip};
