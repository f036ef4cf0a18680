use dashcore::ChainParams;

/// The flags of `qrsync sync` that describe a network, as far as it differs from what its name stands for.
pub(crate) fn network_flags(params: &ChainParams) -> Vec<String> {
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
    let unless = |one: u32, usual: u32| if one == usual { String::new() } else { one.to_string() };
    let easy = unless(params.minimum_difficulty_blocks, usual.minimum_difficulty_blocks);
    let flags = [
        ("--network", params.network.to_string()),
        ("--llmq-params", llmqs.collect::<Vec<_>>().join(",")),
        ("--llmq-roles", roles.map(|(role, one, _)| format!("{role}={one}")).collect::<Vec<_>>().join(",")),
        ("--activation", heights.map(|(name, at, _)| format!("{name}={at}")).collect::<Vec<_>>().join(",")),
        ("--pow-target-spacing", unless(params.target_spacing, usual.target_spacing)),
        ("--minimum-difficulty-blocks", easy),
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
