use std::fmt;

use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{ChainParams, Network};

/// Which quorums form on a generated chain, and how lively it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuorumProfile {
    /// Regtest's ChainLock, rotated and Platform quorums with four members each, so that all form from few masternodes;
    /// much changes in each cycle of 24 blocks, and one DKG session in ten fails.
    Small,
    /// Mainnet's: sizes, thresholds and intervals of types 1 to 5, where type 1 ends after its first 24 sessions; a tenth
    /// of the masternodes are EvoNodes, a quarter are banned, and little changes from block to block.
    Mainnet,
    /// Quorums of one member each, of regtest's ChainLock, InstantSend and Platform types, where InstantSend is not rotated:
    /// a network of nodes started with `-llmqtestparams=1:1` and so on, and `-llmqtestinstantsenddip0024`.
    Single,
    /// Those of a network that `dashmate` sets up on one machine: three members each, and none rotated.
    Local,
    /// A devnet's, with rotation every 48 blocks, on the devnet named `simnet`.
    Devnet,
}

impl fmt::Display for QuorumProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Mainnet => "mainnet",
            Self::Single => "single",
            Self::Local => "local",
            Self::Devnet => "devnet",
        })
    }
}

impl QuorumProfile {
    pub(super) const ALL: [Self; 5] = [Self::Small, Self::Mainnet, Self::Single, Self::Local, Self::Devnet];

    pub(super) fn params(self) -> ChainParams {
        let mut params = match self {
            // All rules hold from the second block on.
            Self::Devnet => return ChainParams::new(Network::Devnet(DEVNET.into())),
            Self::Single | Self::Local => ChainParams::local(),
            Self::Small | Self::Mainnet => ChainParams::new(Network::Regtest),
        };
        params.activation.dip3 = 2;
        params.activation.v20 = V20;
        params.activation.mn_rr = V20;
        match self {
            Self::Small => {
                for llmq in params.llmqs.iter_mut().filter(|llmq| !llmq.rotated) {
                    (llmq.size, llmq.min_size, llmq.threshold) = (SMALL_SIZE, SMALL_SIZE, SMALL_SIZE);
                }
            }
            Self::Single => {
                for llmq in params.llmqs.iter_mut().filter(|llmq| !llmq.rotated) {
                    (llmq.size, llmq.min_size, llmq.threshold) = (1, 1, 1);
                }
            }
            Self::Local | Self::Devnet => {}
            Self::Mainnet => {
                let ChainParams { llmqs, rotated_llmq, chain_locks_llmq, platform_llmq, .. } =
                    ChainParams::new(Network::Dash);
                // As nodes do with parameters that are given: regtest has no such types of its own.
                let given = llmqs.into_iter().map(|llmq| LLMQParams { min_size: llmq.threshold, ..llmq });
                params.llmqs.extend(given);
                params.rotated_llmq = rotated_llmq;
                params.chain_locks_llmq = chain_locks_llmq;
                params.platform_llmq = platform_llmq;
            }
        }
        params
    }

    /// Base height of the first cycle whose snapshot nodes have: its work block has the rules of v20. All heights here are
    /// counted from the last quiet block.
    pub(super) fn first_cycle(self, params: &ChainParams) -> u32 {
        FIRST_SESSION.next_multiple_of(params.rotated().dkg_interval)
    }

    /// Whether a session of this kind, which is not rotated, begins with the block at `height`.
    pub(super) fn begins(self, llmq: &LLMQParams, height: u32) -> bool {
        let kinds: &[LLMQType] = match self {
            Self::Small => &[LLMQType::LLMQ_TEST, LLMQType::LLMQ_TEST_PLATFORM],
            Self::Mainnet => {
                &[LLMQType::LLMQ_50_60, LLMQType::LLMQ_400_60, LLMQType::LLMQ_400_85, LLMQType::LLMQ_100_67]
            }
            Self::Single | Self::Local => {
                &[LLMQType::LLMQ_TEST, LLMQType::LLMQ_TEST_INSTANTSEND, LLMQType::LLMQ_TEST_PLATFORM]
            }
            Self::Devnet => &[LLMQType::LLMQ_DEVNET, LLMQType::LLMQ_DEVNET_PLATFORM],
        };
        // Rotated quorums took over from type 1, whose last ones stay active for ever.
        let ended = llmq.llmq_type == LLMQType::LLMQ_50_60
            && height >= FIRST_SESSION + llmq.signing_active_quorum_count * llmq.dkg_interval;
        kinds.contains(&llmq.llmq_type)
            && height >= FIRST_SESSION
            && height.is_multiple_of(llmq.dkg_interval)
            && !ended
    }

    /// One session in this many fails.
    pub(super) fn sessions_per_failure(self) -> u32 {
        match self {
            Self::Mainnet => 200,
            _ => 10,
        }
    }
}

/// From here on coinbases have ChainLocks.
const V20: u32 = 100;
/// The first session whose work block follows the rules of v20.
pub(super) const FIRST_SESSION: u32 = 120;
/// Name of the devnet.
const DEVNET: &str = "simnet";
const SMALL_SIZE: u32 = 4;
