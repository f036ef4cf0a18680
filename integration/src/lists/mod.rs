//! Downloading lists: schedules requests, sends them, has answers verified, and recovers what failed.

mod download;
mod failure;
pub(crate) mod metrics;
mod outcome;

pub(crate) use download::ListDownload;
pub use failure::DownloadFailure;
pub(crate) use outcome::{Downloaded, GaveUp, Tally};
