//! InstantSend locks (DIP10, DIP22; Dash Core `instantsend::InstantSendLock`, instantsend/lock.h).

use bitcoin_hashes::sha256d;

use crate::blockdata::transaction::OutPoint;
use crate::bls_sig_utils::BLSSignature;
use crate::consensus::{Decodable, DecodeError, Encodable, Reader, encode_vec};
use crate::hash_types::{BlockHash, Txid};

/// Payload of `isdlock`: a quorum's word that a transaction spends its inputs and no other one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstantLock {
    /// Version; 1 for locks that name their cycle.
    pub version: u8,
    /// The outputs that the transaction spends, in its order.
    pub inputs: Vec<OutPoint>,
    /// The transaction.
    pub txid: Txid,
    /// Hash of the base block of the rotation cycle in which it was signed.
    pub cyclehash: BlockHash,
    /// Recovered threshold signature of the quorum.
    pub signature: BLSSignature,
}

impl InstantLock {
    /// The id under which quorums are asked to lock these inputs. It decides which of a cycle's quorums signs.
    pub fn request_id(&self) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(8 + 36 * self.inputs.len());
        bytes.push(6);
        bytes.extend_from_slice(b"islock");
        encode_vec(&self.inputs, &mut bytes);
        sha256d::hash(&bytes).to_byte_array()
    }
}

impl Encodable for InstantLock {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        encode_vec(&self.inputs, out);
        self.txid.consensus_encode(out);
        self.cyclehash.consensus_encode(out);
        self.signature.consensus_encode(out);
    }
}

impl Decodable for InstantLock {
    const MIN_SIZE: usize = 1 + 1 + 32 + 32 + 96;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.read("isdlock.nVersion")?,
            inputs: reader.vec("isdlock.inputs")?,
            txid: reader.read("isdlock.txid")?,
            cyclehash: reader.read("isdlock.cycleHash")?,
            signature: reader.read("isdlock.sig")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{deserialize, serialize};

    #[test]
    fn an_instant_lock_round_trips() {
        let mut bytes = vec![1, 2];
        for input in [3_u8, 4] {
            bytes.extend([input; 32]);
            bytes.extend([input, 0, 0, 0]);
        }
        bytes.extend([5; 32]);
        bytes.extend([6; 32]);
        bytes.extend([7; 96]);
        let lock: InstantLock = deserialize(&bytes).unwrap();
        assert_eq!((lock.version, lock.inputs.len(), lock.inputs[1].vout), (1, 2, 4));
        assert_eq!((lock.txid, lock.cyclehash.to_byte_array()), (Txid::from_byte_array([5; 32]), [6; 32]));
        assert_eq!(serialize(&lock), bytes);
        assert!(deserialize::<InstantLock>(&bytes[1..]).is_err());
    }

    #[test]
    fn the_request_is_about_the_inputs_alone() {
        let lock = |txid, vout| InstantLock {
            version: 1,
            inputs: vec![OutPoint { txid: Txid::all_zeros(), vout }],
            txid: Txid::from_byte_array([txid; 32]),
            cyclehash: BlockHash::all_zeros(),
            signature: BLSSignature::default(),
        };
        assert_eq!(lock(1, 0).request_id(), lock(2, 0).request_id());
        assert_ne!(lock(1, 0).request_id(), lock(1, 1).request_id());
        let mut preimage = b"\x06islock\x01".to_vec();
        preimage.extend([0; 36]);
        assert_eq!(lock(1, 0).request_id(), sha256d::hash(&preimage).to_byte_array());
    }
}
