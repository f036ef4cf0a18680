//! Which `nBits` a block must have (Dash Core `GetNextWorkRequired`, pow.cpp).

use dash_num::{Arith256, CompactTarget};
use dash_types::Numeric;
use dashcore::Header;
use dashcore::params::Retargeting;

/// Blocks that DarkGravityWave v3 averages over.
pub(crate) const DGW_PAST_BLOCKS: usize = 24;

/// Intended seconds between two blocks.
const TARGET_SPACING: u32 = 150;

/// Seconds after which a network that allows it accepts a block at ten times its parent's target.
const EASIER_AFTER: u32 = 4 * TARGET_SPACING;

/// Seconds after which a network that allows it accepts a block at the easiest target.
const EASIEST_AFTER: u32 = 2 * 60 * 60;

/// The `nBits` that a block at `height` with time `time` must have.
///
/// `past` are the headers before it, oldest first; `None` when too few of them are known or the rule that held at
/// that height is not implemented (below DarkGravityWave).
pub(crate) fn required_bits(
    retargeting: Retargeting,
    pow_limit: u32,
    past: &[Header],
    height: u32,
    time: u32,
) -> Option<u32> {
    let (from, allow_min_difficulty) = match retargeting {
        Retargeting::None => return Some(pow_limit),
        Retargeting::DarkGravityWave { from, allow_min_difficulty } => (from, allow_min_difficulty),
    };
    if height < from {
        return None;
    }
    let parent = past.last()?;
    if allow_min_difficulty {
        if time > parent.time.saturating_add(EASIEST_AFTER) {
            return Some(pow_limit);
        }
        if time > parent.time.saturating_add(EASIER_AFTER) {
            let easier = target(parent.bits).wrapping_mul(Arith256::from_u64(10));
            return Some(easier.min(target(pow_limit)).compact(false).to_base());
        }
    }
    let window = past.len().checked_sub(DGW_PAST_BLOCKS).map(|start| &past[start..])?;
    Some(dark_gravity_wave(window, pow_limit))
}

/// `window` holds exactly [`DGW_PAST_BLOCKS`] headers, oldest first.
fn dark_gravity_wave(window: &[Header], pow_limit: u32) -> u32 {
    let mut newest_first = window.iter().rev();
    let mut average = newest_first.next().map_or(Arith256::ZERO, |header| target(header.bits));
    for (header, count) in newest_first.zip(2u64..) {
        let sum = average.wrapping_mul(Arith256::from_u64(count)).wrapping_add(target(header.bits));
        average = divide(sum, count + 1);
    }
    let target_timespan = i64::from(TARGET_SPACING) * DGW_PAST_BLOCKS as i64;
    let first = window.first().map_or(0, |header| i64::from(header.time));
    let last = window.last().map_or(0, |header| i64::from(header.time));
    let timespan = (last - first).clamp(target_timespan / 3, target_timespan * 3);
    let scaled = average.wrapping_mul(Arith256::from_u64(timespan.unsigned_abs()));
    divide(scaled, target_timespan.unsigned_abs()).min(target(pow_limit)).compact(false).to_base()
}

fn target(bits: u32) -> Arith256 {
    CompactTarget::new(bits).expand().value
}

fn divide(value: Arith256, divisor: u64) -> Arith256 {
    value.checked_div(Arith256::from_u64(divisor)).expect("divisors here are positive constants")
}

#[cfg(test)]
mod tests {
    use dashcore::hash_types::TxMerkleNode;
    use dashcore::{BlockHash, ChainParams, Network};

    use super::*;

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

    const DGW: Retargeting = Retargeting::DarkGravityWave { from: 100, allow_min_difficulty: false };
    const LIMIT: u32 = 0x1e0f_ffff;

    /// Constant bits, with blocks `spacing` seconds apart.
    fn past(spacing: u32) -> Vec<Header> {
        (0..24).map(|index| header(1_000_000 + index * spacing, 0x1b10_0000)).collect()
    }

    #[test]
    fn difficulty_follows_the_measured_timespan() {
        // 24 blocks span 23 intervals, so blocks exactly on schedule give 23/24 of the target.
        let on_schedule = required_bits(DGW, LIMIT, &past(150), 200, 0).unwrap();
        assert_eq!(target(on_schedule), target(0x1b0f_5555));
        // Slow and fast chains are clamped at three times either way.
        assert_eq!(required_bits(DGW, LIMIT, &past(15_000), 200, 0), Some(0x1b30_0000));
        assert_eq!(required_bits(DGW, LIMIT, &past(1), 200, 0), Some(0x1b05_5555));
    }

    #[test]
    fn average_weighs_older_blocks_as_dash_core_does() {
        let mut window = past(150);
        // The parent counts twice in Dash Core's running average.
        window[23].bits = 0x1b20_0000;
        let doubled = required_bits(DGW, LIMIT, &window, 200, 0).unwrap();
        let expected = divide(
            target(0x1b10_0000).wrapping_mul(Arith256::from_u64(27)).wrapping_mul(Arith256::from_u64(23)),
            25 * 24,
        );
        assert_eq!(doubled, expected.compact(false).to_base());
    }

    #[test]
    fn late_blocks_may_be_easier_where_the_network_allows_it() {
        let retargeting = Retargeting::DarkGravityWave { from: 100, allow_min_difficulty: true };
        let past = past(150);
        let last = past[23].time;
        assert_eq!(required_bits(retargeting, LIMIT, &past, 200, last + 7_201), Some(LIMIT));
        let easier = required_bits(retargeting, LIMIT, &past, 200, last + 601).unwrap();
        assert_eq!(target(easier), target(0x1b10_0000).wrapping_mul(Arith256::from_u64(10)));
        assert_eq!(
            required_bits(retargeting, LIMIT, &past, 200, last + 600),
            required_bits(DGW, LIMIT, &past, 200, last + 600),
        );
    }

    #[test]
    fn unknown_history_gives_no_verdict() {
        assert_eq!(required_bits(DGW, LIMIT, &past(150)[1..], 200, 0), None);
        assert_eq!(required_bits(DGW, LIMIT, &past(150), 99, 0), None);
    }

    #[test]
    fn regtest_never_retargets() {
        let params = ChainParams::new(Network::Regtest);
        assert_eq!(required_bits(params.retargeting, params.pow_limit, &[], 5, 0), Some(0x207f_ffff));
    }
}
