use std::sync::Arc;

use bitcoin_hashes::sha256d;
use dashcore::Txid;
use dashcore::blockdata::transaction::OutPoint;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::message_sml::GetMnListDiff;

use super::ActiveChain;
use crate::generate::{GeneratedSpec, KeyRing, SIGNING_DEPTH, hash_of};
use crate::world::World;

/// The quorums of a generated chain, as they lock transactions. It makes the chain's keys once more, and keeps them.
pub struct InstantLocker {
    world: Arc<World>,
    keys: Option<KeyRing>,
}

impl std::fmt::Debug for InstantLocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstantLocker").field("tip", &self.world.tip()).finish_non_exhaustive()
    }
}

impl InstantLocker {
    /// The quorums of the chain that was generated from this specification. In a chain without signatures they lock
    /// nothing.
    pub fn new(spec: &GeneratedSpec, world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), keys: spec.signatures.then(|| KeyRing::signing(spec.seed)) }
    }

    /// A lock of a transaction, as the quorums sign it when their tip is at `tip`: the one whose index the request id
    /// names, of those that are active 8 blocks below. `None` where no quorum can.
    pub fn lock(&mut self, tip: u32, txid: Txid, inputs: Vec<OutPoint>) -> Option<InstantLock> {
        let (world, keys) = (&self.world, self.keys.as_mut()?);
        let llmq = *world.params().rotated();
        let mut lock = InstantLock {
            version: 1,
            inputs,
            txid,
            cyclehash: world.block_hash(tip - tip % llmq.dkg_interval)?,
            signature: BLSSignature::default(),
        };
        let request_id = lock.request_id();
        let index = signing_index(llmq.signing_active_quorum_count, &request_id);
        let names = GetMnListDiff {
            base_block_hash: world.block_hash(0)?,
            block_hash: world.block_hash(tip.checked_sub(SIGNING_DEPTH)?)?,
        };
        let active = ActiveChain::new(Arc::clone(world), tip).mn_list_diff(&names).ok()?.new_quorums;
        let quorum = active.into_iter().find(|quorum| {
            let of_index = quorum.quorum_index.and_then(|index| u32::try_from(index).ok()) == Some(index);
            quorum.llmq_type == llmq.llmq_type && of_index
        })?;
        if !keys.make_until(&quorum.quorum_public_key) {
            return None;
        }
        let signed = hash_of(&quorum, &[&request_id, txid.as_byte_array()]);
        lock.signature = keys.sign(&quorum.quorum_public_key, &signed, &mut fastrand::Rng::with_seed(0));
        Some(lock)
    }

    /// A lock of a transaction that is made up of a number: equal numbers give the same transaction.
    pub fn lock_number(&mut self, tip: u32, number: u64) -> Option<InstantLock> {
        let hash = |what: &[u8]| sha256d::hash(&[what, &number.to_le_bytes()].concat()).to_byte_array();
        let input = OutPoint { txid: Txid::from_byte_array(hash(b"input")), vout: 0 };
        self.lock(tip, Txid::from_byte_array(hash(b"transaction")), vec![input])
    }
}

/// Which of a cycle's quorums signs (Dash Core `SelectQuorumForSigning`, llmq/signing_utils.cpp): as many bits below the
/// highest of the id as it takes to number them.
fn signing_index(quorums: u32, request_id: &[u8; 32]) -> u32 {
    let bits = quorums.ilog2();
    let [.., a, b, c, d] = request_id;
    (u32::from_le_bytes([*a, *b, *c, *d]) >> (31 - bits)) & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_stands_just_below_the_highest_bit() {
        let index = |top_byte, quorums| {
            let mut request_id = [0xff; 32];
            request_id[31] = top_byte;
            signing_index(quorums, &request_id)
        };
        assert_eq!([0b0000_0011, 0b0111_1100, 0b1000_0100].map(|byte| index(byte, 32)), [0, 31, 1]);
        assert_eq!([0b0011_1111, 0b0100_0000, 0b1100_0000].map(|byte| index(byte, 2)), [0, 1, 1]);
    }

    #[test]
    fn a_lock_is_of_its_transaction_and_its_cycle() {
        let spec = GeneratedSpec { masternodes: 8, cycles: 2, seed: 5, ..GeneratedSpec::DEFAULT };
        let world = Arc::new(World::generate(&spec));
        let mut locker = InstantLocker::new(&spec, &world);
        let [one, other] = [1, 2].map(|number| locker.lock_number(world.tip(), number).unwrap());
        assert_ne!(one.signature, other.signature);
        assert!(one.cyclehash == other.cyclehash && !one.cyclehash.is_null());
        let unsigned = GeneratedSpec { signatures: false, ..spec };
        assert_eq!(InstantLocker::new(&unsigned, &world).lock_number(world.tip(), 1), None);
    }
}
