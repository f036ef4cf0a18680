//! Networks and what differs between them (Dash Core `chainparams.cpp`).

mod devnet;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use dash_num::Arith256;
use dash_types::Numeric;

use crate::blockdata::block::Header;
use crate::checkpoints::{self, Checkpoint};
use crate::fixed_seeds;
use crate::hash_types::{BlockHash, TxMerkleNode};
use crate::sml::llmq_type::{LLMQParams, LLMQType};

pub use devnet::devnet_coinbase;
use devnet::{devnet_block, is_devnet_name};

/// Blocks between a cycle's base block and its work block below it, from whose list members are chosen (Dash Core
/// `WORK_DIFF_DEPTH`, llmq/utils.h).
pub const WORK_BLOCK_DEPTH: u32 = 8;

/// A Dash network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Main network.
    Dash,
    /// Public test network.
    Testnet,
    /// Private network with public rules, by the name that its nodes' `-devnet` has.
    Devnet(String),
    /// Local network without difficulty.
    Regtest,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dash => f.write_str("main"),
            Self::Testnet => f.write_str("test"),
            // Names that were read have nothing to escape; others may have been made up.
            Self::Devnet(name) => write!(f, "devnet:{}", name.escape_debug()),
            Self::Regtest => f.write_str("regtest"),
        }
    }
}

/// A network name that is none of `main`, `test`, `regtest` and `devnet:NAME`, or a devnet's that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown network {0:?}; use main, test, regtest, local or devnet:NAME, where NAME has up to 64 letters, digits and any of \
     . _ - and begins with a letter or a digit"
)]
pub struct UnknownNetwork(pub String);

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "main" => Ok(Self::Dash),
            "test" => Ok(Self::Testnet),
            "regtest" => Ok(Self::Regtest),
            _ => match name.strip_prefix("devnet:") {
                Some(devnet) if is_devnet_name(devnet) => Ok(Self::Devnet(devnet.to_owned())),
                _ => Err(UnknownNetwork(name.to_owned())),
            },
        }
    }
}

/// How a network's difficulty develops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retargeting {
    /// Always the proof-of-work limit (regtest).
    None,
    /// DarkGravityWave v3 from a height on. Below it other rules held (on the main network Bitcoin's, then Kimoto's gravity
    /// well), by which nothing is checked here: no list of masternodes is that old.
    DarkGravityWave {
        /// First height with DarkGravityWave v3.
        from: u32,
        /// First height at which nodes ask for exactly what it says; from `from` to there they accept a difficulty that is
        /// wrong by up to half of what the block claims (Dash Core `ContextualCheckBlockHeader`, validation.cpp).
        exact_from: u32,
        /// Whether a late block may have minimum difficulty (testnet, devnet).
        allow_min_difficulty: bool,
    },
}

/// Heights at which rules start to apply. A rule holds for a block of that height and all above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activation {
    /// Block versions from 2 on (BIP34).
    pub bip34: u32,
    /// Block versions from 4 on (BIP65).
    pub bip65: u32,
    /// Block versions from 3 on (BIP66).
    pub bip66: u32,
    /// Masternode lists in coinbases (DIP3).
    pub dip3: u32,
    /// Quorum roots in coinbases (DIP8).
    pub dip8: u32,
    /// Quorum rotation (DIP24).
    pub dip24: u32,
    /// Basic BLS scheme.
    pub v19: u32,
    /// ChainLocks in coinbases, modifiers from them.
    pub v20: u32,
    /// Masternode reward reallocation to Platform.
    pub mn_rr: u32,
    /// Platform withdrawals.
    pub withdrawals: u32,
}

/// Everything about a network that synchronisation depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainParams {
    /// Which network.
    pub network: Network,
    /// First bytes of every message.
    pub magic: [u8; 4],
    /// Default P2P port.
    pub default_port: u16,
    /// DNS seeds.
    pub dns_seeds: &'static [&'static str],
    /// Nodes to turn to when no DNS seed answers and nobody else is known; they get old with the release.
    pub fixed_seeds: &'static [SocketAddr],
    /// Block 0.
    pub genesis: Header,
    /// Hash of block 0.
    pub genesis_hash: BlockHash,
    /// Block 1 of a devnet, which its name alone decides; `None` elsewhere.
    pub devnet_block: Option<Header>,
    /// Easiest target, in compact form.
    pub pow_limit: u32,
    /// Difficulty rules.
    pub retargeting: Retargeting,
    /// Intended seconds between two blocks; at least 1. A devnet may choose (Dash Core `-powtargetspacing`).
    pub target_spacing: u32,
    /// Blocks up to this height have the easiest target. A devnet may choose (Dash Core `-minimumdifficultyblocks`).
    pub minimum_difficulty_blocks: u32,
    /// Total work below which no chain is the network's (Dash Core `nMinimumChainWork`); zero where none is known.
    pub minimum_chain_work: Arith256,
    /// Activation heights.
    pub activation: Activation,
    /// The kinds of quorums that exist, with their parameters.
    pub llmqs: Vec<LLMQParams>,
    /// The kind that signs InstantSend locks, and which `qrinfo` is about. It is rotated, but on a regtest whose nodes were
    /// told otherwise (Dash Core `-llmqtestinstantsenddip0024`): then there is no `qrinfo`.
    pub rotated_llmq: LLMQType,
    /// The kind that signs ChainLocks.
    pub chain_locks_llmq: LLMQType,
    /// The kind that signs for Platform.
    pub platform_llmq: LLMQType,
    /// Known blocks, ascending by height.
    pub checkpoints: Vec<Checkpoint>,
}

impl ChainParams {
    /// Whether the network has left this kind of quorum behind at a height: InstantSend's from before rotation, where no
    /// other task is left for it (Dash Core `IsQuorumTypeEnabledInternal`, llmq/options.cpp).
    pub fn is_switched_off(&self, llmq_type: LLMQType, height: u32) -> bool {
        let is_old = [LLMQType::LLMQ_50_60, LLMQType::LLMQ_TEST_INSTANTSEND].contains(&llmq_type);
        let is_in_use = [self.chain_locks_llmq, self.platform_llmq, self.rotated_llmq].contains(&llmq_type);
        is_old && !is_in_use && height >= self.activation.dip24
    }

    /// Parameters of a network as Dash Core ships them.
    pub fn new(network: Network) -> Self {
        match network {
            Network::Dash => Self::mainnet(),
            Network::Testnet => Self::testnet(),
            Network::Regtest => Self::regtest(),
            Network::Devnet(name) => Self::devnet(name),
        }
    }

    /// Parameters of the network that Dash's `dashmate` sets up on one machine: a regtest of three masternodes, too few for
    /// rotated quorums, whose InstantSend locks are signed by quorums of type 104.
    pub fn local() -> Self {
        Self { rotated_llmq: LLMQType::LLMQ_TEST_INSTANTSEND, ..Self::regtest() }
    }

    /// Parameters of one kind of quorum on this network.
    pub fn llmq(&self, llmq_type: LLMQType) -> Option<&LLMQParams> {
        self.llmqs.iter().find(|params| params.llmq_type == llmq_type)
    }

    /// Parameters of the kind that signs InstantSend locks, [`rotated_llmq`](Self::rotated_llmq).
    ///
    /// # Panics
    /// Never for parameters made by [`ChainParams::new`]: each network has this kind.
    pub fn rotated(&self) -> &LLMQParams {
        self.llmq(self.rotated_llmq).expect("every network lists the quorum type of its InstantSend locks")
    }

    /// The known block at a height.
    pub fn checkpoint_at(&self, height: u32) -> Option<&Checkpoint> {
        let found = self.checkpoints.binary_search_by_key(&height, |checkpoint| checkpoint.height);
        found.ok().and_then(|index| self.checkpoints.get(index))
    }

    /// The highest known block; `None` on private networks.
    pub fn newest_checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }

    /// Whether the members of some kind of quorum may be chosen from the list of the block at this height.
    pub fn is_work_block(&self, height: u32) -> bool {
        let base = height.checked_add(WORK_BLOCK_DEPTH);
        base.is_some_and(|base| self.llmqs.iter().any(|llmq| base.is_multiple_of(llmq.dkg_interval)))
    }

    fn mainnet() -> Self {
        let genesis = genesis(1_390_095_618, 0x1e0f_fff0, 28_917_698);
        Self {
            network: Network::Dash,
            magic: [0xbf, 0x0c, 0x6b, 0xbd],
            default_port: 9999,
            dns_seeds: &["dnsseed.dash.org"],
            fixed_seeds: fixed_seeds::MAINNET,
            genesis,
            genesis_hash: genesis.block_hash(),
            devnet_block: None,
            pow_limit: 0x1e0f_ffff,
            retargeting: Retargeting::DarkGravityWave {
                from: 34_140,
                exact_from: 68_590,
                allow_min_difficulty: false,
            },
            target_spacing: 150,
            minimum_difficulty_blocks: 0,
            minimum_chain_work: Arith256::from_hex_lossy("b567e2d53a06de194061"),
            activation: Activation {
                bip34: 951,
                bip65: 619_382,
                bip66: 245_817,
                dip3: 1_028_160,
                dip8: 1_088_640,
                dip24: 1_737_792,
                v19: 1_899_072,
                v20: 1_987_776,
                mn_rr: 2_128_896,
                withdrawals: 2_201_472,
            },
            llmqs: llmqs(&[1, 2, 3, 4, 5]),
            rotated_llmq: LLMQType::LLMQ_60_75,
            chain_locks_llmq: LLMQType::LLMQ_400_60,
            platform_llmq: LLMQType::LLMQ_100_67,
            checkpoints: checkpoints::mainnet(),
        }
    }

    fn testnet() -> Self {
        let genesis = genesis(1_390_666_206, 0x1e0f_fff0, 3_861_367_235);
        Self {
            network: Network::Testnet,
            magic: [0xce, 0xe2, 0xca, 0xff],
            default_port: 19_999,
            dns_seeds: &["testnet-seed.dashdot.io"],
            fixed_seeds: &[],
            genesis,
            genesis_hash: genesis.block_hash(),
            devnet_block: None,
            pow_limit: 0x1e0f_ffff,
            retargeting: Retargeting::DarkGravityWave {
                from: 4_002,
                exact_from: 4_002,
                allow_min_difficulty: true,
            },
            target_spacing: 150,
            minimum_difficulty_blocks: 0,
            minimum_chain_work: Arith256::from_hex_lossy("36c8f738da818d2"),
            activation: Activation {
                bip34: 76,
                bip65: 2_431,
                bip66: 2_075,
                dip3: 7_000,
                dip8: 78_800,
                dip24: 769_700,
                v19: 850_100,
                v20: 905_100,
                mn_rr: 1_066_900,
                withdrawals: 1_148_500,
            },
            llmqs: llmqs(&[1, 2, 3, 4, 5, 6]),
            rotated_llmq: LLMQType::LLMQ_60_75,
            chain_locks_llmq: LLMQType::LLMQ_50_60,
            platform_llmq: LLMQType::LLMQ_25_67,
            checkpoints: checkpoints::testnet(),
        }
    }

    fn regtest() -> Self {
        let genesis = genesis(1_417_713_337, 0x207f_ffff, 1_096_447);
        Self {
            network: Network::Regtest,
            magic: [0xfc, 0xc1, 0xb7, 0xdc],
            default_port: 19_899,
            dns_seeds: &[],
            fixed_seeds: &[],
            genesis,
            genesis_hash: genesis.block_hash(),
            devnet_block: None,
            pow_limit: 0x207f_ffff,
            retargeting: Retargeting::None,
            target_spacing: 150,
            minimum_difficulty_blocks: 0,
            minimum_chain_work: Arith256::ZERO,
            activation: Activation {
                bip34: 1,
                bip65: 1,
                bip66: 1,
                dip3: 432,
                dip8: 1,
                dip24: 1,
                v19: 1,
                v20: 432,
                mn_rr: 432,
                withdrawals: 600,
            },
            llmqs: llmqs(&[100, 104, 102, 103, 106]),
            rotated_llmq: LLMQType::LLMQ_TEST_DIP0024,
            chain_locks_llmq: LLMQType::LLMQ_TEST,
            platform_llmq: LLMQType::LLMQ_TEST_PLATFORM,
            checkpoints: Vec::new(),
        }
    }

    fn devnet(name: String) -> Self {
        let regtest = Self::regtest();
        Self {
            devnet_block: Some(devnet_block(&name, &regtest.genesis)),
            network: Network::Devnet(name),
            magic: [0xe2, 0xca, 0xff, 0xce],
            default_port: 19_799,
            retargeting: Retargeting::DarkGravityWave {
                from: 4_001,
                exact_from: 4_001,
                allow_min_difficulty: true,
            },
            activation: Activation {
                bip34: 1,
                bip65: 1,
                bip66: 1,
                dip3: 2,
                dip8: 2,
                dip24: 2,
                v19: 2,
                v20: 2,
                mn_rr: 2,
                withdrawals: 2,
            },
            llmqs: llmqs(&[1, 2, 3, 4, 5, 101, 105, 107]),
            rotated_llmq: LLMQType::LLMQ_DEVNET_DIP0024,
            chain_locks_llmq: LLMQType::LLMQ_DEVNET,
            platform_llmq: LLMQType::LLMQ_DEVNET_PLATFORM,
            ..regtest
        }
    }
}

fn genesis(time: u32, bits: u32, nonce: u32) -> Header {
    Header {
        version: 1,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::from_byte_array(GENESIS_MERKLE_ROOT),
        time,
        bits,
        nonce,
    }
}

fn llmqs(types: &[u8]) -> Vec<LLMQParams> {
    types.iter().filter_map(|&llmq_type| LLMQType(llmq_type).params()).collect()
}

const GENESIS_MERKLE_ROOT: [u8; 32] = [
    0xc7, 0x62, 0xa6, 0x56, 0x7f, 0x3c, 0xc0, 0x92, 0xf0, 0x68, 0x4b, 0xb6, 0x2b, 0x7e, 0x00, 0xa8, 0x48,
    0x90, 0xb9, 0x90, 0xf0, 0x7c, 0xc7, 0x1a, 0x6b, 0xb5, 0x8d, 0x64, 0xb9, 0x8e, 0x02, 0xe0,
];
