use bitcoin_hashes::sha256;
use redb::{Key, Value};

/// What is stored beside a row whose contents nothing else proves, so that a change to it is noticed: 64 bits of the
/// SHA-256 of the table, the key and the value. It is no signature. Who may write the file can write this too.
pub(super) fn digest<'k, 'v, K: Key + 'k, V: Value + 'v>(
    table: &str,
    key: K::SelfType<'k>,
    value: V::SelfType<'v>,
) -> u64 {
    let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
    let mut row = Vec::new();
    for part in [table.as_bytes(), key.as_ref(), value.as_ref()] {
        // So that no other way to cut the same bytes has the same digest.
        row.extend((part.len() as u64).to_le_bytes());
        row.extend(part);
    }
    let hash = sha256::hash(&row).to_byte_array();
    let (first, _) = hash.as_chunks::<8>();
    first.first().map_or(0, |first| u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_row_counts_and_where_it_stands() {
        fn of(table: &str, key: u32, value: &[u8]) -> u64 {
            digest::<u32, &[u8]>(table, key, value)
        }
        let row = of("quorums", 7, &[1, 2, 3]);
        assert_eq!(row, of("quorums", 7, &[1, 2, 3]));
        for other in [of("peers", 7, &[1, 2, 3]), of("quorums", 6, &[1, 2, 3]), of("quorums", 7, &[1, 2])] {
            assert_ne!(row, other);
        }
        for bit in 0..24 {
            let mut value = [1, 2, 3];
            value[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(row, of("quorums", 7, &value), "bit {bit}");
        }
    }
}
