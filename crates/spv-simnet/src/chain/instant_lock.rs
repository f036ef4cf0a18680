use std::sync::Arc;

use dashcore::Txid;
use dashcore::blockdata::transaction::OutPoint;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::message_sml::GetMnListDiff;

use super::ActiveChain;
use crate::generate::{GeneratedSpec, KeyRing, SIGNING_DEPTH, hash_of};
use crate::world::World;

impl GeneratedSpec {
    /// A lock of a transaction, as the quorums of the chain with this specification sign it when their tip is at `tip`:
    /// `None` where no quorum can, and in a chain without signatures.
    pub fn instant_lock(
        &self,
        world: &Arc<World>,
        tip: u32,
        txid: Txid,
        inputs: Vec<OutPoint>,
    ) -> Option<InstantLock> {
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
        let keys = KeyRing::again(self.seed, &quorum.quorum_public_key).filter(|_| self.signatures)?;
        let signed = hash_of(&quorum, &[&request_id, txid.as_byte_array()]);
        lock.signature = keys.sign(&quorum.quorum_public_key, &signed, &mut fastrand::Rng::with_seed(0));
        Some(lock)
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
        let lock =
            |txid| spec.instant_lock(&world, world.tip(), Txid::from_byte_array([txid; 32]), Vec::new());
        let [one, other] = [1, 2].map(|txid| lock(txid).unwrap());
        assert_ne!(one.signature, other.signature);
        assert!(one.cyclehash == other.cyclehash && !one.cyclehash.is_null());
        let unsigned = GeneratedSpec { signatures: false, ..spec };
        assert_eq!(unsigned.instant_lock(&world, world.tip(), one.txid, Vec::new()), None);
    }
}
