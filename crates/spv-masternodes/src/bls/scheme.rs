use blst::min_pk::{PublicKey, Signature};
use blst::{blst_p1, blst_p2, blst_p2_affine, p1_affines, p2_affines};
use dash_pkc::bls::{BlsPublicKey, BlsScChia, BlsSecretKey, BlsSignature, G1, G2};
use dashcore::ChainParams;
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};

/// How points are encoded and messages hashed to the curve. The curve and the keys on it are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlsScheme {
    /// Before v19: encodings without flag bits, and a hash to the curve of its own.
    Legacy,
    /// From v19 on: IETF BLS signatures, minimal public keys, basic scheme.
    Basic,
}

impl BlsScheme {
    /// Scheme of what is signed once the block at `height` is there.
    pub fn after(height: u32, params: &ChainParams) -> Self {
        if height.saturating_add(1) >= params.activation.v19 { Self::Basic } else { Self::Legacy }
    }

    /// Scheme in which a masternode list entry of this version encodes its operator's key. Entries that were last
    /// changed before v19 stay at version 1.
    pub(crate) const fn of_entry(version: u16) -> Self {
        if version < 2 { Self::Legacy } else { Self::Basic }
    }

    /// Scheme of a final commitment of this version.
    pub(crate) const fn of_commitment(version: u16) -> Self {
        if version < 3 { Self::Legacy } else { Self::Basic }
    }

    /// The point that the bytes stand for; `None` if they stand for none, or for infinity.
    ///
    /// The legacy scheme never asked whether a key is in the prime-order subgroup, so neither does this: the chain
    /// may hold such keys, and a pairing ignores the part outside.
    pub(crate) fn decode_public_key(self, bytes: &BLSPublicKey) -> Option<PublicKey> {
        match self {
            Self::Basic => PublicKey::key_validate(bytes.as_bytes()).ok(),
            Self::Legacy => {
                let key = BlsPublicKey::<BlsScChia>::from_bytes(bytes.as_bytes()).ok()?;
                let point = blst_p1::from(G1::try_from(key).ok()?);
                Some(p1_affines::from(&[point])[0].into())
            }
        }
    }

    pub(crate) fn encode_public_key(self, key: &PublicKey) -> [u8; 48] {
        let mut bytes = key.compress();
        if self == Self::Legacy {
            let sign = bytes[0] >> 5 & 1;
            bytes[0] = bytes[0] & 0x1f | sign << 7;
        }
        bytes
    }

    /// The point that the bytes stand for; `None` if they stand for none, for infinity, or for a point outside the
    /// prime-order subgroup, where signatures could cancel each other in a batch.
    pub(crate) fn decode_signature(self, bytes: &BLSSignature) -> Option<Signature> {
        match self {
            Self::Basic => Signature::sig_validate(bytes.as_bytes(), true).ok(),
            Self::Legacy => {
                let signature = BlsSignature::<BlsScChia>::from_bytes(bytes.as_bytes()).ok()?;
                let signature = Signature::from(affine(signature)?);
                signature.validate(true).ok()?;
                Some(signature)
            }
        }
    }
}

/// The legacy scheme's hash to the curve. It is not exported as such, but a signature by the secret key 1 is the hash.
pub(crate) fn legacy_hash_to_curve(hash: &[u8; 32]) -> blst_p2_affine {
    let mut one = [0; 32];
    one[31] = 1;
    let key = BlsSecretKey::<BlsScChia>::from_bytes(&one).expect("1 is a secret key");
    affine(key.sign_digest(hash)).expect("what was just signed is a point")
}

fn affine(signature: BlsSignature<BlsScChia>) -> Option<blst_p2_affine> {
    let point = blst_p2::from(G2::try_from(signature).ok()?);
    Some(p2_affines::from(&[point])[0])
}

#[cfg(test)]
mod tests {
    use dash_pkc::bls::BlsScIetf;
    use dashcore::Network;

    use super::*;

    #[test]
    fn a_key_is_the_same_point_in_both_encodings() {
        for seed in 0..20 {
            let key = BlsSecretKey::<BlsScIetf>::from_ikm(&[seed; 32]).unwrap().public_key();
            let basic = key.to_bytes();
            let legacy = key.to_scheme::<BlsScChia>().unwrap().to_bytes();
            let point = BlsScheme::Basic.decode_public_key(&BLSPublicKey::from_bytes(basic)).unwrap();
            assert_eq!(BlsScheme::Legacy.decode_public_key(&BLSPublicKey::from_bytes(legacy)), Some(point));
            assert_eq!(BlsScheme::Legacy.encode_public_key(&point), legacy);
            assert_eq!(BlsScheme::Basic.encode_public_key(&point), basic);
        }
    }

    #[test]
    fn nothing_and_infinity_are_no_points() {
        let mut infinity = [0; 96];
        infinity[0] = 0xc0;
        for scheme in [BlsScheme::Legacy, BlsScheme::Basic] {
            for bytes in [[0; 96], infinity] {
                assert_eq!(scheme.decode_signature(&BLSSignature::from_bytes(bytes)), None);
                let key = BLSPublicKey::from_bytes(*bytes.first_chunk().unwrap());
                assert_eq!(scheme.decode_public_key(&key), None);
            }
        }
    }

    #[test]
    fn the_scheme_changes_with_the_block_before_v19() {
        let params = ChainParams::new(Network::Dash);
        let v19 = params.activation.v19;
        assert_eq!(BlsScheme::after(v19 - 2, &params), BlsScheme::Legacy);
        assert_eq!(BlsScheme::after(v19 - 1, &params), BlsScheme::Basic);
    }
}
