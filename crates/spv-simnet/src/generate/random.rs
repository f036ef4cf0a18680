//! Random bytes of the right form. Keys and signatures look like compressed points in the basic scheme; whether they are on
//! the curve is left to chance: nothing that a merkle root proves depends on it.

use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};

const COMPRESSED: u8 = 0x80;
const SIGN: u8 = 0x20;
/// Keeps a coordinate below the field's modulus, whose first byte is 0x1a.
const COORDINATE: u8 = 0x0f;

pub(super) fn public_key(rng: &mut fastrand::Rng) -> BLSPublicKey {
    let mut bytes = [0; BLSPublicKey::SIZE];
    rng.fill(&mut bytes);
    bytes[0] = COMPRESSED | bytes[0] & (SIGN | COORDINATE);
    BLSPublicKey::from_bytes(bytes)
}

pub(super) fn signature(rng: &mut fastrand::Rng) -> BLSSignature {
    let mut bytes = [0; BLSSignature::SIZE];
    rng.fill(&mut bytes);
    bytes[0] = COMPRESSED | bytes[0] & (SIGN | COORDINATE);
    bytes[BLSSignature::SIZE / 2] &= COORDINATE;
    BLSSignature::from_bytes(bytes)
}

pub(super) fn hash<const N: usize>(rng: &mut fastrand::Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}
