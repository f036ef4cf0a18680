use std::collections::BTreeSet;
use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use futures::FutureExt;
use futures::future::BoxFuture;
use spv_masternodes::verification::BlsScheme;
use tokio::sync::broadcast;

use super::Client;
use super::error::{LockError, LookupError};
use super::quorum::{Signer, first_that_signed};
use crate::session::{Judge, LockFate};

/// The version of InstantSend locks that name their cycle, the only one that nodes make.
const VERSION: u8 = 1;

/// An InstantSend lock whose signature by one of the quorums that may sign it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedInstantLock {
    /// The lock.
    pub lock: InstantLock,
    /// The quorum that signed it.
    pub signer: Signer,
}

/// The quorums that may have signed an InstantSend lock.
struct Candidates {
    /// Those that are known and verified, the likelier one first.
    signers: Vec<Signer>,
    /// Why one is not among them.
    error: Option<LookupError>,
    /// Height and hash of the block from which on no others are to come; `None` where it is not stored.
    decided_by: Option<(u32, BlockHash)>,
    /// Why there may be another one above the stored tip.
    open: Option<LookupError>,
}

impl Client {
    /// Returns the quorums that may have signed an InstantSend lock with the cycle that begins with the block
    /// `cycle_hash`: that of the cycle itself first, then that of the cycle before, which signs until the new ones are
    /// mined. One or two, the ones that are known and verified. Where nothing rotates, the one quorum with this hash.
    ///
    /// # Errors
    /// When the block begins no cycle of the stored chain, or neither quorum is known and verified: then why not the
    /// first.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn instant_lock_signers(
        &self,
        request_id: [u8; 32],
        cycle_hash: BlockHash,
    ) -> Result<Vec<Signer>, LookupError> {
        let Candidates { signers, error, .. } = self.instant_lock_candidates(request_id, cycle_hash).await?;
        match error {
            Some(error) if signers.is_empty() => Err(error),
            _ => Ok(signers),
        }
    }

    /// Checks an InstantSend lock, and returns the quorum that signed it.
    ///
    /// # Errors
    /// When the lock is wrong, or it cannot be told from what is stored who has to sign it. Until the stored tip has
    /// passed the mining window of the lock's cycle, no signature is called wrong: it may be that of a quorum that is
    /// mined in a block which is not stored yet.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn verify_instant_lock(&self, lock: &InstantLock) -> Result<Signer, LockError> {
        self.check_instant_lock(lock).await.map_err(|(error, _)| error)
    }

    /// Returns a receiver of the InstantSend locks that nodes send while [`follow`](Self::follow) runs, each verified,
    /// from now on. `None` unless the configuration asks for them (`sync.instant_locks`).
    ///
    /// Locks come in no particular order. A transaction may come again when thousands of others came in between, or with
    /// the hash of the next cycle, which the signature does not cover. A receiver
    /// that is more than 256 locks behind is told how many it has missed. A lock whose quorum is not verified yet waits
    /// for it for at most an hour; of one node, at most 256 locks wait.
    pub fn instant_locks(&self) -> Option<broadcast::Receiver<Arc<VerifiedInstantLock>>> {
        self.config().sync.instant_locks.then(|| self.shared.instant_locks.subscribe())
    }

    /// Verifies a lock; where it is wrong, the error comes with the block that decides which quorums may sign it.
    async fn check_instant_lock(
        &self,
        lock: &InstantLock,
    ) -> Result<Signer, (LockError, Option<(u32, BlockHash)>)> {
        check_form(lock).map_err(|error| (error, None))?;
        let request_id = lock.request_id();
        let candidates = self.instant_lock_candidates(request_id, lock.cyclehash).await;
        let Candidates { signers, error, decided_by, open } =
            candidates.map_err(|error| (error.into(), None))?;
        let (txid, signature) = (lock.txid, lock.signature);
        // Off the runtime: a pairing takes milliseconds.
        let check =
            self.read(move |_| Ok(first_that_signed(signers, &request_id, txid.as_byte_array(), &signature)));
        let wrong = match check.await.map_err(|error| (error.into(), None))? {
            Ok(signer) => return Ok(signer),
            Err(wrong) => wrong,
        };
        // As long as one of those who may have signed is not known, nothing is wrong.
        Err(match error.or(open) {
            Some(error) => (error.into(), None),
            None => (wrong.into(), decided_by),
        })
    }

    async fn instant_lock_candidates(
        &self,
        request_id: [u8; 32],
        cycle_hash: BlockHash,
    ) -> Result<Candidates, LookupError> {
        let rotated = *self.params().rotated();
        if !rotated.rotated {
            return self.named_candidate(cycle_hash).await;
        }
        let interval = rotated.dkg_interval;
        let cycle_base = self.read(move |store| store.height_of(&cycle_hash)).await?;
        let (tip, _) = self.tip().await?.ok_or(LookupError::Empty)?;
        // Headers above the tip are not proven.
        let proven = cycle_base.filter(|&height| height <= tip);
        let height = proven.ok_or(LookupError::UnknownCycle { cycle_hash })?;
        if height % interval != 0 {
            return Err(LookupError::NoCycle { cycle_hash, height, interval });
        }
        // As nodes do: the quorums at the end of the cycle, or as of now where it has not ended, and one cycle before.
        let newest = tip.min(height + interval - 1);
        let scheme = BlsScheme::after(height, self.params());
        let (mut signers, mut first_error, mut nobody) = (Vec::<Signer>::new(), None, None);
        for at in [Some(newest), newest.checked_sub(interval)].into_iter().flatten() {
            let mut found = vec![self.selected(self.params().rotated_llmq, at, &request_id, scheme).await];
            if let Some(Err(error)) = found.first()
                && error.is_not_stored()
            {
                // One of these may be the one.
                found.extend(self.selected_nearby(&rotated, at, &request_id, scheme).await?);
            }
            for found in found {
                match found {
                    Ok(signer) if signers.iter().any(|known| known.is_same(&signer)) => {}
                    Ok(signer) => signers.push(signer),
                    // That is known too: nobody of that cycle signs this.
                    Err(error @ LookupError::NoQuorum { .. }) => _ = nobody.get_or_insert(error),
                    Err(error) => _ = first_error.get_or_insert(error),
                }
            }
        }
        // From then on its quorums are those that are there, on every chain with the same block.
        let settled = height + rotated.mining_window_end;
        let block = self.read(move |store| store.block_hash(settled)).await?;
        Ok(Candidates {
            error: first_error.or_else(|| nobody.filter(|_| signers.is_empty())),
            signers,
            decided_by: block.map(|hash| (settled, hash)),
            open: (newest < settled).then_some(LookupError::AboveTip { height: settled, tip }),
        })
    }

    /// Where nothing rotates, a lock has the hash of its quorum in the place of its cycle's (Dash Core
    /// `ProcessPendingInstantSendLocks`, instantsend/).
    async fn named_candidate(&self, quorum_hash: BlockHash) -> Result<Candidates, LookupError> {
        let quorum = self.find_quorum(self.params().rotated_llmq, quorum_hash.into()).await?;
        let scheme = BlsScheme::after(quorum.height, self.params());
        let decided_by = Some((quorum.height, quorum.block_hash));
        let (signers, error) = match Signer::new(quorum, scheme) {
            Ok(signer) => (vec![signer], None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Ok(Candidates { signers, error, decided_by, open: None })
    }
}

/// What is wrong on any chain (Dash Core `InstantSendLock::TriviallyValid`, instantsend/lock.cpp). The signature does not
/// cover the version, so an unknown one would be whatever a peer likes.
fn check_form(lock: &InstantLock) -> Result<(), LockError> {
    let mut seen = BTreeSet::new();
    let is_spent_once =
        |input: &dashcore::blockdata::transaction::OutPoint| seen.insert((input.txid, input.vout));
    if lock.version != VERSION {
        return Err(LockError::UnknownVersion { version: lock.version });
    }
    if lock.txid.is_null() || lock.inputs.is_empty() || !lock.inputs.iter().all(is_spent_once) {
        return Err(LockError::Form);
    }
    Ok(())
}

impl Judge for Client {
    fn judge(&self, lock: InstantLock) -> BoxFuture<'_, LockFate> {
        async move {
            match self.check_instant_lock(&lock).await {
                Ok(signer) => {
                    tracing::debug!(txid = %lock.txid, "InstantSend lock");
                    // Fails only where nobody listens.
                    self.shared.instant_locks.send(Arc::new(VerifiedInstantLock { lock, signer })).ok();
                    LockFate::Verified
                }
                Err((error @ LockError::Lookup(LookupError::Store(_)), _)) => {
                    tracing::warn!(%error, "an InstantSend lock could not be checked");
                    LockFate::Unknown
                }
                // Lists of the next blocks may tell, and a quorum be checked with the next tip.
                Err((LockError::Lookup(error), _))
                    if error.is_transient()
                        || error.is_not_stored()
                        || matches!(error, LookupError::QuorumUnverified { .. }) =>
                {
                    LockFate::Unknown
                }
                Err((error @ LockError::Signature(_), decided_by @ Some(_))) => {
                    LockFate::Wrong { decided_by, reason: error.to_string() }
                }
                Err((error @ (LockError::Form | LockError::Lookup(LookupError::NoCycle { .. })), _)) => {
                    LockFate::Wrong { decided_by: None, reason: error.to_string() }
                }
                Err(_) => LockFate::Undecidable,
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use dashcore::Txid;
    use dashcore::blockdata::transaction::OutPoint;
    use dashcore::bls_sig_utils::BLSSignature;

    use super::*;

    #[test]
    fn what_no_node_accepts_on_any_chain_is_found_without_a_lookup() {
        let input = |vout| OutPoint { txid: Txid::from_byte_array([1; 32]), vout };
        let lock = InstantLock {
            version: 1,
            inputs: vec![input(0), input(1)],
            txid: Txid::from_byte_array([2; 32]),
            cyclehash: BlockHash::all_zeros(),
            signature: BLSSignature::default(),
        };
        assert!(check_form(&lock).is_ok());
        for wrong in [
            InstantLock { inputs: Vec::new(), ..lock.clone() },
            InstantLock { inputs: vec![input(0), input(1), input(0)], ..lock.clone() },
            InstantLock { txid: Txid::all_zeros(), ..lock.clone() },
        ] {
            assert!(matches!(check_form(&wrong), Err(LockError::Form)), "{wrong:?}");
        }
        let later = InstantLock { version: 2, ..lock };
        assert!(matches!(check_form(&later), Err(LockError::UnknownVersion { version: 2 })));
    }
}
