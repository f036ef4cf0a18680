//! Downloading headers: from all peers, the chain with the most work wins.

mod download;
mod round;
mod tips;
mod track;

pub(crate) use download::HeaderDownload;
pub use download::HeaderDownloadError;
pub(crate) use tips::Tips;
