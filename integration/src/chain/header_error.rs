use dashcore::{BlockHash, Network};

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The parent is another block than the tip.
    #[error("header {height} has parent {got}, expected {expected}")]
    NotLinked {
        /// Height that the header would have.
        height: u32,
        /// The tip.
        expected: BlockHash,
        /// The parent it names.
        got: BlockHash,
    },
    /// The X11 hash does not meet the target, or the target is easier than the network allows.
    #[error("header {height} ({hash}) does not have the work that its bits {bits:08x} require")]
    InsufficientWork {
        /// Height that the header would have.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its claimed target.
        bits: u32,
    },
    /// The target is not what the difficulty rules ask for.
    #[error("header {height} has bits {got:08x}, but the difficulty rules require {expected:08x}")]
    WrongBits {
        /// Height that the header would have.
        height: u32,
        /// Bits by the rules.
        expected: u32,
        /// Bits of the header.
        got: u32,
    },
    /// The time is not after the median of the last eleven headers.
    #[error("header {height} has time {got}, not after the median {median} of its ancestors")]
    TimeTooOld {
        /// Height that the header would have.
        height: u32,
        /// Median time, Unix seconds.
        median: u32,
        /// Time of the header, Unix seconds.
        got: u32,
    },
    /// The time is more than two hours ahead of ours.
    #[error("header {height} has time {got}, more than two hours after {now}; check this machine's clock")]
    TimeTooNew {
        /// Height that the header would have.
        height: u32,
        /// Our time, Unix seconds.
        now: u32,
        /// Time of the header, Unix seconds.
        got: u32,
    },
    /// Another block is known at this height.
    #[error("header {height} has hash {got}, but the known block at that height is {expected}")]
    CheckpointMismatch {
        /// Height of the checkpoint.
        height: u32,
        /// The known block.
        expected: BlockHash,
        /// The block that was sent.
        got: BlockHash,
    },
    /// Block 1 of a devnet names it, and this one names another.
    #[error("block 1 is {got}, but that of {network} is {expected}; check the devnet's name")]
    OtherDevnet {
        /// The devnet that is followed.
        network: Network,
        /// Its block 1.
        expected: BlockHash,
        /// The block that was sent.
        got: BlockHash,
    },
    /// The block version is one that the network has left behind (BIP34, BIP66, BIP65).
    #[error("header {height} has version {got}, but the network requires at least {least}")]
    VersionTooOld {
        /// Height that the header would have.
        height: u32,
        /// The least that will do.
        least: i32,
        /// Version of the header.
        got: i32,
    },
    /// The target is much easier than that of the block where the chain starts. That may be right, but the headers below the
    /// start decide it, and not all of them are known yet. No fault of who sent it: it may be tried again.
    #[error(
        "header {height} has bits {bits:08x}, which only the headers below the start of the chain can explain"
    )]
    AwaitsAncestry {
        /// Height that the header would have.
        height: u32,
        /// Its claimed target.
        bits: u32,
    },
    /// No block is known at this height from which a chain could start.
    #[error("no checkpoint is known at height {height}")]
    NoCheckpoint {
        /// The height.
        height: u32,
    },
}
