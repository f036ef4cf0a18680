use std::collections::HashMap;
use std::mem;
use std::num::NonZeroUsize;

use blst::min_pk::PublicKey;
use dashcore::bls_sig_utils::BLSPublicKey;

use super::scheme::BlsScheme;

/// Decompressed keys by their bytes. The same few thousand operators are members again and again, and decompressing a
/// key takes a square root and a subgroup check.
///
/// Two generations: when the young one is full it becomes the old one, and what the old one held is dropped unless it
/// was used again. So a key in use stays, at most `capacity` keys (but never fewer than two) are held, and nothing is
/// ordered by time.
#[derive(Debug)]
pub(crate) struct KeyCache {
    per_generation: usize,
    young: HashMap<(BlsScheme, BLSPublicKey), PublicKey>,
    old: HashMap<(BlsScheme, BLSPublicKey), PublicKey>,
}

impl KeyCache {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self { per_generation: (capacity.get() / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    /// The key's point; `None` if the bytes are none.
    pub(crate) fn decode(&mut self, bytes: &BLSPublicKey, scheme: BlsScheme) -> Option<PublicKey> {
        let name = (scheme, *bytes);
        if let Some(key) = self.young.get(&name) {
            return Some(*key);
        }
        let key = self.old.remove(&name).or_else(|| scheme.decode_public_key(bytes))?;
        if self.young.len() >= self.per_generation {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(name, key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use dash_pkc::bls::{BlsScIetf, BlsSecretKey};

    use super::*;

    fn key(seed: u8) -> BLSPublicKey {
        let key = BlsSecretKey::<BlsScIetf>::from_ikm(&[seed; 32]).unwrap();
        BLSPublicKey::from_bytes(key.public_key().to_bytes())
    }

    #[test]
    fn a_key_in_use_stays_and_the_bound_holds() {
        let mut cache = KeyCache::new(NonZeroUsize::new(4).unwrap());
        let used = (BlsScheme::Basic, key(0));
        for seed in 0..40 {
            assert!(cache.decode(&key(seed), BlsScheme::Basic).is_some());
            assert!(cache.decode(&used.1, used.0).is_some());
            assert!(cache.young.contains_key(&used), "after key {seed}");
            assert!(cache.young.len() + cache.old.len() <= 4);
        }
    }

    #[test]
    fn schemes_do_not_share_keys_and_no_key_is_not_held() {
        let mut cache = KeyCache::new(NonZeroUsize::MIN);
        assert!(cache.decode(&key(1), BlsScheme::Basic).is_some());
        let as_legacy = cache.decode(&key(1), BlsScheme::Legacy);
        assert_eq!(as_legacy, BlsScheme::Legacy.decode_public_key(&key(1)));
        assert!(cache.decode(&BLSPublicKey::default(), BlsScheme::Basic).is_none());
        assert!(!cache.young.keys().any(|(_, bytes)| bytes.is_zeroed()));
    }
}
