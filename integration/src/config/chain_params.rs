//! Chain parameters from text, for regtest and devnets.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;

use dashcore::params::Activation;
use dashcore::sml::llmq_type::{LLMQParams, LLMQType};
use dashcore::{ChainParams, Network};

use super::{Config, ConfigError};

/// Name of the network that `dashmate` sets up.
pub(super) const LOCAL: &str = "local";

impl Config {
    /// Returns the parameters of the configured network. `local` is a regtest as `dashmate` sets it up.
    ///
    /// # Errors
    /// When the network is unknown or its parameters are malformed.
    pub fn chain_params(&self) -> Result<ChainParams, ConfigError> {
        let mut params = match self.network.as_str() {
            LOCAL => ChainParams::local(),
            name => ChainParams::new(Network::from_str(name)?),
        };
        let fixed = |option| ConfigError::FixedNetwork { option, network: params.network.clone() };
        let is_public = matches!(params.network, Network::Dash | Network::Testnet);
        if is_public && !self.llmq_params.is_empty() {
            return Err(fixed("llmq-params"));
        }
        if is_public && !self.llmq_roles.is_empty() {
            return Err(fixed("llmq-roles"));
        }
        if is_public && !self.activation.is_empty() {
            return Err(fixed("activation"));
        }
        if is_public && self.pow_target_spacing.is_some() {
            return Err(fixed("pow-target-spacing"));
        }
        if is_public && self.minimum_difficulty_blocks.is_some() {
            return Err(fixed("minimum-difficulty-blocks"));
        }
        params.target_spacing = self.pow_target_spacing.map_or(params.target_spacing, NonZeroU32::get);
        params.minimum_difficulty_blocks =
            self.minimum_difficulty_blocks.unwrap_or(params.minimum_difficulty_blocks);
        apply_llmq_params(&mut params, &self.llmq_params)?;
        apply_llmq_roles(&mut params, &self.llmq_roles)?;
        apply_activation(&mut params.activation, &self.activation)?;
        Ok(params)
    }
}

/// As Dash Core's `-llmqtestparams` and the like: the minimum size becomes the threshold, whatever it was.
fn apply_llmq_params(params: &mut ChainParams, text: &str) -> Result<(), ConfigError> {
    for entry in entries(text) {
        let parsed = || {
            let (llmq_type, rest) = entry.split_once('=')?;
            let (size, threshold) = rest.split_once(':')?;
            let (size, threshold) = (size.parse().ok()?, threshold.parse().ok()?);
            let in_range = 1 <= threshold && threshold <= size;
            let usual = LLMQType(llmq_type.parse().ok()?).params()?;
            in_range.then_some((usual, size, threshold))
        };
        let (mut llmq, size, threshold): (LLMQParams, u32, u32) =
            parsed().ok_or_else(|| ConfigError::LlmqParams { entry: entry.to_owned() })?;
        (llmq.size, llmq.threshold, llmq.min_size) = (size, threshold, threshold);
        match params.llmqs.iter_mut().find(|known| known.llmq_type == llmq.llmq_type) {
            Some(known) => *known = llmq,
            None => params.llmqs.push(llmq),
        }
    }
    Ok(())
}

/// As Dash Core's `-llmqchainlocks`, `-llmqinstantsenddip0024` (`-llmqtestinstantsenddip0024` of a regtest) and
/// `-llmqplatform`. Only InstantSend's may be rotated, and only a regtest's need not be.
fn apply_llmq_roles(params: &mut ChainParams, text: &str) -> Result<(), ConfigError> {
    for entry in entries(text) {
        let wrong = || ConfigError::LlmqRoles { entry: entry.to_owned() };
        let (role, llmq_type) = entry.split_once('=').ok_or_else(wrong)?;
        let llmq_type = LLMQType(llmq_type.parse().map_err(|_| wrong())?);
        let rotated = params.llmq(llmq_type).ok_or_else(wrong)?.rotated;
        let is_regtest = params.network == Network::Regtest;
        *match (role, rotated) {
            ("chain-locks", false) => &mut params.chain_locks_llmq,
            ("instant-send", rotated) if rotated || is_regtest => &mut params.rotated_llmq,
            ("platform", false) => &mut params.platform_llmq,
            _ => return Err(wrong()),
        } = llmq_type;
    }
    Ok(())
}

fn apply_activation(activation: &mut Activation, text: &str) -> Result<(), ConfigError> {
    let mut fields = BTreeMap::from([
        ("bip34", &mut activation.bip34),
        ("bip65", &mut activation.bip65),
        ("bip66", &mut activation.bip66),
        ("dip3", &mut activation.dip3),
        ("dip8", &mut activation.dip8),
        ("dip24", &mut activation.dip24),
        ("v19", &mut activation.v19),
        ("v20", &mut activation.v20),
        ("mn_rr", &mut activation.mn_rr),
        ("withdrawals", &mut activation.withdrawals),
    ]);
    for entry in entries(text) {
        let wrong = || ConfigError::Activation { entry: entry.to_owned() };
        let (name, height) = entry.split_once('=').ok_or_else(wrong)?;
        let field = fields.get_mut(name).ok_or_else(wrong)?;
        **field = height.parse().map_err(|_| wrong())?;
    }
    Ok(())
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regtest(llmq_params: &str, activation: &str) -> Config {
        Config {
            network: "regtest".into(),
            llmq_params: llmq_params.into(),
            activation: activation.into(),
            ..Config::default()
        }
    }

    #[test]
    fn parameters_of_private_networks_can_be_changed() {
        let params = regtest("100=4:4, 106=5:3", "dip3=2,v20=300").chain_params().unwrap();
        let llmq = params.llmq(LLMQType(106)).unwrap();
        assert_eq!((llmq.size, llmq.threshold, llmq.min_size), (5, 3, 3));
        assert_eq!((params.activation.dip3, params.activation.v20), (2, 300));
    }

    #[test]
    fn mainnet_s_quorums_can_be_those_of_a_regtest() {
        let config = Config {
            llmq_roles: "chain-locks=2, instant-send=5,platform=4".into(),
            ..regtest("2=400:240,4=100:67,5=60:45", "")
        };
        let params = config.chain_params().unwrap();
        let usual = LLMQType::LLMQ_60_75.params().unwrap();
        // As nodes do with parameters that are given.
        assert_eq!(params.rotated(), &LLMQParams { min_size: usual.threshold, ..usual });
        assert_eq!((params.chain_locks_llmq, params.platform_llmq), (LLMQType(2), LLMQType(4)));
        for roles in ["chain-locks=5", "instant-send=9", "platform=1", "platform", "votes=2", "platform=x"] {
            let config = Config { llmq_roles: roles.into(), ..regtest("2=400:240,5=60:45", "") };
            let error = config.chain_params().unwrap_err();
            assert!(matches!(&error, ConfigError::LlmqRoles { entry } if entry == roles), "{error}");
        }
        let main = Config { network: "main".into(), llmq_roles: "platform=6".into(), ..Config::default() };
        assert!(matches!(main.chain_params(), Err(ConfigError::FixedNetwork { option: "llmq-roles", .. })));
    }

    #[test]
    fn instant_send_of_a_regtest_need_not_rotate() {
        let unrotated = Config { llmq_roles: "instant-send=104".into(), ..regtest("104=1:1", "") };
        let params = unrotated.chain_params().unwrap();
        let llmq = params.rotated();
        assert_eq!((llmq.llmq_type, llmq.rotated), (LLMQType::LLMQ_TEST_INSTANTSEND, false));
        assert_eq!((llmq.size, llmq.min_size), (1, 1));
        let devnet =
            Config { network: "devnet:name".into(), llmq_roles: "instant-send=101".into(), ..unrotated };
        assert!(matches!(devnet.chain_params(), Err(ConfigError::LlmqRoles { .. })));
    }

    #[test]
    fn a_local_network_is_a_regtest_without_rotation() {
        let local = Config { network: "local".into(), llmq_params: "100=1:1".into(), ..Config::default() };
        let params = local.chain_params().unwrap();
        assert_eq!((params.network.clone(), params.rotated().rotated), (Network::Regtest, false));
        assert_eq!(params.llmq(LLMQType::LLMQ_TEST).unwrap().size, 1);
    }

    #[test]
    fn the_difficulty_of_a_devnet_can_be_another_one() {
        let devnet = Config {
            network: "devnet:name".into(),
            pow_target_spacing: NonZeroU32::new(60),
            minimum_difficulty_blocks: Some(5_000),
            ..regtest("", "bip65=1351")
        };
        let params = Config { network: "devnet:name".into(), ..devnet.clone() }.chain_params().unwrap();
        assert_eq!((params.target_spacing, params.minimum_difficulty_blocks), (60, 5_000));
        assert_eq!((params.activation.bip34, params.activation.bip65), (1, 1_351));
        let usual = regtest("", "").chain_params().unwrap();
        assert_eq!((usual.target_spacing, usual.minimum_difficulty_blocks), (150, 0));
        let main = |config| Config { network: "main".into(), activation: String::new(), ..config };
        for (config, name) in [
            (main(Config { pow_target_spacing: None, ..devnet.clone() }), "minimum-difficulty-blocks"),
            (main(Config { minimum_difficulty_blocks: None, ..devnet }), "pow-target-spacing"),
        ] {
            let error = config.chain_params().unwrap_err();
            assert!(matches!(error, ConfigError::FixedNetwork { option, .. } if option == name), "{error}");
        }
    }

    #[test]
    fn malformed_parameters_are_named() {
        for (llmq, activation) in [
            ("100=4", ""),
            ("100=4:5", ""),
            ("100=4:0", ""),
            ("9=4:4", ""),
            ("", "dip3"),
            ("", "dip9=2"),
            ("", "v20=x"),
        ] {
            let error = regtest(llmq, activation).chain_params().unwrap_err().to_string();
            assert!(error.contains(llmq.max(activation)), "{error}");
        }
        let main = Config { network: "main".into(), ..regtest("100=4:4", "") };
        assert!(matches!(main.chain_params(), Err(ConfigError::FixedNetwork { option: "llmq-params", .. })));
        let unknown = Config { network: "mainnet".into(), ..Config::default() };
        assert!(unknown.chain_params().unwrap_err().to_string().contains("main, test, regtest"));
    }
}
