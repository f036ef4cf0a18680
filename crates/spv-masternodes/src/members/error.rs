use dashcore::sml::llmq_type::LLMQType;

/// Why the members of a quorum cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// The network has no such kind of quorum.
    #[error("quorum type {0} does not exist on this network")]
    UnknownType(LLMQType),
    /// No DKG session of this kind starts at this height.
    #[error("no DKG session of type {llmq_type} starts at height {base_height}")]
    NoSession {
        /// Kind of quorum.
        llmq_type: LLMQType,
        /// The height, in blocks.
        base_height: u32,
    },
    /// The proven state at this height is needed and missing.
    #[error("the masternode list at height {height} is missing")]
    MissingList {
        /// Height in blocks.
        height: u32,
    },
    /// The snapshot of this cycle is needed and missing.
    #[error("the snapshot of the cycle at height {cycle_base} is missing")]
    MissingSnapshot {
        /// Height of the cycle's base block.
        cycle_base: u32,
    },
    /// A snapshot's bits do not belong to the masternodes of its cycle's list.
    #[error("the snapshot of the cycle at height {cycle_base} has {got} bits for {expected} masternodes")]
    SnapshotBitCount {
        /// Height of the cycle's base block.
        cycle_base: u32,
        /// Length of the list.
        expected: usize,
        /// Number of bits.
        got: usize,
    },
    /// A snapshot marks more masternodes than could be chosen.
    #[error("the snapshot of the cycle at height {cycle_base} marks number {index} of {ranked} masternodes")]
    SnapshotBitOutOfRange {
        /// Height of the cycle's base block.
        cycle_base: u32,
        /// Position of the bit.
        index: usize,
        /// Number of masternodes that can be chosen.
        ranked: usize,
    },
    /// A snapshot says that it skips nothing and lists what it skips, or the other way round.
    #[error("the snapshot of the cycle at height {cycle_base} has {skips} skips, against its mode")]
    SnapshotMode {
        /// Height of the cycle's base block.
        cycle_base: u32,
        /// Length of the skip list.
        skips: usize,
    },
    /// A snapshot is not the one that follows from the lists and the snapshots before it.
    #[error("the snapshot of the cycle at height {cycle_base} is not the one that follows from earlier ones")]
    SnapshotMismatch {
        /// Height of the cycle's base block.
        cycle_base: u32,
    },
    /// The lists leave a cycle without a snapshot, but one was given.
    #[error("the cycle at height {cycle_base} has too few masternodes for a snapshot")]
    UnexpectedSnapshot {
        /// Height of the cycle's base block.
        cycle_base: u32,
    },
}
