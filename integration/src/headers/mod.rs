//! Header chain: downloading, validating and holding it.

mod blocks;
mod chain;
mod difficulty;
mod download;
mod hashing;
mod round;
mod track;

pub use chain::{HeaderChain, HeaderError};
pub(crate) use download::HeaderDownload;
pub use download::HeaderDownloadError;
