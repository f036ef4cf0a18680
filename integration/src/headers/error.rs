use crate::chain::HeaderError;

/// Why the header chain could not be brought to the tip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderDownloadError {
    /// No peer gave a usable answer.
    #[error("no peer serves valid headers after height {height}")]
    NoUsableAnswer {
        /// Height that was reached.
        height: u32,
    },
    /// All peers that answered claim a longer chain than they serve.
    #[error(
        "no peer serves headers above height {height}, though peers ({peers}) claim a chain up to {claimed}; add peers with \
         --peer"
    )]
    Unserved {
        /// Height that was reached.
        height: u32,
        /// Greatest height that was claimed.
        claimed: u32,
        /// How many peers claim more than they serve.
        peers: usize,
    },
    /// No peer has the block from which the sync starts.
    #[error(
        "the peers ({peers}) claim less than height {start}, from which the sync starts: they still download the chain \
         themselves; try again later, or add peers with --peer"
    )]
    PeersSyncing {
        /// Height from which the sync starts.
        start: u32,
        /// How many peers claim less.
        peers: usize,
    },
    /// Nobody serves the headers below the start, without which those above it cannot be checked.
    #[error(
        "no peer serves the headers just below height {start}, which are needed to check the ones above; add \
         peers with --peer"
    )]
    NoAncestry {
        /// Height from which the sync starts.
        start: u32,
    },
    /// Headers are more than two hours ahead of this machine's clock.
    #[error("headers come from the future: this machine's clock is wrong{}; set it, then try again", clock_remark(*.peers_ahead))]
    Clock {
        /// Seconds that most peers' clocks are ahead of ours, as they say.
        peers_ahead: i64,
    },
    /// Stretches between checkpoints do not fit together.
    #[error("headers contradict a checkpoint: {0}")]
    Checkpoint(#[from] HeaderError),
}

/// How much this machine's clock differs from those of most peers, where that is worth saying.
pub(crate) fn clock_remark(peers_ahead: i64) -> String {
    let minutes = peers_ahead.unsigned_abs() / 60;
    match peers_ahead {
        _ if minutes < NOTEWORTHY_MINUTES => String::new(),
        1.. => format!(", {minutes} min behind those of most peers"),
        _ => format!(", {minutes} min ahead of those of most peers"),
    }
}

/// Clocks differ by a few minutes here and there.
const NOTEWORTHY_MINUTES: u64 = 10;
