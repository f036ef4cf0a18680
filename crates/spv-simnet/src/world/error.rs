use std::io;
use std::path::PathBuf;

use dashcore::BlockHash;
use dashcore::consensus::DecodeError;

/// Why a recorded world could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The manifest is not what it should be.
    #[error("malformed manifest {}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A value could not be decoded.
    #[error("malformed value at byte {offset} of {} (height {height})", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Where in the file the offending value begins.
        offset: usize,
        /// Height that the record is for.
        height: u32,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The file ends within a record.
    #[error("{} ends within the record that begins at byte {offset}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: usize,
    },
    /// A record contradicts the rest of the world.
    #[error("{reason}, at byte {offset} of {}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: usize,
        /// How.
        #[source]
        reason: Inconsistency,
    },
}

/// Why a generated world could not be kept on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The world's file could not be read.
    #[error("cannot read the cached world {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The world's file could not be written.
    #[error("cannot write the cached world {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// How a record contradicts the rest of its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// The world is of a network that cannot be simulated from a recording.
    #[error("only regtest can be simulated")]
    Network,
    /// The first header is not the network's genesis.
    #[error("the first block {found} is not the network's genesis {expected}")]
    Genesis {
        /// Hash of the first header.
        found: BlockHash,
        /// Genesis hash of the network.
        expected: BlockHash,
    },
    /// A header does not follow its predecessor.
    #[error("the header of height {height} does not follow its predecessor")]
    Unlinked {
        /// Its height.
        height: u32,
    },
    /// The number of headers does not fit the tip of the manifest.
    #[error("the manifest says that the tip is {expected}, the headers end at {found}")]
    Tip {
        /// Tip of the manifest.
        expected: u32,
        /// Height of the last header.
        found: u32,
    },
    /// Records are not in the order of their heights, or one is missing.
    #[error("a record of height {expected} should be here, not one of height {found}")]
    Height {
        /// Height that is due.
        expected: u32,
        /// Height that is there.
        found: u32,
    },
    /// A record names a height that the chain does not have.
    #[error("there is no block of height {height}")]
    NoSuchHeight {
        /// The height.
        height: u32,
    },
    /// An answer names another block than the one of its height.
    #[error("the answer of height {height} is about another block")]
    OtherBlock {
        /// The height.
        height: u32,
    },
    /// Two answers disagree about the snapshot of a cycle.
    #[error("two answers disagree about the snapshot of cycle {cycle}")]
    Snapshot {
        /// Base height of the cycle.
        cycle: u32,
    },
}
