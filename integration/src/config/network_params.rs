use std::num::NonZeroU32;

use dashcore::ChainParams;
use serde::{Deserialize, Serialize};

use super::Config;

/// The differences of a network's parameters from the defaults of its name, in the format of the configuration. Equal
/// parameters have equal texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkParams {
    /// Like [`Config::llmq_params`].
    pub llmq_params: String,
    /// As [`Config::llmq_roles`].
    pub llmq_roles: String,
    /// As [`Config::activation`].
    pub activation: String,
    /// As [`Config::pow_target_spacing`].
    pub pow_target_spacing: Option<NonZeroU32>,
    /// As [`Config::minimum_difficulty_blocks`].
    pub minimum_difficulty_blocks: Option<u32>,
}

impl NetworkParams {
    /// Returns the settings that lead to these parameters.
    pub fn of(params: &ChainParams) -> Self {
        let usual = ChainParams::new(params.network.clone());
        let llmqs = params.llmqs.iter().filter(|llmq| !usual.llmqs.contains(llmq));
        let llmqs = llmqs.map(|llmq| format!("{}={}:{}", llmq.llmq_type, llmq.size, llmq.threshold));
        let roles = [
            ("chain-locks", params.chain_locks_llmq, usual.chain_locks_llmq),
            ("instant-send", params.rotated_llmq, usual.rotated_llmq),
            ("platform", params.platform_llmq, usual.platform_llmq),
        ];
        let roles = roles.into_iter().filter(|(_, one, usual)| one != usual);
        let (here, usually) = (&params.activation, &usual.activation);
        let heights = [
            ("bip34", here.bip34, usually.bip34),
            ("bip65", here.bip65, usually.bip65),
            ("bip66", here.bip66, usually.bip66),
            ("dip3", here.dip3, usually.dip3),
            ("dip8", here.dip8, usually.dip8),
            ("dip24", here.dip24, usually.dip24),
            ("v19", here.v19, usually.v19),
            ("v20", here.v20, usually.v20),
            ("mn_rr", here.mn_rr, usually.mn_rr),
            ("withdrawals", here.withdrawals, usually.withdrawals),
        ];
        let heights = heights.into_iter().filter(|(_, height, usual)| height != usual);
        let unless = |one: u32, usual: u32| Some(one).filter(|one| *one != usual);
        Self {
            llmq_params: llmqs.collect::<Vec<_>>().join(","),
            llmq_roles: roles.map(|(role, one, _)| format!("{role}={one}")).collect::<Vec<_>>().join(","),
            activation: heights.map(|(name, at, _)| format!("{name}={at}")).collect::<Vec<_>>().join(","),
            pow_target_spacing: unless(params.target_spacing, usual.target_spacing).and_then(NonZeroU32::new),
            minimum_difficulty_blocks: unless(
                params.minimum_difficulty_blocks,
                usual.minimum_difficulty_blocks,
            ),
        }
    }

    /// Returns the settings of a configuration.
    pub fn configured(config: &Config) -> Self {
        Self {
            llmq_params: config.llmq_params.clone(),
            llmq_roles: config.llmq_roles.clone(),
            activation: config.activation.clone(),
            pow_target_spacing: config.pow_target_spacing,
            minimum_difficulty_blocks: config.minimum_difficulty_blocks,
        }
    }

    /// Writes these settings into a configuration.
    pub fn configure(self, config: &mut Config) {
        config.llmq_params = self.llmq_params;
        config.llmq_roles = self.llmq_roles;
        config.activation = self.activation;
        config.pow_target_spacing = self.pow_target_spacing;
        config.minimum_difficulty_blocks = self.minimum_difficulty_blocks;
    }
}
