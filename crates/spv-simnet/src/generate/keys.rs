use std::collections::HashMap;

use bitcoin_hashes::{HashEngine, sha256};
use dash_pkc::bls::{BlsScIetf, BlsSecretKey};
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};

use super::random;
use super::scalar::SumOfProducts;

/// Far more than any chain has that is made for a test.
const MAX_KEYS: usize = 100_000;

/// Makes the keys of operators and quorums and, as it holds all of them, signs for whole quorums at once.
pub(crate) struct KeyRing {
    secrets: Option<Secrets>,
}

struct Secrets {
    seed: u64,
    by_public_key: HashMap<BLSPublicKey, BlsSecretKey<BlsScIetf>>,
}

impl KeyRing {
    /// Real keys of the basic scheme.
    pub(crate) fn signing(seed: u64) -> Self {
        Self { secrets: Some(Secrets { seed, by_public_key: HashMap::new() }) }
    }

    /// Makes the next keys, up to the one with this public key, and returns whether it exists.
    pub(crate) fn make_until(&mut self, wanted: &BLSPublicKey) -> bool {
        let has_made = |ring: &Self| {
            ring.secrets.as_ref().is_none_or(|secrets| secrets.by_public_key.contains_key(wanted))
        };
        let mut rng = fastrand::Rng::with_seed(0);
        has_made(self) || (0..MAX_KEYS).any(|_| self.make(&mut rng) == *wanted)
    }

    /// Keys and signatures that are random bytes of the right form.
    pub(super) fn pretending() -> Self {
        Self { secrets: None }
    }

    /// A new key.
    pub(super) fn make(&mut self, rng: &mut fastrand::Rng) -> BLSPublicKey {
        let Some(Secrets { seed, by_public_key }) = &mut self.secrets else {
            return random::public_key(rng);
        };
        let mut material = seed.to_le_bytes().to_vec();
        material.extend_from_slice(&(by_public_key.len() as u64).to_le_bytes());
        let material = sha256::hash(&material).to_byte_array();
        let secret = BlsSecretKey::from_ikm(&material).expect("32 bytes are enough");
        let public = BLSPublicKey::from_bytes(secret.public_key().to_bytes());
        by_public_key.insert(public, secret);
        public
    }

    /// A signature of `hash` by one of the keys made.
    pub(crate) fn sign(&self, key: &BLSPublicKey, hash: &[u8; 32], rng: &mut fastrand::Rng) -> BLSSignature {
        match &self.secrets {
            Some(secrets) => signature(secrets.get(key), hash),
            None => random::signature(rng),
        }
    }

    /// Dash's secure aggregate of the signatures of `hash` by these keys: the sum of all, each weighted by a hash of its
    /// place among the sorted keys and of all keys. Instead of signatures, the secrets are summed up, and the sum signs.
    pub(super) fn sign_together(
        &self,
        keys: &[BLSPublicKey],
        hash: &[u8; 32],
        rng: &mut fastrand::Rng,
    ) -> BLSSignature {
        let Some(secrets) = &self.secrets else {
            return random::signature(rng);
        };
        if let [only] = keys {
            return signature(secrets.get(only), hash);
        }
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let mut engine = sha256::Hash::engine();
        sorted.iter().for_each(|key| engine.input(key.as_bytes()));
        let all = sha256::Hash::from_engine(engine).to_byte_array();
        let mut sum = SumOfProducts::default();
        for (place, key) in (0_u32..).zip(&sorted) {
            let weight = sha256::hash(&[&place.to_be_bytes()[..], &all].concat()).to_byte_array();
            sum.add(&weight, &secrets.get(key).to_bytes());
        }
        let together = BlsSecretKey::from_bytes(&sum.reduce()).expect("a sum of hashes is not zero");
        signature(&together, hash)
    }
}

/// A key in the encoding of the legacy scheme: without flags, but for the sign in the first bit.
pub(super) fn to_legacy(key: &BLSPublicKey) -> BLSPublicKey {
    let mut bytes = *key.as_bytes();
    bytes[0] = (bytes[0] & 0x1f) | ((bytes[0] & 0x20) << 2);
    BLSPublicKey::from_bytes(bytes)
}

/// The other way round.
pub(super) fn to_basic(key: &BLSPublicKey) -> BLSPublicKey {
    let mut bytes = *key.as_bytes();
    bytes[0] = (bytes[0] & 0x1f) | 0x80 | ((bytes[0] & 0x80) >> 2);
    BLSPublicKey::from_bytes(bytes)
}

impl Secrets {
    fn get(&self, key: &BLSPublicKey) -> &BlsSecretKey<BlsScIetf> {
        self.by_public_key.get(key).expect("only keys that were made here sign")
    }
}

fn signature(secret: &BlsSecretKey<BlsScIetf>, hash: &[u8; 32]) -> BLSSignature {
    BLSSignature::from_bytes(secret.sign_digest(hash).to_bytes())
}

#[cfg(test)]
mod tests {
    use dash_pkc::bls::{BlsPublicKey, BlsSignature};

    use super::*;

    fn ring(seed: u64, keys: usize) -> (KeyRing, Vec<BLSPublicKey>, fastrand::Rng) {
        let (mut ring, mut rng) = (KeyRing::signing(seed), fastrand::Rng::with_seed(0));
        let keys = (0..keys).map(|_| ring.make(&mut rng)).collect();
        (ring, keys, rng)
    }

    #[test]
    fn what_all_sign_together_verifies_as_the_reference_s_secure_aggregate() {
        for count in [1, 2, 3, 8, 60] {
            let (ring, keys, mut rng) = ring(1, count);
            let signed = ring.sign_together(&keys, &[7; 32], &mut rng);
            let signed = BlsSignature::<BlsScIetf>::from_bytes(signed.as_bytes()).unwrap();
            let keys: Vec<BlsPublicKey<BlsScIetf>> =
                keys.iter().map(|key| BlsPublicKey::from_bytes(key.as_bytes()).unwrap()).collect();
            let keys: Vec<_> = keys.iter().collect();
            match keys[..] {
                [only] => only.verify_digest(&[7; 32], &signed).unwrap(),
                _ => signed.secure_verify_aggregates_digest(&[7; 32], &keys).unwrap(),
            }
        }
    }

    #[test]
    fn encodings_lead_back_to_each_other() {
        let (_, keys, _) = ring(1, 20);
        for key in keys {
            let legacy = BlsPublicKey::<dash_pkc::bls::BlsScChia>::from_bytes(to_legacy(&key).as_bytes());
            assert!(legacy.is_ok());
            assert_eq!(to_basic(&to_legacy(&key)), key);
        }
    }

    #[test]
    fn keys_depend_on_the_seed_and_differ() {
        let keys = |seed| ring(seed, 3).1;
        assert_eq!(keys(1), keys(1));
        assert_ne!(keys(1), keys(2));
        assert_ne!(keys(1)[0], keys(1)[1]);
    }
}
