use dashcore::hash_types::TxMerkleNode;
use dashcore::{BlockHash, Header, Network};
use proptest::prelude::*;

use super::*;

const LIMIT: u32 = 0x1e0f_ffff;

fn params(allow_min_difficulty: bool) -> ChainParams {
    ChainParams {
        retargeting: Retargeting::DarkGravityWave { from: 100, exact_from: 150, allow_min_difficulty },
        ..ChainParams::new(Network::Dash)
    }
}

fn header(time: u32, bits: u32) -> Header {
    Header {
        version: 1,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time,
        bits,
        nonce: 0,
    }
}

/// Constant bits, with blocks `spacing` seconds apart, oldest first.
fn past(spacing: u32) -> Vec<Header> {
    (0..24).map(|index| header(1_000_000 + index * spacing, 0x1b10_0000)).collect()
}

fn ask(params: &ChainParams, past: &[Header], height: u32, time: u32) -> Required {
    required(params, &Past::gather(past.iter().rev(), height), height, time)
}

#[test]
fn difficulty_follows_the_measured_timespan() {
    // 24 blocks span 23 intervals, so blocks exactly on schedule give 23/24 of the target.
    assert_eq!(ask(&params(false), &past(150), 200, 0), Required::Exactly(0x1b0f_5555));
    // Slow and fast chains are clamped at three times either way.
    assert_eq!(ask(&params(false), &past(15_000), 200, 0), Required::Exactly(0x1b30_0000));
    assert_eq!(ask(&params(false), &past(1), 200, 0), Required::Exactly(0x1b05_5555));
}

#[test]
fn a_devnet_has_its_own_schedule() {
    let quick = ChainParams { target_spacing: 75, ..params(false) };
    assert_eq!(ask(&quick, &past(75), 200, 0), Required::Exactly(0x1b0f_5555));
    let easy = ChainParams { minimum_difficulty_blocks: 200, ..params(false) };
    assert_eq!(ask(&easy, &past(150), 200, 0), Required::Exactly(LIMIT));
    assert_eq!(ask(&easy, &past(150), 201, 0), Required::Exactly(0x1b0f_5555));
}

#[test]
fn average_weighs_older_blocks_as_dash_core_does() {
    let mut window = past(150);
    // The parent counts twice in Dash Core's running average.
    window[23].bits = 0x1b20_0000;
    let number = |value| Arith256::from_u64(value);
    let expected = target(0x1b10_0000).wrapping_mul(number(27 * 23)).checked_div(number(25 * 24)).unwrap();
    assert_eq!(ask(&params(false), &window, 200, 0), Required::Exactly(expected.compact(false).to_base()));
}

#[test]
fn late_blocks_may_be_easier_where_the_network_allows_it() {
    let params = params(true);
    let past = past(150);
    let last = past[23].time;
    assert_eq!(ask(&params, &past, 200, last + 7_201), Required::Exactly(LIMIT));
    assert_eq!(ask(&params, &past, 200, last + 601), Required::Exactly(0x1c00_a000));
    assert_eq!(ask(&params, &past, 200, last + 600), Required::Exactly(0x1b0f_5555));
    // Such a block depends on nothing but its parent.
    assert_eq!(ask(&params, &past[23..], 200, last + 7_201), Required::Exactly(LIMIT));
    assert_eq!(ask(&params, &past[23..], 200, last + 600), Required::Unknown);
}

#[test]
fn unknown_history_gives_no_verdict() {
    assert_eq!(ask(&params(false), &past(150)[1..], 200, 0), Required::Unknown);
    assert_eq!(ask(&params(false), &past(150), 99, 0), Required::Nothing);
    let from_first = Retargeting::DarkGravityWave { from: 1, exact_from: 1, allow_min_difficulty: false };
    let young = ChainParams { retargeting: from_first, ..params(false) };
    assert_eq!(ask(&young, &past(150)[..3], 24, 0), Required::Exactly(LIMIT));
}

#[test]
fn regtest_never_retargets() {
    assert_eq!(ask(&ChainParams::new(Network::Regtest), &[], 5, 0), Required::Exactly(0x207f_ffff));
}

#[test]
fn old_blocks_may_be_wrong_by_half_of_what_they_claim() {
    let about = ask(&params(false), &past(150), 149, 0);
    assert_eq!(about, Required::About(0x1b0f_5555));
    for (bits, will_do) in [
        (0x1b0f_5555, true),
        // 3/2 of the target, so 2/3 of the difficulty: wrong by half of that.
        (0x1b16_ffff, true),
        (0x1b17_0000, false),
        // Half of the target, so twice the difficulty.
        (0x1b07_aaab, true),
        (0x1b07_aaaa, false),
    ] {
        assert_eq!(about.instead_of(bits).is_none(), will_do, "{bits:08x}");
    }
}

/// As Dash Core writes it, with long divisions.
fn literally(past: &[Header], pow_limit: u32, spacing: u32) -> u32 {
    let number = |value| Arith256::from_u64(value);
    let mut newest_first = past.iter().rev();
    let mut average = target(newest_first.next().unwrap().bits);
    for (header, count) in newest_first.zip(2_u64..) {
        let sum = average.wrapping_mul(number(count)).wrapping_add(target(header.bits));
        average = sum.checked_div(number(count + 1)).unwrap();
    }
    let intended = 24 * i64::from(spacing);
    let span = i64::from(past[23].time) - i64::from(past[0].time);
    let span = span.clamp(intended / 3, intended * 3).unsigned_abs();
    let new = average.wrapping_mul(number(span)).checked_div(number(intended.unsigned_abs())).unwrap();
    new.min(target(pow_limit)).compact(false).to_base()
}

proptest! {
    #[test]
    fn the_quick_way_gives_what_dash_core_gives(
        blocks in proptest::array::uniform24((any::<u32>(), 0..=0x20_u32, 0..0x0080_0000_u32)),
        similar in proptest::array::uniform24((0..10_000_u32, 0x1000..0x0080_0000_u32)),
        size in 3..=0x20_u32,
        spacing in 1..1_000_u32,
    ) {
        let wild = blocks.map(|(time, size, mantissa)| header(time, size << 24 | mantissa));
        let tame = similar.map(|(time, mantissa)| header(time, size << 24 | mantissa));
        for past in [wild, tame] {
            for limit in [LIMIT, 0x207f_ffff] {
                let gathered = Past::gather(past.iter().rev(), 200);
                let quick = dark_gravity_wave(gathered.window().unwrap(), limit, spacing);
                prop_assert_eq!(quick, literally(&past, limit, spacing));
            }
        }
    }

    #[test]
    fn work_is_what_a_long_division_gives(size in 0..=0x24_u32, mantissa in 0..0x0100_0000_u32) {
        for mantissa in [mantissa, mantissa & 0xff, 0x0080_0000 >> (mantissa % 24)] {
            let bits = size << 24 | mantissa;
            prop_assert_eq!(work(bits), CompactTarget::new(bits).block_proof(), "{:08x}", bits);
        }
    }
}
