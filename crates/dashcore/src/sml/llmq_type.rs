//! Kinds of long-living masternode quorums and their parameters (Dash Core `llmq/params.h`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::consensus::{Decodable, DecodeError, Encodable, Reader};

/// Kind of quorum. Kinds that are not known here still decode, so that a list can be proven beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LLMQType(pub u8);

impl LLMQType {
    /// 50 members, threshold 60 %.
    pub const LLMQ_50_60: Self = Self(1);
    /// 400 members, threshold 60 %: ChainLocks on mainnet.
    pub const LLMQ_400_60: Self = Self(2);
    /// 400 members, threshold 85 %.
    pub const LLMQ_400_85: Self = Self(3);
    /// 100 members, threshold 67 %: Platform on mainnet.
    pub const LLMQ_100_67: Self = Self(4);
    /// 60 members, threshold 75 %, rotated: InstantSend on mainnet and testnet.
    pub const LLMQ_60_75: Self = Self(5);
    /// 25 members, threshold 67 %: Platform on testnet.
    pub const LLMQ_25_67: Self = Self(6);
    /// Regtest ChainLocks.
    pub const LLMQ_TEST: Self = Self(100);
    /// Devnet ChainLocks.
    pub const LLMQ_DEVNET: Self = Self(101);
    /// Regtest, behind the test-dummy fork.
    pub const LLMQ_TEST_V17: Self = Self(102);
    /// Regtest, rotated: InstantSend.
    pub const LLMQ_TEST_DIP0024: Self = Self(103);
    /// Regtest InstantSend before rotation.
    pub const LLMQ_TEST_INSTANTSEND: Self = Self(104);
    /// Devnet, rotated: InstantSend.
    pub const LLMQ_DEVNET_DIP0024: Self = Self(105);
    /// Regtest Platform.
    pub const LLMQ_TEST_PLATFORM: Self = Self(106);
    /// Devnet Platform.
    pub const LLMQ_DEVNET_PLATFORM: Self = Self(107);

    /// Its name in Dash Core (`llmq/params.h`), such as `llmq_400_60`; `None` for a kind that is not known here.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(llmq_type, _)| *llmq_type == self).map(|(_, name)| *name)
    }

    /// Default parameters of this kind; `None` for a kind that is not known here.
    pub fn params(self) -> Option<LLMQParams> {
        ALL.iter().find(|params| params.llmq_type == self).copied()
    }
}

impl fmt::Display for LLMQType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for LLMQType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0)
    }
}

impl<'de> Deserialize<'de> for LLMQType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Self)
    }
}

/// A text that names no kind of quorum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no quorum type; give its number, or its name as in llmq_400_60")]
pub struct UnknownLLMQType(String);

/// A number, or the name of a kind that is known here.
impl FromStr for LLMQType {
    type Err = UnknownLLMQType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = NAMES.iter().find(|(_, name)| *name == text).map(|(llmq_type, _)| *llmq_type);
        let numbered = || text.parse().ok().map(Self);
        named.or_else(numbered).ok_or_else(|| UnknownLLMQType(text.to_owned()))
    }
}

impl Encodable for LLMQType {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

impl Decodable for LLMQType {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u8::consensus_decode(reader).map(Self)
    }
}

/// Parameters of one kind of quorum. Heights and intervals are in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LLMQParams {
    /// The kind.
    pub llmq_type: LLMQType,
    /// Members of a quorum.
    pub size: u32,
    /// Fewest valid members with which a quorum is still formed.
    pub min_size: u32,
    /// Members whose shares recover a signature.
    pub threshold: u32,
    /// Blocks between two DKG sessions; the length of a cycle.
    pub dkg_interval: u32,
    /// First block of the mining window, counted from the cycle's base block.
    pub mining_window_start: u32,
    /// Last block of the mining window, counted from the cycle's base block.
    pub mining_window_end: u32,
    /// Quorums of this kind that may sign at one time; for a rotated kind also the quorums of one cycle.
    pub signing_active_quorum_count: u32,
    /// Whether members rotate by quarters (DIP24).
    pub rotated: bool,
}

const fn params(
    llmq_type: LLMQType,
    (size, min_size, threshold): (u32, u32, u32),
    dkg_interval: u32,
    (mining_window_start, mining_window_end): (u32, u32),
    signing_active_quorum_count: u32,
    rotated: bool,
) -> LLMQParams {
    LLMQParams {
        llmq_type,
        size,
        min_size,
        threshold,
        dkg_interval,
        mining_window_start,
        mining_window_end,
        signing_active_quorum_count,
        rotated,
    }
}

const NAMES: [(LLMQType, &str); 14] = [
    (LLMQType::LLMQ_50_60, "llmq_50_60"),
    (LLMQType::LLMQ_400_60, "llmq_400_60"),
    (LLMQType::LLMQ_400_85, "llmq_400_85"),
    (LLMQType::LLMQ_100_67, "llmq_100_67"),
    (LLMQType::LLMQ_60_75, "llmq_60_75"),
    (LLMQType::LLMQ_25_67, "llmq_25_67"),
    (LLMQType::LLMQ_TEST, "llmq_test"),
    (LLMQType::LLMQ_DEVNET, "llmq_devnet"),
    (LLMQType::LLMQ_TEST_V17, "llmq_test_v17"),
    (LLMQType::LLMQ_TEST_DIP0024, "llmq_test_dip0024"),
    (LLMQType::LLMQ_TEST_INSTANTSEND, "llmq_test_instantsend"),
    (LLMQType::LLMQ_DEVNET_DIP0024, "llmq_devnet_dip0024"),
    (LLMQType::LLMQ_TEST_PLATFORM, "llmq_test_platform"),
    (LLMQType::LLMQ_DEVNET_PLATFORM, "llmq_devnet_platform"),
];

const ALL: [LLMQParams; 14] = [
    params(LLMQType::LLMQ_50_60, (50, 40, 30), 24, (10, 18), 24, false),
    params(LLMQType::LLMQ_400_60, (400, 300, 240), 288, (20, 28), 4, false),
    params(LLMQType::LLMQ_400_85, (400, 350, 340), 576, (20, 48), 4, false),
    params(LLMQType::LLMQ_100_67, (100, 80, 67), 24, (10, 18), 24, false),
    params(LLMQType::LLMQ_60_75, (60, 50, 45), 288, (42, 50), 32, true),
    params(LLMQType::LLMQ_25_67, (25, 22, 17), 24, (10, 18), 24, false),
    params(LLMQType::LLMQ_TEST, (3, 2, 2), 24, (10, 18), 2, false),
    params(LLMQType::LLMQ_DEVNET, (12, 7, 6), 24, (10, 18), 4, false),
    params(LLMQType::LLMQ_TEST_V17, (3, 2, 2), 24, (10, 18), 2, false),
    params(LLMQType::LLMQ_TEST_DIP0024, (4, 4, 3), 24, (12, 20), 2, true),
    params(LLMQType::LLMQ_TEST_INSTANTSEND, (3, 2, 2), 24, (10, 18), 2, false),
    params(LLMQType::LLMQ_DEVNET_DIP0024, (8, 6, 4), 48, (12, 20), 2, true),
    params(LLMQType::LLMQ_TEST_PLATFORM, (3, 2, 2), 24, (10, 18), 2, false),
    params(LLMQType::LLMQ_DEVNET_PLATFORM, (12, 9, 8), 24, (10, 18), 4, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_kind_has_a_name_that_leads_back_to_it() {
        for params in ALL {
            let name = params.llmq_type.name().unwrap();
            assert_eq!(name.parse(), Ok(params.llmq_type));
            assert_eq!(params.llmq_type.to_string().parse(), Ok(params.llmq_type));
        }
        assert_eq!("250".parse(), Ok(LLMQType(250)));
        assert_eq!(LLMQType(250).name(), None);
        for wrong in ["", "llmq_1_2", "256", "-1", "LLMQ_50_60"] {
            assert!(wrong.parse::<LLMQType>().is_err(), "{wrong}");
        }
    }
}
