use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use dashcore::ChainParams;
use spv_masternodes::members::MembersError;
use spv_masternodes::verification::{QuorumCandidate, QuorumError, QuorumVerifier};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::evidence::{MembersSource, Membership};
use super::metrics;
use super::survey::{Candidate, Findings};
use crate::chain::HeaderChain;
use crate::store::{QuorumRow, Store, StoreError, Unverified};
use crate::verify::Verification;
use crate::verify::{Stage, Stages};

/// Quorums whose signatures are checked together and whose findings are stored by one transaction.
const BATCH: usize = 64;

/// Operator keys kept decompressed per thread; networks have fewer masternodes.
const CACHED_KEYS: NonZeroUsize = NonZeroUsize::new(8_192).expect("not zero");

/// Computes members and checks signatures. Blocks; memory is bounded by a few batches.
pub(crate) struct Prover<'a> {
    pub(crate) store: &'a Store,
    pub(crate) params: &'a ChainParams,
    /// The chain that the quorums are of.
    pub(crate) chain: &'a HeaderChain,
    pub(crate) verification: Verification,
    pub(crate) stages: &'a Stages,
    /// Ends the work early: what was found until then is stored.
    pub(crate) cancel: &'a CancellationToken,
    /// Told how many more quorums were judged.
    pub(crate) on_judged: &'a (dyn Fn(u64) + Sync),
}

/// What proving came to.
#[derive(Debug, Default)]
pub(crate) struct Proving {
    /// What was found of each quorum.
    pub(crate) findings: Findings,
    /// Base heights of the cycles whose snapshots, on the word of a peer, led to quorums that fail.
    pub(crate) suspects: BTreeSet<u32>,
}

/// A quorum with its members.
struct Prepared {
    candidate: Candidate,
    membership: Membership,
}

impl Prover<'_> {
    /// Proves quorums, which are given in ascending order of their base height.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn prove(&self, candidates: Vec<Candidate>) -> Result<Proving, StoreError> {
        if candidates.is_empty() {
            return Ok(Proving::default());
        }
        if self.verification == Verification::Inline {
            return self.prove_here(candidates);
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (batches, incoming) = bounded(cores);
        thread::scope(|scope| {
            let start = |_| thread::Builder::new().spawn_scoped(scope, || self.check_all(&incoming)).ok();
            let workers: Vec<_> = (0..cores).map_while(start).collect();
            if workers.is_empty() {
                // The system starts no more threads.
                return self.prove_here(candidates);
            }
            let mut proving = Proving::default();
            let prepared = self.prepare(candidates, |batch| Ok(batches.send(batch).is_ok()));
            drop(batches);
            for worker in workers {
                match worker.join() {
                    Ok(checked) => proving.merge(checked?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            proving.merge(prepared?);
            Ok(proving)
        })
    }

    /// The same on this thread alone.
    fn prove_here(&self, candidates: Vec<Candidate>) -> Result<Proving, StoreError> {
        let (mut proving, mut verifier) = (Proving::default(), self.verifier());
        let mut check = |batch| {
            self.check(&mut verifier, batch, &mut proving)?;
            Ok(true)
        };
        let without_members = self.prepare(candidates, &mut check)?;
        proving.merge(without_members);
        Ok(proving)
    }

    /// Checks of quorums whose members cannot be known what can be: that their own key signed their commitment.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn check_quorum_signatures(&self, unlocated: &[Candidate]) -> Result<Proving, StoreError> {
        let mut proving = Proving::default();
        let verifier = self.verifier();
        for batch in unlocated.chunks(BATCH) {
            if self.cancel.is_cancelled() {
                break;
            }
            let started = Instant::now();
            let checked = batch.iter().map(|candidate| {
                candidate.unverified(match verifier.check_quorum_signature(&candidate.entry) {
                    Ok(()) => Unverified::SignedByQuorum,
                    Err(error) => unverified_because(&error),
                })
            });
            let rows: Vec<QuorumRow> = checked.collect();
            self.stages.record(Stage::QuorumSignature, rows.len(), started);
            self.judged(&rows, &mut proving)?;
        }
        Ok(proving)
    }

    fn verifier(&self) -> QuorumVerifier {
        QuorumVerifier::new(self.params.clone(), CACHED_KEYS)
    }

    /// Computes members and passes batches on, until `pass_on` says that nobody takes them any more. Returns what
    /// became of the quorums without members.
    fn prepare(
        &self,
        candidates: Vec<Candidate>,
        mut pass_on: impl FnMut(Vec<Prepared>) -> Result<bool, StoreError>,
    ) -> Result<Proving, StoreError> {
        let mut without_members = Proving::default();
        let mut source = MembersSource::new(self.store, self.params, self.chain);
        let mut candidates = candidates.into_iter();
        loop {
            let started = Instant::now();
            let (mut batch, mut rows) = (Vec::new(), Vec::new());
            for candidate in candidates.by_ref().take(BATCH) {
                if self.cancel.is_cancelled() {
                    return Ok(without_members);
                }
                match source.members(&candidate)? {
                    Ok(membership) => batch.push(Prepared { candidate, membership }),
                    Err(error) => {
                        let row = candidate.unverified(without_members_because(error));
                        if row.finding().is_failure() {
                            without_members.suspects.extend(source.rests_on(&candidate));
                        }
                        rows.push(row);
                    }
                }
            }
            self.store.save_snapshots(&source.take_computed())?;
            self.judged(&rows, &mut without_members)?;
            if batch.is_empty() && rows.is_empty() {
                return Ok(without_members);
            }
            self.stages.record(Stage::Members, batch.len() + rows.len(), started);
            if !batch.is_empty() && !pass_on(batch)? {
                return Ok(without_members);
            }
        }
    }

    fn check_all(&self, incoming: &Receiver<Vec<Prepared>>) -> Result<Proving, StoreError> {
        let mut verifier = self.verifier();
        let mut proving = Proving::default();
        for batch in incoming {
            if self.cancel.is_cancelled() {
                break;
            }
            self.check(&mut verifier, batch, &mut proving)?;
        }
        Ok(proving)
    }

    fn check(
        &self,
        verifier: &mut QuorumVerifier,
        batch: Vec<Prepared>,
        proving: &mut Proving,
    ) -> Result<(), StoreError> {
        let started = Instant::now();
        let candidates = batch.iter().map(|Prepared { candidate, membership }| QuorumCandidate {
            entry: candidate.entry.clone(),
            base_height: candidate.base_height,
            members: membership.members.clone(),
        });
        let results = verifier.verify(candidates.collect());
        self.stages.record(Stage::Signatures, results.len(), started);
        let mut rows = Vec::with_capacity(batch.len());
        for (Prepared { candidate, membership }, result) in batch.into_iter().zip(results) {
            rows.push(match &result {
                Ok(verified) if membership.rests_on.is_empty() => QuorumRow::verified(verified),
                Ok(verified) => QuorumRow::verified_by_signers(verified),
                Err(error) => {
                    tracing::debug!(
                        llmq_type = %candidate.entry.llmq_type, quorum_hash = %candidate.entry.quorum_hash,
                        base_height = candidate.base_height, %error, "quorum does not verify"
                    );
                    proving.suspects.extend(&membership.rests_on);
                    candidate.unverified(unverified_because(error))
                }
            });
        }
        self.judged(&rows, proving)
    }

    /// Stores what was found, before anybody is told.
    fn judged(&self, rows: &[QuorumRow], proving: &mut Proving) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.store.save_quorums(rows)?;
        let wrong: Vec<_> = rows.iter().filter(|row| row.finding().is_failure()).collect();
        if let Some(row) = wrong.first() {
            let (reason, first) = (row.finding().as_str(), row.quorum_hash());
            tracing::warn!(quorums = wrong.len(), %first, llmq_type = %row.llmq_type(), reason, "quorums do not verify");
        }
        for row in rows {
            metrics::quorum_judged(row.finding());
            proving.findings.insert((row.llmq_type(), row.quorum_hash()), row.finding());
        }
        (self.on_judged)(rows.len() as u64);
        Ok(())
    }
}

impl Proving {
    pub(crate) fn merge(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.suspects.extend(other.suspects);
    }
}

fn without_members_because(error: MembersError) -> Unverified {
    match error {
        MembersError::MissingList { .. } => Unverified::MissingList,
        MembersError::MissingSnapshot { .. } => Unverified::MissingSnapshot,
        _ => Unverified::WrongMembers,
    }
}

fn unverified_because(error: &QuorumError) -> Unverified {
    match error {
        QuorumError::WrongSignature { .. } | QuorumError::MalformedSignature { .. } => {
            Unverified::WrongSignature
        }
        _ => Unverified::WrongCommitment,
    }
}
