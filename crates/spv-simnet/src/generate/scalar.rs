//! Arithmetic modulo the order of the BLS12-381 groups, as little as a weighted sum of secret keys takes.

/// The order, in 64-bit limbs, lowest first.
const ORDER: [u64; 4] =
    [0xffff_ffff_0000_0001, 0x53bd_a402_fffe_5bfe, 0x3339_d808_09a1_d805, 0x73ed_a753_299d_7d48];

/// A sum of products of 256-bit numbers, exact: room for 2^64 of them.
#[derive(Default)]
pub(super) struct SumOfProducts([u64; 9]);

impl SumOfProducts {
    /// Adds the product of two big-endian numbers.
    pub(super) fn add(&mut self, a: &[u8; 32], b: &[u8; 32]) {
        let (a, b) = (limbs(a), limbs(b));
        for (shift, a) in a.into_iter().enumerate() {
            let mut carry = 0;
            for (b, sum) in b.into_iter().chain([0; 5]).zip(&mut self.0[shift..]) {
                let wide = u128::from(a) * u128::from(b) + u128::from(*sum) + u128::from(carry);
                (*sum, carry) = split(wide);
            }
        }
    }

    /// The remainder of the sum by the order, big-endian.
    pub(super) fn reduce(&self) -> [u8; 32] {
        let mut remainder = [0; 4];
        for limb in self.0.iter().rev() {
            for bit in (0..u64::BITS).rev() {
                double(&mut remainder, limb >> bit & 1);
                if remainder.iter().rev().ge(ORDER.iter().rev()) {
                    subtract_order(&mut remainder);
                }
            }
        }
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(remainder.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }
}

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    limbs
}

/// Doubles a number below the order, which leaves its highest bit free, and adds a bit.
fn double(number: &mut [u64; 4], mut bit: u64) {
    for limb in number {
        let highest = *limb >> 63;
        *limb = *limb << 1 | bit;
        bit = highest;
    }
}

fn subtract_order(number: &mut [u64; 4]) {
    let mut borrow = false;
    for (limb, order) in number.iter_mut().zip(ORDER) {
        let (less, first) = limb.overflowing_sub(order);
        let (less, second) = less.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (less, first || second);
    }
}

/// The low and the high half.
fn split(wide: u128) -> (u64, u64) {
    let low = u64::try_from(wide & u128::from(u64::MAX)).expect("masked to 64 bits");
    (low, u64::try_from(wide >> 64).expect("only 64 bits are left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(low: u64) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&low.to_be_bytes());
        bytes
    }

    #[test]
    fn sums_of_products_are_taken_modulo_the_order() {
        let mut sum = SumOfProducts::default();
        sum.add(&number(7), &number(11));
        sum.add(&number(1), &number(23));
        assert_eq!(sum.reduce(), number(100));

        let mut order = [0; 32];
        for (chunk, limb) in order.chunks_exact_mut(8).zip(ORDER.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        let mut minus_one = order;
        minus_one[31] -= 1;
        let mut sum = SumOfProducts::default();
        sum.add(&order, &[0xff; 32]);
        assert_eq!(sum.reduce(), number(0));
        sum.add(&minus_one, &minus_one);
        assert_eq!(sum.reduce(), number(1));
        // 2^256 - 1 squared many times: carries go all the way up.
        for _ in 0..400 {
            sum.add(&order, &[0xff; 32]);
        }
        assert_eq!(sum.reduce(), number(1));
    }
}
