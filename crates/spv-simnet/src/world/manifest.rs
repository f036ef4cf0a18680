use std::collections::BTreeMap;

use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, ChainParams, Network};
use serde::Deserialize;

/// The part of a recording's `manifest.json` that answers depend on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) network: String,
    pub(super) tip: u32,
    pub(super) genesis_hash: BlockHash,
    #[serde(default)]
    llmq_params: BTreeMap<u8, LlmqSizes>,
    activation: ActivationHeights,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum LlmqSizes {
    #[serde(rename_all = "camelCase")]
    Changed { size: u32, min_size: u32, threshold: u32 },
    /// A remark that the defaults hold.
    Default(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct ActivationHeights {
    dip3: u32,
    dip24: u32,
    v19: u32,
    v20: u32,
    mn_rr: u32,
    withdrawals: u32,
}

impl Manifest {
    /// Regtest's parameters with the heights and sizes of the recorded chain.
    pub(super) fn params(&self) -> ChainParams {
        let mut params = ChainParams::new(Network::Regtest);
        let ActivationHeights { dip3, dip24, v19, v20, mn_rr, withdrawals } = self.activation;
        params.activation.dip3 = dip3;
        params.activation.dip24 = dip24;
        params.activation.v19 = v19;
        params.activation.v20 = v20;
        params.activation.mn_rr = mn_rr;
        params.activation.withdrawals = withdrawals;
        for llmq in &mut params.llmqs {
            if let Some(LlmqSizes::Changed { size, min_size, threshold }) = self.sizes(llmq.llmq_type) {
                (llmq.size, llmq.min_size, llmq.threshold) = (*size, *min_size, *threshold);
            }
        }
        params
    }

    fn sizes(&self, llmq_type: LLMQType) -> Option<&LlmqSizes> {
        self.llmq_params.get(&llmq_type.0)
    }
}
