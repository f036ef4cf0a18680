//! Consecutive headers of the public networks, which are no part of the project: where they are absent, these tests say so
//! and pass, except on CI. What they show is shown on generated chains beside.

use std::fs;
use std::path::Path;

use dash_num::Arith256;
use dash_types::Numeric;
use dashcore::consensus::deserialize;
use dashcore::{BlockHash, ChainParams, Checkpoint, Header, Network};

use super::difficulty::{Required, required};
use super::past::{PAST_BLOCKS, Past};
use super::{HeaderChain, hash_all};

struct Recording {
    params: ChainParams,
    first_height: u32,
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
}

fn recorded(name: &str, network: Network, first_height: u32) -> Option<Recording> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/data/real-headers/{name}.bin"));
    let Ok(bytes) = fs::read(&path) else {
        assert!(std::env::var_os("CI").is_none(), "the recorded data {} is missing", path.display());
        eprintln!("SKIPPED: the recorded data {} is not there", path.display());
        return None;
    };
    let headers: Vec<Header> =
        bytes.chunks(Header::SIZE).map(|header| deserialize(header).unwrap()).collect();
    let hashes = hash_all(&headers);
    Some(Recording { params: ChainParams::new(network), first_height, headers, hashes })
}

fn recordings() -> impl Iterator<Item = Recording> {
    [recorded("mainnet-999900", Network::Dash, 999_900), recorded("testnet-10000", Network::Testnet, 10_000)]
        .into_iter()
        .flatten()
}

impl Recording {
    /// A chain that starts at one of these headers.
    fn start(&self, at: usize) -> HeaderChain {
        let checkpoint = Checkpoint {
            height: self.first_height + u32::try_from(at).unwrap(),
            hash: self.hashes[at],
            header: Some(self.headers[at]),
            chain_work: Arith256::ZERO,
            is_work_assumed: false,
            below: Vec::new(),
        };
        let params = ChainParams { checkpoints: vec![checkpoint], ..self.params.clone() };
        HeaderChain::starting_at_or_below(&params, u32::MAX)
    }

    fn supply(&self, chain: &mut HeaderChain, at: usize) {
        for index in (at - PAST_BLOCKS..at).rev() {
            assert_eq!(chain.supply_below(self.headers[index], self.hashes[index]), Ok(true));
        }
        assert_eq!(chain.missing_below(), None);
    }
}

#[test]
fn real_headers_follow_the_rules_from_the_first_one_on() {
    for recording in recordings() {
        let last = recording.headers.last().unwrap().time;
        let rest = PAST_BLOCKS + 1;
        let mut supplied = recording.start(PAST_BLOCKS);
        recording.supply(&mut supplied, PAST_BLOCKS);
        supplied.extend(&recording.headers[rest..], &recording.hashes[rest..], last).unwrap();
        // And provisionally, with what is below only afterwards.
        let mut late = recording.start(PAST_BLOCKS);
        late.extend(&recording.headers[rest..], &recording.hashes[rest..], last).unwrap();
        recording.supply(&mut late, PAST_BLOCKS);
        assert_eq!(late.tip_hash(), *recording.hashes.last().unwrap());
        assert_eq!((late.tip_hash(), late.work()), (supplied.tip_hash(), supplied.work()));
    }
}

#[test]
fn a_regtest_chain_follows_the_rules_from_genesis_on() {
    let Some(recording) = recorded("../regtest-862/headers", Network::Regtest, 0) else { return };
    let mut chain = HeaderChain::starting_at_or_below(&recording.params, 0);
    assert_eq!(chain.tip_hash(), recording.hashes[0]);
    let last = recording.headers.last().unwrap().time;
    chain.extend(&recording.headers[1..], &recording.hashes[1..], last).unwrap();
    assert_eq!(chain.tip_height(), 862);
}

/// A start anywhere must not let the real chain wait for what is below it. On the test network it may have to.
#[test]
fn no_start_makes_the_main_network_s_chain_wait() {
    let Some(recording) = recorded("mainnet-999900", Network::Dash, 999_900) else { return };
    let last = recording.headers.last().unwrap().time;
    for at in (0..recording.headers.len() - 30).step_by(7) {
        let next = at + 1..at + 30;
        recording.start(at).extend(&recording.headers[next.clone()], &recording.hashes[next], last).unwrap();
    }
}

#[test]
fn the_bits_of_every_real_header_are_exactly_those_asked_for() {
    let mut seen = 0;
    for recording in recordings() {
        for (at, header) in recording.headers.iter().enumerate().skip(PAST_BLOCKS) {
            let height = recording.first_height + u32::try_from(at).unwrap();
            let past = Past::gather(recording.headers[at - PAST_BLOCKS..at].iter().rev(), height);
            let required = required(&recording.params, &past, height, header.time);
            assert_eq!(required, Required::Exactly(header.bits), "height {height}");
            for wrong in [header.bits - 1, header.bits + 1] {
                assert_eq!(required.instead_of(wrong), Some(header.bits));
            }
            seen += 1;
        }
    }
    assert!(seen == 0 || seen == 2_500 - 2 * PAST_BLOCKS);
}

#[test]
fn a_real_header_with_other_bits_is_refused_for_them() {
    for recording in recordings() {
        let last = recording.headers.last().unwrap().time;
        for at in (PAST_BLOCKS + 1..recording.headers.len()).step_by(97) {
            let mut chain = recording.start(at - 1);
            recording.supply(&mut chain, at - 1);
            for bits in [recording.headers[at].bits - 1, recording.headers[at].bits + 1] {
                let header = Header { bits, ..recording.headers[at] };
                let refused = chain.extend(&[header], &[header.block_hash()], last);
                assert!(matches!(refused, Err(super::HeaderError::WrongBits { .. })), "{refused:?}");
            }
            chain.extend(&[recording.headers[at]], &[recording.hashes[at]], last).unwrap();
        }
    }
}
