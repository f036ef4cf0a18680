use bitcoin_hashes::{HashEngine, sha256};
use blst::min_pk::{PublicKey, Signature};
use blst::{BLST_ERROR, MultiPoint, Pairing, blst_fp12, blst_p1_affine, blst_p2_affine};

use super::scheme::{BlsScheme, legacy_hash_to_curve};

/// A hash that is said to be signed under some keys, each with its own signature.
#[derive(Debug, Clone)]
pub(crate) struct SignedHash {
    pub(crate) scheme: BlsScheme,
    pub(crate) hash: [u8; 32],
    pub(crate) signatures: Vec<(PublicKey, Signature)>,
}

/// Whether all signatures of all hashes are right.
///
/// Checks one random linear combination of all the equations. It needs a pairing per hash instead of two per
/// signature, and one final exponentiation. A wrong signature passes with probability 2^-128: its coefficient is
/// derived from everything that is checked, so that nobody can choose the signatures to suit the coefficients, and
/// the outcome depends on nothing but the input.
pub(crate) fn verify_batch(hashes: &[SignedHash]) -> bool {
    let coefficients = Coefficients::of(hashes);
    let mut index = 0..;
    let mut pairing = Pairing::new(true, DOMAIN);
    let (mut signatures, mut scalars) = (Vec::new(), Vec::new());
    for signed in hashes {
        if signed.signatures.is_empty() {
            continue;
        }
        let start = scalars.len();
        let mut keys = Vec::with_capacity(signed.signatures.len());
        for (key, signature) in &signed.signatures {
            keys.push(*key);
            signatures.push(*signature);
            scalars.extend(coefficients.get(index.next().expect("counts up for ever")));
        }
        let key = keys.mult(&scalars[start..], COEFFICIENT_BITS).to_public_key();
        if !add_pair(&mut pairing, signed, &key) {
            return false;
        }
    }
    if signatures.is_empty() {
        return true;
    }
    let sum = signatures.mult(&scalars, COEFFICIENT_BITS).to_signature();
    let mut signed = blst_fp12::default();
    Pairing::aggregated(&mut signed, <&blst_p2_affine>::from(&sum));
    pairing.commit();
    pairing.finalverify(Some(&signed))
}

fn add_pair(pairing: &mut Pairing<'_>, signed: &SignedHash, key: &PublicKey) -> bool {
    let key = <&blst_p1_affine>::from(key);
    match signed.scheme {
        BlsScheme::Legacy => {
            pairing.raw_aggregate(&legacy_hash_to_curve(&signed.hash), key);
            true
        }
        // No signature here: all of them enter as one sum.
        BlsScheme::Basic => {
            pairing.aggregate(key, false, &(), false, &signed.hash, &[]) == BLST_ERROR::BLST_SUCCESS
        }
    }
}

/// Coefficients of the linear combination, from a hash of all that it combines.
struct Coefficients([u8; 32]);

impl Coefficients {
    fn of(hashes: &[SignedHash]) -> Self {
        let mut engine = sha256::Hash::engine();
        for SignedHash { scheme, hash, signatures } in hashes {
            engine.input(&[u8::from(*scheme == BlsScheme::Basic)]);
            engine.input(hash);
            engine.input(&signatures.len().to_le_bytes());
            for (key, signature) in signatures {
                engine.input(&key.serialize());
                engine.input(&signature.serialize());
            }
        }
        Self(sha256::Hash::from_engine(engine).to_byte_array())
    }

    fn get(&self, index: u32) -> [u8; COEFFICIENT_BITS / 8] {
        let mut preimage = [0; 36];
        preimage[..32].copy_from_slice(&self.0);
        preimage[32..].copy_from_slice(&index.to_le_bytes());
        let mut coefficient = [0; COEFFICIENT_BITS / 8];
        coefficient.copy_from_slice(&sha256::hash(&preimage).to_byte_array()[..COEFFICIENT_BITS / 8]);
        coefficient
    }
}

const COEFFICIENT_BITS: usize = 128;
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_";

#[cfg(test)]
mod tests {
    use dash_pkc::bls::{BlsScChia, BlsScIetf, BlsSecretKey};
    use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};

    use super::*;

    fn sign<S: dash_pkc::bls::BlsScheme>(
        scheme: BlsScheme,
        seed: u8,
        hash: [u8; 32],
    ) -> (PublicKey, Signature) {
        let secret = BlsSecretKey::<S>::from_ikm(&[seed; 32]).unwrap();
        let key = BLSPublicKey::from_bytes(secret.public_key().to_bytes());
        let signature = BLSSignature::from_bytes(secret.sign_digest(&hash).to_bytes());
        (scheme.decode_public_key(&key).unwrap(), scheme.decode_signature(&signature).unwrap())
    }

    fn signed(scheme: BlsScheme, number: u8) -> SignedHash {
        let hash = [number; 32];
        let one = |seed| match scheme {
            BlsScheme::Basic => sign::<BlsScIetf>(scheme, seed, hash),
            BlsScheme::Legacy => sign::<BlsScChia>(scheme, seed, hash),
        };
        SignedHash { scheme, hash, signatures: vec![one(number), one(number + 100)] }
    }

    fn batch(count: u8) -> Vec<SignedHash> {
        let scheme = |number| if number % 3 == 0 { BlsScheme::Legacy } else { BlsScheme::Basic };
        (0..count).map(|number| signed(scheme(number), number)).collect()
    }

    #[test]
    fn right_signatures_of_both_schemes_verify_together() {
        for count in [0, 1, 2, 11] {
            assert!(verify_batch(&batch(count)), "{count} hashes");
        }
    }

    #[test]
    fn one_wrong_signature_fails_the_batch() {
        for wrong in 0..11 {
            let mut hashes = batch(11);
            let signature = hashes[(wrong + 1) % 11].signatures[0].1;
            hashes[wrong].signatures[1].1 = signature;
            assert!(!verify_batch(&hashes), "signature {wrong}");
            let mut hashes = batch(11);
            hashes[wrong].hash[31] ^= 1;
            assert!(!verify_batch(&hashes), "hash {wrong}");
        }
    }

    #[test]
    fn errors_that_cancel_without_coefficients_do_not_pass() {
        // The sum of both signatures is right, neither signature is.
        let mut hashes = batch(5);
        let (first, second) = hashes[1].signatures.split_at_mut(1);
        std::mem::swap(&mut first[0].1, &mut second[0].1);
        assert!(!verify_batch(&hashes));
    }
}
