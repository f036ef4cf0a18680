//! Networks as Dash Core defines them.
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use dashcore::params::{UnknownNetwork, devnet_coinbase};
use dashcore::{ChainParams, Network};

fn networks() -> [Network; 4] {
    [Network::Dash, Network::Testnet, Network::Regtest, Network::Devnet("name".into())]
}

#[test]
fn genesis_blocks_have_the_known_hashes() {
    let known = [
        "00000ffd590b1485b3caadc19b22e6379c733355108f107a430458cdf3407ab6",
        "00000bafbc94add76cb75e2ec92894837288a481e5c005f6563d91623bf8bc2c",
        "000008ca1832a4baf228eb1553c03d3a2c8e02399550dd6ea8d65cec3ef23d2e",
        "000008ca1832a4baf228eb1553c03d3a2c8e02399550dd6ea8d65cec3ef23d2e",
    ];
    for (network, hash) in networks().into_iter().zip(known) {
        let params = ChainParams::new(network);
        assert_eq!(params.genesis_hash.to_string(), hash);
        assert_eq!(params.genesis.block_hash(), params.genesis_hash);
        assert!(params.genesis.meets_target(params.genesis_hash));
        assert_eq!(params.genesis.merkle_root.to_byte_array()[..4], [0xc7, 0x62, 0xa6, 0x56]);
    }
}

#[test]
fn a_devnet_starts_from_the_genesis_of_regtest_on_a_network_of_its_own() {
    let devnet = ChainParams::new(Network::Devnet("name".into()));
    let regtest = ChainParams::new(Network::Regtest);
    assert_eq!(devnet.network, Network::Devnet("name".into()));
    assert_eq!(devnet.genesis, regtest.genesis);
    assert_ne!(devnet.magic, regtest.magic);
}

#[test]
fn magics_and_ports_are_the_known_ones() {
    let found = networks().map(|network| {
        let params = ChainParams::new(network);
        (params.magic, params.default_port)
    });
    let known = [
        ([0xbf, 0x0c, 0x6b, 0xbd], 9999),
        ([0xce, 0xe2, 0xca, 0xff], 19999),
        ([0xfc, 0xc1, 0xb7, 0xdc], 19899),
        ([0xe2, 0xca, 0xff, 0xce], 19799),
    ];
    assert_eq!(found, known);
}

#[test]
fn every_role_has_its_quorum_type() {
    for network in networks() {
        let params = ChainParams::new(network);
        assert!(params.rotated().rotated);
        for llmq_type in [params.chain_locks_llmq, params.platform_llmq] {
            assert!(!params.llmq(llmq_type).unwrap().rotated);
        }
        for llmq in &params.llmqs {
            assert!(llmq.threshold <= llmq.min_size && llmq.min_size <= llmq.size);
            assert!(llmq.mining_window_start < llmq.mining_window_end);
            assert!(llmq.mining_window_end < llmq.dkg_interval);
            // Each rotated quorum has its own base block within the cycle and takes members in quarters.
            assert!(!llmq.rotated || llmq.size % 4 == 0);
            assert!(!llmq.rotated || llmq.signing_active_quorum_count < llmq.mining_window_start);
        }
    }
}

#[test]
fn work_blocks_lie_below_the_bases_of_cycles() {
    let params = ChainParams::new(Network::Dash);
    let found: Vec<u32> = (2_240_300..2_240_352).filter(|&height| params.is_work_block(height)).collect();
    // Kinds with an interval of 24 blocks and of 288: the bases are 2,240,304, 2,240,328 and 2,240,352.
    assert_eq!(found, [2_240_320, 2_240_344]);
    let rotated = ChainParams { llmqs: vec![*params.rotated()], ..params };
    let found: Vec<u32> = (2_240_300..2_240_700).filter(|&height| rotated.is_work_block(height)).collect();
    assert_eq!(found, [2_240_344, 2_240_632]);
    assert!(!rotated.is_work_block(u32::MAX));
}

#[test]
fn known_blocks_are_found_by_their_height() {
    let params = ChainParams::new(Network::Dash);
    for checkpoint in &params.checkpoints {
        assert_eq!(params.checkpoint_at(checkpoint.height), Some(checkpoint));
        assert_eq!(params.checkpoint_at(checkpoint.height + 1), None);
    }
    let newest = params.newest_checkpoint().unwrap();
    assert!(params.checkpoints.iter().all(|checkpoint| checkpoint.height <= newest.height));
    assert_eq!(ChainParams::new(Network::Regtest).newest_checkpoint(), None);
}

#[test]
fn names_of_networks_are_read_as_they_are_written() {
    for network in networks() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    for name in ["", "mainnet", "devnet", "devnet:"] {
        assert_eq!(name.parse::<Network>(), Err(UnknownNetwork(name.to_owned())));
    }
}

#[test]
fn block_1_of_a_devnet_names_it() {
    let params = |name: &str| ChainParams::new(Network::Devnet(name.into()));
    let schnapps = params("schnapps").devnet_block.unwrap();
    assert_eq!(schnapps.prev_blockhash, params("schnapps").genesis_hash);
    assert_eq!((schnapps.version, schnapps.time, schnapps.bits), (4, 1_417_713_338, 0x207f_ffff));
    assert!(schnapps.meets_target(schnapps.block_hash()));
    // The height, and the name as nodes call themselves: `-devnet=schnapps` is `devnet-schnapps`.
    let coinbase = devnet_coinbase("schnapps");
    assert_eq!(coinbase.input[0].script_sig, [&[0x51, 15][..], b"devnet-schnapps"].concat());
    assert_eq!(schnapps.merkle_root.to_byte_array(), coinbase.txid().to_byte_array());
    assert_ne!(params("palinka").devnet_block.unwrap().block_hash(), schnapps.block_hash());
    // Longer scripts name their length in another way.
    let long = devnet_coinbase(&"n".repeat(70));
    assert_eq!(long.input[0].script_sig[..3], [0x51, 0x4c, 77]);
    for network in [Network::Dash, Network::Testnet, Network::Regtest] {
        assert_eq!(ChainParams::new(network).devnet_block, None);
    }
}

#[test]
fn a_devnet_s_name_is_a_name_and_prints_safely() {
    for name in ["foo", "a.b_c-1", "0", &"n".repeat(64)] {
        assert_eq!(format!("devnet:{name}").parse(), Ok(Network::Devnet(name.to_owned())));
    }
    let too_long = "n".repeat(65);
    for name in ["../../x", ".", "..", "a/b", "a\\b", "a b", "a\nb", "\u{1b}[31m", "é", &too_long] {
        let error = format!("devnet:{name}").parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("devnet:NAME") && !error.contains(char::is_control), "{error}");
    }
    assert!(!Network::Devnet("\u{1b}[31m\n".into()).to_string().contains(char::is_control));
}

#[test]
fn a_local_network_has_instant_send_without_rotation() {
    let params = ChainParams::local();
    assert_eq!((params.network.clone(), params.magic), (Network::Regtest, [0xfc, 0xc1, 0xb7, 0xdc]));
    assert!(!params.rotated().rotated);
}
