use std::net::{Ipv4Addr, SocketAddrV4};

use dashcore::Network;
use dashcore::network::message_network::service_flags;

use super::learning::SEED_INTERVAL;
use super::*;
use crate::discovery::known_peers;

fn address(network: u8) -> SocketAddr {
    SocketAddr::from(([50, network, 0, 1], 9999))
}

fn open(params: &ChainParams, fixed: &[SocketAddr], store: &Arc<Store>) -> Arc<Discovery> {
    let rng = fastrand::Rng::with_seed(1);
    let known = store.peers().unwrap();
    Discovery::open(params, &DiscoveryConfig::default(), fixed, known, store.clone(), Resolver::none(), rng)
}

static FIXED_SEEDS: [SocketAddr; 2] = {
    let [first, second] = [Ipv4Addr::new(60, 1, 0, 1), Ipv4Addr::new(60, 2, 0, 1)];
    [SocketAddr::V4(SocketAddrV4::new(first, 9999)), SocketAddr::V4(SocketAddrV4::new(second, 9999))]
};

/// Who told of each address that is known.
fn sources(discovery: &Discovery) -> Vec<Source> {
    discovery.state.lock().table.records().values().map(|record| record.source).collect()
}

fn regtest() -> (ChainParams, Arc<Store>) {
    (ChainParams::new(Network::Regtest), Arc::new(Store::in_memory(&Network::Regtest).unwrap()))
}

fn heard(from: SocketAddr, networks: impl IntoIterator<Item = u8>) -> Heard {
    let candidate =
        |network| Candidate { address: address(network), services: service_flags::NETWORK, time: 1 };
    Heard { from, candidates: networks.into_iter().map(candidate).collect() }
}

/// Takes every address that is wanted, and has all of them answer.
fn connect_all(discovery: &Discovery) -> Vec<SocketAddr> {
    let mut connected = Vec::new();
    while let Next::Connect(address) = discovery.next() {
        connected.push(address);
        discovery.answered(&address, None);
    }
    connected
}

#[tokio::test(start_paused = true)]
async fn connections_are_made_up_to_the_target_fixed_ones_included() {
    let (params, store) = regtest();
    let discovery = open(&params, &[address(0), address(1)], &store);
    discovery.heard(heard(address(0), 2..40));
    assert_eq!(discovery.expected(), 8);
    let connected = connect_all(&discovery);
    assert_eq!(connected.len(), 6);
    discovery.ended(&connected[0]);
    discovery.release(&connected[0]);
    let Next::Connect(replacement) = discovery.next() else { panic!("a place is free") };
    assert_ne!(replacement, connected[0], "it is to rest first");
}

#[tokio::test(start_paused = true)]
async fn only_nodes_with_the_whole_chain_at_addresses_of_the_network_are_learnt() {
    let (_, store) = regtest();
    let params = ChainParams::new(Network::Dash);
    let discovery = open(&params, &[], &store);
    let mut named = heard(address(0), 1..4);
    named.candidates[0].services = service_flags::NETWORK_LIMITED;
    named.candidates[1].address = ([10, 0, 0, 1], 9999).into();
    discovery.heard(named);
    discovery.save().await;
    let known = known_peers(&store).unwrap();
    assert_eq!(known.iter().map(|peer| peer.address).collect::<Vec<_>>(), [address(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_liar_is_avoided_for_a_day_also_after_a_restart() {
    let (params, store) = regtest();
    let discovery = open(&params, &[], &store);
    discovery.heard(heard(address(0), [1]));
    assert_eq!(discovery.next(), Next::Connect(address(1)));
    discovery.lied(&address(1));
    assert!(discovery.is_urgent());
    discovery.save().await;
    assert!(!discovery.is_urgent());
    let restarted = open(&params, &[], &store);
    assert!(restarted.knows_nobody() && restarted.is_hopeless());
    assert!(matches!(restarted.next(), Next::Wait(_)));
    tokio::time::advance(Duration::from_secs(25 * 3_600)).await;
    assert_eq!(restarted.next(), Next::Connect(address(1)));
}

#[tokio::test(start_paused = true)]
async fn who_refuses_is_given_up_only_where_others_can_be_had() {
    let (params, store) = regtest();
    let discovery = open(&params, &[address(9)], &store);
    discovery.heard(heard(address(9), [1]));
    assert_eq!(connect_all(&discovery), [address(1)]);
    assert!(!discovery.refuses(&address(1)), "no other node is known");
    discovery.heard(heard(address(1), [2]));
    assert!(!discovery.refuses(&address(9)), "the configuration wants it");
    assert!(discovery.refuses(&address(1)));
}

#[tokio::test(start_paused = true)]
async fn there_is_more_to_be_had_until_every_address_was_tried() {
    let (params, store) = regtest();
    let discovery = open(&params, &[], &store);
    assert!(!discovery.has_more(), "nobody is known");
    discovery.heard(heard(address(0), 1..4));
    assert!(discovery.has_more());
    let mut held = Vec::new();
    while let Next::Connect(address) = discovery.next() {
        held.push(address);
    }
    assert!(discovery.has_more(), "attempts are under way");
    for address in &held[1..] {
        discovery.answered(address, None);
    }
    discovery.failed(&held[0]);
    discovery.release(&held[0]);
    assert!(!discovery.has_more(), "it is to rest first");
}

#[tokio::test(start_paused = true)]
async fn seeds_are_asked_while_too_few_are_known_and_not_all_the_time() {
    let (mut params, store) = regtest();
    assert!(!open(&params, &[], &store).takes_turn_of_seeds(), "there are none");
    params.dns_seeds = &["127.0.0.1"];
    let discovery = open(&params, &[], &store);
    assert!(discovery.takes_turn_of_seeds());
    assert!(!discovery.is_hopeless(), "they may know somebody");
    discovery.ask_seeds().await.unwrap();
    assert_eq!(discovery.next(), Next::Connect(([127, 0, 0, 1], params.default_port).into()));
    assert!(!discovery.takes_turn_of_seeds());
    tokio::time::advance(SEED_INTERVAL).await;
    assert!(discovery.takes_turn_of_seeds(), "one is too few");
    discovery.heard(heard(address(0), 1..40));
    tokio::time::advance(SEED_INTERVAL).await;
    assert!(!discovery.takes_turn_of_seeds());
}

#[tokio::test(start_paused = true)]
async fn fixed_seeds_are_learnt_only_when_no_seed_answers_and_nobody_is_known() {
    let (mut params, store) = regtest();
    params.dns_seeds = &["127.0.0.1"];
    params.fixed_seeds = &FIXED_SEEDS;
    let answered = open(&params, &[], &store);
    answered.ask_seeds().await.unwrap();
    assert_eq!(sources(&answered), [Source::Seed]);

    params.dns_seeds = &["unknown"];
    let acquainted = open(&params, &[address(3)], &store);
    acquainted.ask_seeds().await.unwrap_err();
    assert_eq!(sources(&acquainted), [Source::Configured]);

    let alone = open(&params, &[], &store);
    alone.ask_seeds().await.unwrap();
    assert_eq!(sources(&alone), [Source::FixedSeed; 2]);
    assert!(!alone.knows_nobody());
    alone.save().await;
    assert_eq!(sources(&open(&params, &[], &store)), [Source::FixedSeed; 2], "after a restart");

    params.fixed_seeds = &[];
    let (_, store) = regtest();
    open(&params, &[], &store).ask_seeds().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_bounded_sample_of_masternodes_is_learnt_each_in_a_network_of_its_own() {
    let (params, store) = regtest();
    let discovery = open(&params, &[], &store);
    assert!(discovery.wants_masternodes());
    // Of 100 networks, ten in each; and some that are of no use.
    let listed = (0..100_u8).flat_map(|network| (1..11).map(move |host| [50, network, 0, host]));
    let useless = ["[::]:9999", "10.0.0.1:9999", "50.200.0.1:0"].map(|address| address.parse().unwrap());
    let list: Vec<SocketAddr> =
        listed.map(|octets| SocketAddr::from((octets, 9999))).chain(useless).collect();
    discovery.heard(heard(address(0), 0..2));
    discovery.learn_masternodes(list.iter().copied());
    let masternodes = |discovery: &Discovery| -> BTreeSet<SocketAddr> {
        let state = discovery.state.lock();
        let records = state.table.records().iter();
        records
            .filter(|(_, record)| record.source == Source::Masternode)
            .map(|(address, _)| *address)
            .collect()
    };
    let learnt = masternodes(&discovery);
    assert_eq!(learnt.len(), 32);
    assert_eq!(learnt.iter().map(NetGroup::of).collect::<BTreeSet<_>>().len(), 32);
    assert!(
        learnt.is_subset(&list.iter().copied().collect()) && useless.iter().all(|one| !learnt.contains(one))
    );
    assert!(!discovery.wants_masternodes());
    discovery.learn_masternodes(list.iter().copied());
    assert_eq!(masternodes(&discovery), learnt, "no more are wanted");
    assert!(connect_all(&discovery).iter().all(|connected| learnt.contains(connected)));
}
