use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader, encode_compact_size};

/// Bits packed eight to a byte, least significant first, with a bit count of their own
/// (Dash Core: `DYNBITSET`, serialize.h).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct BitSet {
    length: usize,
    bytes: Vec<u8>,
}

impl BitSet {
    /// Number of bits, set or not.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bits at all.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bit `index`; `false` past the end.
    pub fn get(&self, index: usize) -> bool {
        index < self.length && self.bytes[index / 8] >> (index % 8) & 1 == 1
    }

    /// Number of set bits.
    pub fn count_ones(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// All bits in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.length).map(|index| self.get(index))
    }
}

impl FromIterator<bool> for BitSet {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut set = Self::default();
        for bit in bits {
            if set.length % 8 == 0 {
                set.bytes.push(0);
            }
            if bit {
                set.bytes[set.length / 8] |= 1 << (set.length % 8);
            }
            set.length += 1;
        }
        set
    }
}

impl Encodable for BitSet {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        encode_compact_size(self.length, out);
        out.extend_from_slice(&self.bytes);
    }
}

impl Decodable for BitSet {
    const MIN_SIZE: usize = 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let bits = reader.compact_size()?;
        let limit = reader.remaining().saturating_mul(8);
        let length = usize::try_from(bits)
            .ok()
            .filter(|&length| length <= limit)
            .ok_or_else(|| reader.error_at(start, DecodeErrorKind::LengthTooLarge { length: bits, limit }))?;
        let bytes = reader.bytes(length.div_ceil(8))?.to_vec();
        let used_in_last = length % 8;
        if used_in_last > 0 && bytes.last().is_some_and(|last| last >> used_in_last != 0) {
            return Err(reader.error_at(reader.position() - 1, DecodeErrorKind::PaddingBitsSet));
        }
        Ok(Self { length, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{deserialize, serialize};

    #[test]
    fn bits_round_trip_least_significant_first() {
        let set: BitSet = (0..11).map(|bit| bit % 3 == 0).collect();
        assert_eq!(serialize(&set), [11, 0b0100_1001, 0b0000_0010]);
        assert_eq!(deserialize::<BitSet>(&serialize(&set)), Ok(set.clone()));
        assert_eq!(set.count_ones(), 4);
        assert!(!set.get(11));
    }

    #[test]
    fn set_padding_is_rejected() {
        let error = deserialize::<BitSet>(&[3, 0b0000_1000]).unwrap_err();
        assert_eq!((error.kind, error.offset), (DecodeErrorKind::PaddingBitsSet, 1));
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let error = deserialize::<BitSet>(&[0xfe, 0xff, 0xff, 0xff, 0x00, 1]).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::LengthTooLarge { length: 0xff_ffff, limit: 8 });
    }
}
