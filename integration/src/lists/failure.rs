use serde::Serialize;

use crate::counted;

/// Why not all lists could be brought.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DownloadFailure {
    /// Nobody is there to be asked.
    #[error("no usable peer")]
    NoPeer,
    /// Every peer has refused so often that asking on would get us discouraged.
    #[error(
        "every peer refuses what is asked; they may be on another chain: check --network, or add peers with --peer"
    )]
    CreditSpent,
    /// A list could not be had from anybody.
    #[error(
        "the list at height {height} could not be downloaded after {}{}; add peers with --peer",
        counted(*.attempts, "attempt"),
        wrong_remark(*.attempts, *.wrong)
    )]
    Exhausted {
        /// Height of the list.
        height: u32,
        /// Attempts made.
        attempts: u32,
        /// How many of them brought an answer that does not verify.
        wrong: u32,
    },
    /// Only peers that do not serve it have the block of a list.
    #[error(
        "no peer serves the list at height {height}: the peers that have its block failed {}, the others do not have it",
        counted(*.attempts, "time")
    )]
    Unserved {
        /// Height of the list.
        height: u32,
        /// Attempts made.
        attempts: u32,
    },
    /// Independent peers gave the same answer and it does not verify.
    #[error(
        "every peer was asked for the list at height {height}, and none has one that verifies; {} gave the same \
         answer: {reason}; where the network's quorum parameters are not the usual ones, check --llmq-params and \
         --activation", counted(*.witnesses, "independent peer")
    )]
    Unverifiable {
        /// Height of the list.
        height: u32,
        /// Peers that gave this answer.
        witnesses: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Independent peers gave the same answer, and rules made it that are not known here.
    #[error(
        "the list at height {height} was made by newer rules than this version knows; update; {} gave the same answer: \
         {reason}", counted(*.witnesses, "independent peer")
    )]
    NewerRules {
        /// Height of the list.
        height: u32,
        /// Peers that gave this answer.
        witnesses: u32,
        /// What is not known.
        reason: String,
    },
    /// Something failed on this side.
    #[error("an internal failure stopped the download of the list at height {height}")]
    Internal {
        /// Height of the list.
        height: u32,
    },
}

fn wrong_remark(attempts: u32, wrong: u32) -> String {
    if wrong == 0 {
        String::new()
    } else if wrong < attempts {
        format!(", {wrong} of which brought an answer that does not verify")
    } else {
        ", and no answer verifies; where the network's quorum parameters are not the usual ones, check --llmq-params and \
         --activation"
            .to_owned()
    }
}

impl DownloadFailure {
    /// Height of the list that could not be had; `None` where it is not about a list.
    pub(crate) const fn height(&self) -> Option<u32> {
        match self {
            Self::Exhausted { height, .. }
            | Self::Unserved { height, .. }
            | Self::Unverifiable { height, .. }
            | Self::NewerRules { height, .. } => Some(*height),
            Self::NoPeer | Self::CreditSpent | Self::Internal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhaustion_says_how_many_answers_were_wrong() {
        let text = |wrong| DownloadFailure::Exhausted { height: 16, attempts: 20, wrong }.to_string();
        let had = "the list at height 16 could not be downloaded after 20 attempts";
        assert_eq!(text(0), format!("{had}; add peers with --peer"));
        assert_eq!(
            text(3),
            format!("{had}, 3 of which brought an answer that does not verify; add peers with --peer")
        );
        assert!(text(20).contains("no answer verifies") && text(20).contains("--activation"), "{}", text(20));
    }
}
