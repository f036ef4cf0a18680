use std::num::NonZeroU32;

use dashcore::ChainParams;
use spv_integration::config::NetworkParams;

/// The flags of `qrsync sync` that describe a network, as far as it differs from what its name stands for.
pub(crate) fn network_flags(params: &ChainParams) -> Vec<String> {
    let NetworkParams { llmq_params, llmq_roles, activation, pow_target_spacing, minimum_difficulty_blocks } =
        NetworkParams::of(params);
    let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
    let flags = [
        ("--network", params.network.to_string()),
        ("--llmq-params", llmq_params),
        ("--llmq-roles", llmq_roles),
        ("--activation", activation),
        ("--pow-target-spacing", number(pow_target_spacing.map(NonZeroU32::get))),
        ("--minimum-difficulty-blocks", number(minimum_difficulty_blocks)),
    ];
    let given = flags.into_iter().filter(|(_, value)| !value.is_empty());
    given.flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use dashcore::Network;
    use dashcore::params::Activation;
    use spv_simnet::{GeneratedSpec, QuorumProfile, World};

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn flags_lead_back_to_the_parameters() {
        let small =
            GeneratedSpec { masternodes: 8, cycles: 1, signatures: false, ..GeneratedSpec::default() };
        let mainnet = GeneratedSpec { masternodes: 1_000, quorums: Some(QuorumProfile::Mainnet), ..small };
        let others = [QuorumProfile::Single, QuorumProfile::Local, QuorumProfile::Devnet];
        let [single, local, of_devnet] =
            others.map(|quorums| GeneratedSpec { quorums: Some(quorums), ..small });
        let worlds =
            [small, mainnet, single, local, of_devnet].map(|spec| World::generate(&spec).params().clone());
        let usual = ChainParams::new(Network::Devnet("name".into()));
        let activation = Activation { bip34: 7, withdrawals: 9, ..usual.activation };
        let devnet =
            ChainParams { activation, target_spacing: 60, minimum_difficulty_blocks: 5_000, ..usual };
        for params in worlds.into_iter().chain([devnet]) {
            let flags = network_flags(&params);
            let arguments = ["qrsync", "sync"].map(str::to_owned).into_iter().chain(flags);
            let Cli { command: Command::Sync(args), log } = Cli::parse_from(arguments) else {
                panic!("sync was asked for")
            };
            let config = args.layers(&log).unwrap().config;
            assert_eq!(config.chain_params().unwrap(), params);
        }
    }
}
