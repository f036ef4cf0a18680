//! Which `nBits` a block must have (Dash Core `GetNextWorkRequired`, pow.cpp).

use dash_num::{Arith256, CompactTarget};
use dash_types::Numeric;
use dashcore::ChainParams;
use dashcore::params::Retargeting;

use super::past::{PAST_BLOCKS, Past};

/// Seconds after which a network that allows it accepts a block at the easiest target.
const EASIEST_AFTER: u32 = 2 * 60 * 60;

/// What the difficulty rules ask of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Required {
    /// These bits.
    Exactly(u32),
    /// Bits whose difficulty differs from that of these by no more than half of itself.
    About(u32),
    /// Nothing that is implemented: the block is older than DarkGravityWave.
    Nothing,
    /// It depends on headers that are not known.
    Unknown,
}

/// What the rules ask of the block at `height` with time `time` that comes after `past`.
pub(super) fn required(params: &ChainParams, past: &Past, height: u32, time: u32) -> Required {
    let limit = params.pow_limit;
    let (from, exact_from, allow_min_difficulty) = match params.retargeting {
        Retargeting::None => return Required::Exactly(limit),
        Retargeting::DarkGravityWave { from, exact_from, allow_min_difficulty } => {
            (from, exact_from, allow_min_difficulty)
        }
    };
    if height <= params.minimum_difficulty_blocks {
        return Required::Exactly(limit);
    }
    if height < from {
        return Required::Nothing;
    }
    if allow_min_difficulty {
        let Some((parent_time, parent_bits)) = past.parent() else { return Required::Unknown };
        if time > parent_time.saturating_add(EASIEST_AFTER) {
            return Required::Exactly(limit);
        }
        if time > parent_time.saturating_add(params.target_spacing.saturating_mul(4)) {
            let easier = target(parent_bits).wrapping_mul(Arith256::from_u64(10));
            return Required::Exactly(easier.min(target(limit)).compact(false).to_base());
        }
    }
    // Blocks 0 to 24 have too few before them.
    if u64::from(height) <= PAST_BLOCKS as u64 {
        return Required::Exactly(limit);
    }
    match past.window() {
        None => Required::Unknown,
        Some(window) => {
            let bits = dark_gravity_wave(window, limit, params.target_spacing);
            if height < exact_from { Required::About(bits) } else { Required::Exactly(bits) }
        }
    }
}

impl Required {
    /// The bits that are asked for, unless `bits` will do.
    pub(super) fn instead_of(self, bits: u32) -> Option<u32> {
        match self {
            Self::Exactly(expected) => (expected != bits).then_some(expected),
            Self::About(expected) => (!is_about(target(expected), target(bits))).then_some(expected),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// Difficulties are reciprocals of targets: `|1/claimed - 1/expected| <= 1/2 * 1/claimed`, without divisions.
fn is_about(expected: Arith256, claimed: Arith256) -> bool {
    let times = |value: Arith256, factor| value.wrapping_mul(Arith256::from_u64(factor));
    expected <= times(claimed, 2) && times(claimed, 2) <= times(expected, 3)
}

pub(super) fn target(bits: u32) -> Arith256 {
    CompactTarget::new(bits).expand().value
}

/// The work of a block with these bits: 2^256 divided by what is one above its target. As `CompactTarget::block_proof`, but
/// for usual targets without a long division, because every header is counted.
pub(super) fn work(bits: u32) -> Arith256 {
    let (size, mantissa) = (bits >> 24, u128::from(bits & 0x007f_ffff));
    if mantissa == 0 || bits & 0x0080_0000 != 0 || !(20..=32).contains(&size) {
        return CompactTarget::new(bits).block_proof();
    }
    // The target is mantissa * 2^shift, and 2^256 = quotient * target + remainder * 2^shift. One more than the target goes into
    // that as often if the remainder has one for each time, which it has unless it is zero: quotients are below 2^shift here.
    // Otherwise it goes in once less often.
    let power = 1_u128 << (256 - 8 * (size - 3));
    let (quotient, remainder) = (power / mantissa, power % mantissa);
    Arith256::from_u128(if remainder > 0 { quotient } else { quotient - 1 })
}

/// `window` holds times and bits, newest first.
fn dark_gravity_wave(window: &[(u32, u32); PAST_BLOCKS], pow_limit: u32, spacing: u32) -> u32 {
    let [(last, newest), .., (first, _)] = *window;
    // Dash Core's average after k blocks is (average * k + target) / (k + 1), rounded down each time. What is kept here is
    // that average times k + 1, which takes remainders by small numbers instead of long divisions.
    let mut weighed = Limbs::of(newest).doubled();
    for (&(_, bits), weight) in window[1..].iter().zip(3u64..) {
        weighed = weighed.plus(Limbs::of(bits));
        weighed = weighed.minus(weighed.remainder(weight));
    }
    let average = weighed.divided_by(PAST_BLOCKS as u64 + 1);
    let target_timespan = i64::from(spacing.max(1)) * PAST_BLOCKS as i64;
    let timespan = (i64::from(last) - i64::from(first)).clamp(target_timespan / 3, target_timespan * 3);
    let new = average.times(timespan.unsigned_abs()).divided_by(target_timespan.unsigned_abs());
    new.number().min(target(pow_limit)).compact(false).to_base()
}

/// A 256-bit number, least significant part first, that wraps around as Dash Core's does. It is here for speed: divisions
/// of `Arith256` are made for long divisors, and each header takes twenty-four of them.
#[derive(Debug, Clone, Copy)]
struct Limbs([u64; 4]);

impl Limbs {
    fn of(bits: u32) -> Self {
        let (size, mantissa) = ((bits >> 24) as usize, u64::from(bits & 0x007f_ffff));
        let mut limbs = [0; 4];
        if size <= 3 {
            limbs[0] = mantissa >> (8 * (3 - size));
            return Self(limbs);
        }
        let (limb, shift) = ((size - 3) / 8, 8 * ((size - 3) % 8));
        if let Some(low) = limbs.get_mut(limb) {
            *low = mantissa << shift;
        }
        if let Some(high) = limbs.get_mut(limb + 1) {
            *high = if shift == 0 { 0 } else { mantissa >> (64 - shift) };
        }
        Self(limbs)
    }

    fn doubled(self) -> Self {
        self.plus(self)
    }

    fn plus(self, other: Self) -> Self {
        let mut carry = false;
        let mut sum = [0; 4];
        for (index, limb) in sum.iter_mut().enumerate() {
            let (partial, over) = self.0[index].overflowing_add(other.0[index]);
            let (whole, over_again) = partial.overflowing_add(u64::from(carry));
            (*limb, carry) = (whole, over || over_again);
        }
        Self(sum)
    }

    fn minus(self, small: u64) -> Self {
        let mut borrow = small;
        let mut difference = self.0;
        for limb in &mut difference {
            let (rest, under) = limb.overflowing_sub(borrow);
            (*limb, borrow) = (rest, u64::from(under));
        }
        Self(difference)
    }

    /// By a number that DarkGravityWave divides by.
    fn remainder(self, divisor: u64) -> u64 {
        let powers = POWERS.get(low_index(divisor)).unwrap_or(&[0; 8]);
        let weighed = self.0.iter().zip(powers.chunks_exact(2)).map(|(limb, powers)| {
            // Below 2^38 each.
            (limb & 0xffff_ffff) * powers[0] + (limb >> 32) * powers[1]
        });
        weighed.sum::<u64>() % divisor
    }

    fn times(self, factor: u64) -> Self {
        let mut carry = 0;
        Self(self.0.map(|limb| {
            let product = u128::from(limb) * u128::from(factor) + carry;
            carry = product >> 64;
            low(product)
        }))
    }

    fn divided_by(self, divisor: u64) -> Self {
        let mut quotient = [0; 4];
        let mut remainder = 0_u128;
        for (limb, part) in quotient.iter_mut().zip(self.0).rev() {
            let dividend = remainder << 64 | u128::from(part);
            if dividend != 0 {
                *limb = low(dividend / u128::from(divisor));
                remainder = dividend - u128::from(*limb) * u128::from(divisor);
            }
        }
        Self(quotient)
    }

    fn number(self) -> Arith256 {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        Arith256::from_lendian(bytes)
    }
}

/// What powers of 2^32 leave when they are divided by numbers up to [`PAST_BLOCKS`] + 1.
const POWERS: [[u64; 8]; PAST_BLOCKS + 2] = {
    let mut powers = [[1; 8]; PAST_BLOCKS + 2];
    let mut divisor = 1;
    while divisor < powers.len() {
        let mut power = 1;
        while power < 8 {
            powers[divisor][power] = (powers[divisor][power - 1] << 32) % divisor as u64;
            power += 1;
        }
        divisor += 1;
    }
    powers
};

#[expect(clippy::cast_possible_truncation, reason = "divisors are small")]
fn low_index(divisor: u64) -> usize {
    divisor as usize
}

#[expect(clippy::cast_possible_truncation, reason = "it is what is asked for")]
fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests;
