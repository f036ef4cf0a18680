//! Downloading headers: every peer is heard, and the chain with the most work wins whose lists can be had.

mod ahead;
mod descent;
mod download;
mod error;
mod exchange;
mod hearing;
mod patience;
mod segments;
mod tips;

pub(crate) use download::HeaderDownload;
pub use error::HeaderDownloadError;
pub(crate) use error::clock_remark;
pub(crate) use patience::Patience;
pub(crate) use tips::Tips;
