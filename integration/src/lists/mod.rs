//! Downloading lists: schedules requests, sends them, has answers verified, and recovers what failed.

mod download;
mod failure;
pub(crate) mod metrics;

pub(crate) use download::{Downloaded, GaveUp, ListDownload, Tally};
pub use failure::DownloadFailure;
