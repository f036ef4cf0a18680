use bitcoin_hashes::{HashEngine, sha256};
use blst::MultiPoint;
use blst::min_pk::PublicKey;

use super::scheme::BlsScheme;

/// The key under which the aggregate of these keys' signatures, each weighted by its key, verifies.
///
/// A key's weight depends on all keys, so that nobody can choose a key that cancels those of others. The weighted sum
/// is one multi-scalar multiplication, not one multiplication per key.
///
/// # Panics
/// When there are no keys.
pub(crate) fn secure_aggregate(keys: &[PublicKey], scheme: BlsScheme) -> PublicKey {
    let mut sorted: Vec<_> = keys.iter().map(|key| (scheme.encode_public_key(key), *key)).collect();
    sorted.sort_unstable_by_key(|(bytes, _)| *bytes);
    let mut engine = sha256::Hash::engine();
    for (bytes, _) in &sorted {
        engine.input(bytes);
    }
    let all_keys = sha256::Hash::from_engine(engine);

    let mut points = Vec::with_capacity(sorted.len());
    let mut weights = Vec::with_capacity(sorted.len() * 32);
    for (index, (_, point)) in (0_u32..).zip(sorted) {
        let mut preimage = [0; 36];
        preimage[..4].copy_from_slice(&index.to_be_bytes());
        preimage[4..].copy_from_slice(all_keys.as_byte_array());
        points.push(point);
        // Big-endian numbers, which need no reduction: multiples of the group's order cancel.
        weights.extend(sha256::hash(&preimage).to_byte_array().into_iter().rev());
    }
    points.mult(&weights, 256).to_public_key()
}

#[cfg(test)]
mod tests {
    use dash_pkc::bls::{BlsPublicKey, BlsScChia, BlsScIetf, BlsSecretKey};
    use dashcore::bls_sig_utils::BLSPublicKey;

    use super::*;

    fn assert_agrees<S: dash_pkc::bls::BlsScheme>(scheme: BlsScheme) {
        for count in [1, 2, 3, 9, 60] {
            let keys: Vec<_> = (0..count)
                .map(|seed| BlsSecretKey::<S>::from_ikm(&[seed; 32]).unwrap().public_key())
                .collect();
            let expected = BlsPublicKey::<S>::secure_aggregate(&keys.iter().collect::<Vec<_>>()).unwrap();
            let points: Vec<_> = keys
                .iter()
                .map(|key| scheme.decode_public_key(&BLSPublicKey::from_bytes(key.to_bytes())).unwrap())
                .collect();
            let got = scheme.encode_public_key(&secure_aggregate(&points, scheme));
            assert_eq!(got, expected.to_bytes(), "{count} keys");
        }
    }

    #[test]
    fn the_weighted_sum_is_the_one_of_the_reference() {
        assert_agrees::<BlsScIetf>(BlsScheme::Basic);
        assert_agrees::<BlsScChia>(BlsScheme::Legacy);
    }
}
