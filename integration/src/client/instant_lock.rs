use dashcore::BlockHash;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use spv_masternodes::verification::{BlsScheme, SignatureError};

use super::Client;
use super::error::{LockError, LookupError};
use super::quorum::Signer;

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
        let (signers, error) = self.instant_lock_candidates(request_id, cycle_hash).await?;
        match error {
            Some(error) if signers.is_empty() => Err(error),
            _ => Ok(signers),
        }
    }

    /// Checks an InstantSend lock, and returns the quorum that signed it.
    ///
    /// # Errors
    /// When the lock is wrong, or it cannot be told from what is stored who has to sign it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn verify_instant_lock(&self, lock: &InstantLock) -> Result<Signer, LockError> {
        let request_id = lock.request_id();
        let (signers, error) = self.instant_lock_candidates(request_id, lock.cyclehash).await?;
        let mut wrong = SignatureError::Wrong;
        for signer in signers {
            match signer.verify(&request_id, lock.txid.as_byte_array(), &lock.signature) {
                Ok(()) => return Ok(signer),
                Err(error) => wrong = error,
            }
        }
        // As long as one of those who may have signed is not known, nothing is wrong.
        Err(error.map_or(LockError::Signature(wrong), LockError::Lookup))
    }

    /// Also says why one is not among them.
    async fn instant_lock_candidates(
        &self,
        request_id: [u8; 32],
        cycle_hash: BlockHash,
    ) -> Result<(Vec<Signer>, Option<LookupError>), LookupError> {
        if !self.params().rotated().rotated {
            return self.named_candidate(cycle_hash).await;
        }
        let interval = self.params().rotated().dkg_interval;
        let cycle_base = self.read(move |store| store.height_of(&cycle_hash)).await?;
        let tip = self.tip().await?.map_or(0, |(tip, _)| tip);
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
            match self.selected(self.params().rotated_llmq, at, &request_id, scheme).await {
                Ok(signer) if signers.iter().any(|known| known.quorum().entry == signer.quorum().entry) => {}
                Ok(signer) => signers.push(signer),
                // That is known too: nobody of that cycle signs this.
                Err(error @ LookupError::NoQuorum { .. }) => {
                    nobody.get_or_insert(error);
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        let error = first_error.or_else(|| nobody.filter(|_| signers.is_empty()));
        Ok((signers, error))
    }

    /// Where nothing rotates, a lock has the hash of its quorum in the place of its cycle's (Dash Core
    /// `ProcessPendingInstantSendLocks`, instantsend/).
    async fn named_candidate(
        &self,
        quorum_hash: BlockHash,
    ) -> Result<(Vec<Signer>, Option<LookupError>), LookupError> {
        let quorum = self.find_quorum(self.params().rotated_llmq, quorum_hash.into()).await?;
        let scheme = BlsScheme::after(quorum.height, self.params());
        Ok(match Signer::new(quorum, scheme) {
            Ok(signer) => (vec![signer], None),
            Err(error) => (Vec::new(), Some(error)),
        })
    }
}
