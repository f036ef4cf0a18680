//! Networks whose rules differ from today's public ones: all that is active is verified, or says why not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dashcore::sml::address::ServiceAddress;
use dashcore::sml::llmq_type::LLMQType;
use dashcore::{ChainParams, Network};
use simulation::{nodes, surroundings};
use spv_integration::Config;
use spv_integration::client::{At, Client, QuorumProof};
use spv_integration::progress::Progress;
use spv_integration::session::{EndState, Summary, sync_with};
use spv_integration::store::{Finding, Store};
use spv_simnet::{Forks, GeneratedSpec, QuorumProfile, World};
use tokio_util::sync::CancellationToken;

const SPEC: GeneratedSpec = GeneratedSpec { masternodes: 12, cycles: 6, seed: 3, ..GeneratedSpec::DEFAULT };

/// A sync of a world with three nodes, and what it has stored.
struct Synced {
    world: Arc<World>,
    summary: Summary,
    store: Arc<Store>,
}

impl Synced {
    async fn with(spec: GeneratedSpec, from: Option<u32>, faults: &[&str]) -> Self {
        let world = Arc::new(World::generate(&spec));
        let params = world.params().clone();
        Self::by(world, &params, from, faults).await
    }

    async fn by(world: Arc<World>, params: &ChainParams, from: Option<u32>, faults: &[&str]) -> Self {
        let network = nodes(&world, Duration::from_millis(50), faults);
        let config = Config {
            network: params.network.to_string(),
            peers: network.addresses().iter().map(ToString::to_string).collect(),
            from,
            ..Config::default()
        };
        let store = Arc::new(Store::in_memory(&params.network).unwrap());
        let (environment, progress) = (surroundings(&network, 1), Progress::default());
        let cancel = CancellationToken::new();
        let summary =
            sync_with(&environment, params, &config, store.clone(), &progress, &cancel).await.unwrap();
        Self { world, summary, store }
    }

    fn client(&self) -> Client {
        Client::new(self.world.params().clone(), Config::default(), self.store.clone()).unwrap()
    }

    /// Every quorum of the tip is verified, of exactly these kinds; nobody is blamed for anything.
    async fn assert_all_verified(&self, kinds: &[u8]) {
        assert_eq!(self.summary.state, EndState::Synced, "{:?}", self.summary.state.explanation());
        let quorums = self.client().quorums(self.world.tip()).await.unwrap();
        let found: BTreeSet<u8> = quorums.iter().map(|quorum| quorum.entry.llmq_type.0).collect();
        assert_eq!(found, kinds.iter().copied().collect());
        for quorum in &quorums {
            assert!(quorum.proof().is_usable(), "{quorum:?}");
        }
        self.assert_nobody_is_blamed();
    }

    fn assert_nobody_is_blamed(&self) {
        for peer in &self.summary.peers {
            assert_eq!((peer.failed, peer.invalid, peer.timeouts), (0, 0, 0), "{peer:?}");
        }
    }
}

const HONEST: &[&str] = &["", "", ""];

#[tokio::test(start_paused = true)]
async fn a_chain_across_v24_is_proven() {
    for from in [None, Some(1)] {
        let v24 = 260;
        let spec = GeneratedSpec { forks: Forks { v24: Some(v24), ..Forks::NONE }, ..SPEC };
        let synced = Synced::with(spec, from, HONEST).await;
        synced.assert_all_verified(&[100, 103, 106]).await;
        if from.is_some() {
            assert!(synced.summary.requests.qrinfo > 0, "{:?}", synced.summary.requests);
        }
        let client = synced.client();
        let (lowest, highest) = (synced.store.lists().unwrap()[0].0, synced.world.tip());
        let version = async |height| client.state(height).await.unwrap().coinbase().unwrap().version;
        assert_eq!(version(highest).await, 4);
        assert_eq!(version(lowest).await == 4, lowest >= v24, "{lowest}");
        let state = client.state(highest).await.unwrap();
        let extended = state.masternodes().iter().filter(|entry| match &entry.service_address {
            ServiceAddress::Extended(info) => info.iter().count() == 4,
            ServiceAddress::Socket(_) => false,
        });
        assert!(extended.count() >= 3);
    }
}

#[tokio::test(start_paused = true)]
async fn coinbases_of_a_later_version_are_proven_by_what_is_known_of_them() {
    let spec = GeneratedSpec { forks: Forks { later: Some(250), ..Forks::NONE }, ..SPEC };
    let synced = Synced::with(spec, Some(1), HONEST).await;
    synced.assert_all_verified(&[100, 103, 106]).await;
    let state = synced.client().state(At::Newest).await.unwrap();
    assert!(state.coinbase().unwrap().is_of_later_version());
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_not_known_are_named_and_nobody_is_blamed() {
    let spec = GeneratedSpec { forks: Forks { opaque: Some(300), ..Forks::NONE }, ..SPEC };
    for faults in [HONEST, &[""]] {
        for from in [None, Some(1)] {
            let synced = Synced::with(spec, from, faults).await;
            let EndState::Unverifiable { evidence } = &synced.summary.state else {
                panic!("{:?}", synced.summary.state)
            };
            let text = evidence.to_string();
            assert!(text.contains("made by newer rules than this version knows; update"), "{text}");
            assert!(text.contains("coinbase of version 5"), "{text}");
            assert!(!text.contains("--llmq-params"), "{text}");
            synced.assert_nobody_is_blamed();
            for peer in &synced.summary.peers {
                assert_eq!(peer.remark, None, "{peer:?}");
            }
            assert!(synced.summary.seconds.total < 60.0, "{:?}", synced.summary.seconds);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn quorums_of_one_member_verify() {
    let spec = GeneratedSpec { quorums: Some(QuorumProfile::Single), ..SPEC };
    for from in [None, Some(1)] {
        let synced = Synced::with(spec, from, HONEST).await;
        synced.assert_all_verified(&[100, 104, 106]).await;
        for quorum in synced.client().quorums(synced.world.tip()).await.unwrap() {
            assert_eq!(quorum.members.len(), 1);
            assert!(quorum.entry.quorum_vvec_hash.is_null());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_without_rotated_quorums_needs_no_rotation_info() {
    let spec = GeneratedSpec { quorums: Some(QuorumProfile::Local), masternodes: 4, ..SPEC };
    for from in [None, Some(1)] {
        let synced = Synced::with(spec, from, HONEST).await;
        synced.assert_all_verified(&[100, 104, 106]).await;
        assert_eq!((synced.summary.requests.qrinfo, synced.summary.requests.refused), (0, 0));
        // Any request id will do: it falls to an InstantSend quorum, none of which rotates.
        let client = synced.client();
        let signer =
            client.signer(LLMQType::LLMQ_TEST_INSTANTSEND, synced.world.tip(), [7; 32]).await.unwrap();
        assert_eq!(signer.quorum().entry.quorum_index, None);
        // A lock names its quorum itself.
        let quorum_hash = signer.quorum().entry.quorum_hash;
        let named = client.instant_lock_signers([8; 32], quorum_hash.into()).await.unwrap();
        assert_eq!(named.len(), 1);
        assert_eq!(named[0].quorum().entry.quorum_hash, quorum_hash);
        let genesis = synced.world.params().genesis_hash;
        assert!(client.instant_lock_signers([8; 32], genesis).await.is_err());
    }
}

/// Where rotation is possible by the rules, but there are too few masternodes for it, nodes refuse all rotation info.
#[tokio::test(start_paused = true)]
async fn rotation_that_never_begins_stops_nothing() {
    let spec = GeneratedSpec { quorums: Some(QuorumProfile::Local), masternodes: 4, ..SPEC };
    let world = Arc::new(World::generate(&spec));
    let params = ChainParams { rotated_llmq: LLMQType::LLMQ_TEST_DIP0024, ..world.params().clone() };
    for from in [None, Some(1)] {
        let synced = Synced::by(world.clone(), &params, from, HONEST).await;
        synced.assert_all_verified(&[100, 104, 106]).await;
    }
}

/// Where InstantSend does not rotate, nodes serve empty rotation info, though rotated quorums may form: their members cannot be
/// computed, and the finding says so.
#[tokio::test(start_paused = true)]
async fn rotated_quorums_that_nobody_explains_say_why_they_are_not_verified() {
    let world = Arc::new(World::generate(&SPEC));
    let params = ChainParams { rotated_llmq: LLMQType::LLMQ_TEST, ..world.params().clone() };
    for from in [None, Some(1)] {
        let synced = Synced::by(world.clone(), &params, from, HONEST).await;
        assert_eq!(synced.summary.state, EndState::Synced, "{:?}", synced.summary.state.explanation());
        for quorum in synced.client().quorums(world.tip()).await.unwrap() {
            let is_rotated = quorum.entry.llmq_type == LLMQType::LLMQ_TEST_DIP0024;
            let expected = if is_rotated { Finding::MissingSnapshot } else { Finding::Verified };
            assert_eq!(quorum.finding, Some(expected), "{quorum:?}");
        }
        assert!(synced.summary.quorums.not_verified["missing_snapshot"] > 0);
        synced.assert_nobody_is_blamed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_devnet_is_synced_by_whoever_names_it() {
    let spec = GeneratedSpec { quorums: Some(QuorumProfile::Devnet), masternodes: 50, cycles: 3, ..SPEC };
    let synced = Synced::with(spec, Some(1), HONEST).await;
    assert_eq!(synced.world.params().network, Network::Devnet("simnet".into()));
    synced.assert_all_verified(&[101, 105, 107]).await;
}

/// Nodes of another devnet disconnect us, and those that do not are found out by block 1.
#[tokio::test(start_paused = true)]
async fn another_devnet_is_not_ours() {
    let spec = GeneratedSpec { quorums: Some(QuorumProfile::Devnet), masternodes: 50, cycles: 1, ..SPEC };
    let world = Arc::new(World::generate(&spec));
    let other = ChainParams::new(Network::Devnet("other".into()));
    let synced = Synced::by(world, &other, None, &[""]).await;
    assert_eq!(synced.summary.state, EndState::NoCapablePeer);
}

#[tokio::test(start_paused = true)]
async fn evo_nodes_stay_members_whatever_their_entries_say() {
    let spec =
        GeneratedSpec { masternodes: 24, forks: Forks { legacy_evo: Some(300), ..Forks::NONE }, ..SPEC };
    let synced = Synced::with(spec, Some(1), HONEST).await;
    synced.assert_all_verified(&[100, 103, 106]).await;
    let client = synced.client();
    let state = client.state(At::Newest).await.unwrap();
    let hidden: BTreeSet<_> = state
        .masternodes()
        .iter()
        .filter(|entry| entry.is_valid && entry.version == 1)
        .map(|entry| entry.pro_reg_tx_hash)
        .collect();
    assert!(hidden.len() >= 2, "{hidden:?}");
    assert!(hidden.is_subset(&synced.store.evo_nodes(state.height()).unwrap()));
    let quorums = client.quorums(synced.world.tip()).await.unwrap();
    let platform =
        quorums.iter().filter(|quorum| quorum.entry.llmq_type == synced.world.params().platform_llmq);
    let members: BTreeSet<_> = platform.flat_map(|quorum| quorum.members.clone()).collect();
    assert!(!members.is_disjoint(&hidden), "some of them are members");
}

#[tokio::test(start_paused = true)]
async fn before_dip8_lists_are_proven_and_their_quorums_are_said_not_to_be() {
    let dip8 = 330;
    let spec = GeneratedSpec { forks: Forks { dip8: Some(dip8), ..Forks::NONE }, ..SPEC };
    let synced = Synced::with(spec, Some(1), HONEST).await;
    synced.assert_all_verified(&[100, 103, 106]).await;
    let client = synced.client();
    let mut rootless = 0;
    for (height, _) in synced.store.lists().unwrap() {
        let state = client.state(height).await.unwrap();
        assert_eq!(state.are_quorums_proven(), height >= dip8, "{height}");
        for quorum in client.quorums(height).await.unwrap().iter().filter(|_| height < dip8) {
            assert_eq!((quorum.finding, quorum.proof()), (Some(Finding::NoRoot), QuorumProof::Unproven));
            rootless += 1;
        }
    }
    assert!(rootless > 4, "{rootless}");
    assert!(synced.summary.quorums.not_verified["no_root"] > 4, "{:?}", synced.summary.quorums);
}

#[tokio::test(start_paused = true)]
async fn a_tip_before_dip8_is_synced_without_a_word_about_its_quorums() {
    let spec = GeneratedSpec { forks: Forks { dip8: Some(2_000), ..Forks::NONE }, ..SPEC };
    let synced = Synced::with(spec, None, HONEST).await;
    assert_eq!(synced.summary.state, EndState::Synced);
    let by_type = &synced.summary.quorums.by_type;
    assert!(by_type.values().all(|of_type| of_type.proven == 0 && of_type.verified == 0), "{by_type:?}");
    assert!(!by_type.is_empty());
    synced.assert_nobody_is_blamed();
}

/// Nodes that keep silent above a rate are asked more slowly, and nothing is held against them.
#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_backed_off_from() {
    // Nobody serves rotation info, so that everything has to be asked for list by list.
    let spec = GeneratedSpec { cycles: 20, ..SPEC };
    let world = Arc::new(World::generate(&spec).with_qrinfo_refused_below(u32::MAX));
    for (nodes, at_least) in [(1, 10.0), (3, 2.0)] {
        let faults = vec!["rate-limit=2"; nodes];
        let synced = Synced::by(world.clone(), &world.params().clone(), Some(1), &faults).await;
        assert_eq!(synced.summary.state, EndState::Synced, "{:?}", synced.summary.state.explanation());
        synced.assert_nobody_is_blamed();
        for peer in &synced.summary.peers {
            assert_eq!(peer.remark, None, "{peer:?}");
        }
        let (requests, total) = (synced.summary.requests, synced.summary.seconds.total);
        // What the limit leaves time for, and not much more.
        assert!((at_least..2.0 * at_least + 5.0).contains(&total), "{total}");
        let silent = requests.refused - requests.qrinfo;
        assert!(silent < 20, "{silent} of {} without an answer", requests.mnlistdiff);
    }
}
