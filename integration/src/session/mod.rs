//! A sync from start to end, and staying at the tip.

mod connected;
mod damage;
mod end_state;
mod engine;
mod environment;
mod error;
mod follow;
mod instant_locks;
mod lists;
mod quorums;
mod rivals;
mod run;
mod shortfall;
mod summary;
mod sync;
mod telling;

pub use end_state::EndState;
pub use engine::{Download, Session};
pub use environment::Environment;
pub use error::SyncError;
pub(crate) use follow::follow_and_judge;
pub use follow::{Step, follow_with};
pub(crate) use instant_locks::{Judge, LockFate};
pub use shortfall::Shortfall;
pub use summary::{
    Bytes, Lists, Masternodes, Quorums, QuorumsOfType, RecoverySummary, Requests, Seconds, Summary, Tip,
    TipHeard,
};
pub use sync::{sync, sync_with};
