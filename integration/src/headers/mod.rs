//! Downloading headers: from all peers, the chain with the most work wins.

mod download;
mod error;
mod exchange;
mod round;
mod segments;
mod tips;
mod track;

pub(crate) use download::HeaderDownload;
pub use error::HeaderDownloadError;
pub(crate) use tips::Tips;
