//! ChainLocks and InstantSend locks that a node announces and serves.

use bitcoin_hashes::sha256d;
use dashcore::BlockHash;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::framing::Frame;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::Inventory;

use super::Node;
use crate::chain::ActiveChain;
use crate::faults::{InstantLockAnnouncements, LockAnnouncements};

/// The ChainLock that is announced with the tip of this chain.
pub(super) fn announced_chain_lock(chain: &ActiveChain, node: &Node) -> Option<Inventory> {
    let kind = node.config.faults.locks;
    let height = match kind {
        LockAnnouncements::None => return None,
        LockAnnouncements::Early => chain.tip() + 1,
        _ => chain.tip(),
    };
    let mut lock = chain.world().chain_lock(height)?;
    if kind == LockAnnouncements::Forged {
        let mut signature = *lock.signature.as_bytes();
        signature[95] ^= 1;
        lock.signature = BLSSignature::from_bytes(signature);
    }
    Some(Inventory::ChainLock(node.locks.lock().remember(lock)))
}

/// What the node announces of an InstantSend lock that it has.
pub(super) fn announced_instant_lock(lock: InstantLock, node: &Node) -> Option<Inventory> {
    let lock = altered(node.config.faults.instant_locks, lock, &node.chain())?;
    Some(Inventory::InstantLock(node.instant_locks.lock().remember(lock)))
}

/// Serves the locks that were announced (Dash Core `ProcessGetData`, net_processing.cpp).
pub(super) fn served_locks(frame: &Frame, node: &Node) -> Vec<NetworkMessage> {
    let Ok(Some(NetworkMessage::GetData(wanted))) = NetworkMessage::decode(frame.command, &frame.payload)
    else {
        return Vec::new();
    };
    let (locks, instant_locks) = (node.locks.lock(), node.instant_locks.lock());
    let copies = if node.config.faults.locks == LockAnnouncements::Twice { 2 } else { 1 };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for entry in wanted {
        match entry {
            Inventory::ChainLock(name) if let Some(lock) = locks.get(&name) => {
                found.extend((0..copies).map(|_| NetworkMessage::ClSig(lock.clone())));
            }
            Inventory::InstantLock(name) if let Some(lock) = instant_locks.get(&name) => {
                found.push(NetworkMessage::IsdLock(lock.clone()));
            }
            _ => missing.push(entry),
        }
    }
    if !missing.is_empty() {
        found.push(NetworkMessage::NotFound(missing));
    }
    found
}

/// What a node makes of a lock; `None` where it announces none.
fn altered(
    kind: InstantLockAnnouncements,
    mut lock: InstantLock,
    chain: &ActiveChain,
) -> Option<InstantLock> {
    let world = chain.world();
    let interval = world.params().rotated().dkg_interval;
    let cycle = world.height(&lock.cyclehash)?;
    match kind {
        InstantLockAnnouncements::Honest => {}
        InstantLockAnnouncements::None => return None,
        // The other one of the two points with this coordinate, so that only the pairing shows it.
        InstantLockAnnouncements::Forged => {
            let mut signature = *lock.signature.as_bytes();
            signature[0] ^= SIGN_BIT;
            lock.signature = BLSSignature::from_bytes(signature);
        }
        InstantLockAnnouncements::Genesis => lock.cyclehash = world.hash_at(0),
        InstantLockAnnouncements::Unknown => {
            let name = sha256d::hash(lock.txid.as_byte_array());
            lock.cyclehash = BlockHash::from_byte_array(name.to_byte_array());
        }
        InstantLockAnnouncements::NoCycle => lock.cyclehash = world.block_hash(cycle.checked_sub(1)?)?,
        InstantLockAnnouncements::Future => lock.cyclehash = world.block_hash(cycle + interval)?,
    }
    Some(lock)
}

/// The bit of a basic signature that tells the two points with one coordinate apart.
const SIGN_BIT: u8 = 0x20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::InstantLocker;
    use crate::generate::GeneratedSpec;
    use crate::world::World;

    #[test]
    fn each_kind_of_a_wrong_lock_is_wrong_in_its_own_way() {
        let spec = GeneratedSpec { masternodes: 8, cycles: 3, seed: 5, ..GeneratedSpec::DEFAULT };
        let world = Arc::new(World::generate(&spec));
        let tip = world.tip() - 30;
        let chain = ActiveChain::new(world.clone(), tip);
        let lock = InstantLocker::new(&spec, &world).lock_number(tip, 1).unwrap();
        let altered_by = |kind| altered(kind, lock.clone(), &chain);
        let height = |kind| world.height(&altered_by(kind).unwrap().cyclehash);
        assert_eq!(altered_by(InstantLockAnnouncements::Honest), Some(lock.clone()));
        assert_eq!(altered_by(InstantLockAnnouncements::None), None);
        assert_eq!(height(InstantLockAnnouncements::Genesis), Some(0));
        assert_eq!(height(InstantLockAnnouncements::Unknown), None);
        assert_eq!(height(InstantLockAnnouncements::NoCycle).unwrap() % 24, 23);
        assert!(height(InstantLockAnnouncements::Future).unwrap() > tip);
        assert_ne!(altered_by(InstantLockAnnouncements::Forged).unwrap().signature, lock.signature);
    }
}
