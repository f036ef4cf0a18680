//! What follows from the verdict on an answer, and from every failure.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use spv_recovery::{Action, Answered, Attempt, FailureKind, GiveUpReason, History};
use spv_scheduler::Priority;

use dashcore::params::WORK_BLOCK_DEPTH;

use super::{ListDownload, Stage, Task, Verified, WorkId, enqueue};
use crate::address::network_group;
use crate::clock::now;
use crate::fleet::Outcome;
use crate::lists::failure::DownloadFailure;
use crate::lists::metrics;
use crate::verify::{AnswerError, Verdict, VerifierError};

/// Where some peers have a block and others do not, those who have it are asked as often for its list each.
const TRIES_PER_HOLDER: usize = 3;

/// A block that no connected peer has any more is waited for this long.
const UNHELD_PATIENCE: Duration = Duration::from_secs(5);

/// Where all peers brought what does not verify, those that are still being connected to are waited for at most this long:
/// a few attempts to connect.
const UNMET_PATIENCE: Duration = Duration::from_secs(20);

/// So often the same peers are asked meanwhile.
const UNMET_RECHECK: Duration = Duration::from_secs(1);

impl ListDownload<'_> {
    pub(super) fn judged(
        &mut self,
        id: WorkId,
        answer: Verified,
        verdict: Verdict,
    ) -> Result<(), DownloadFailure> {
        match verdict {
            Ok(applied) => {
                answer.permit.accept();
                self.peers.record(answer.peer, Outcome::Accepted(answer.kind));
                self.tally.lists += applied.lists as u64;
                self.progress.lists_proven(applied.lists as u64);
                let Some(task) = self.open.remove(&id) else { return Ok(()) };
                let cycles = task.work.cycles.iter().map(|block| block.height + WORK_BLOCK_DEPTH);
                self.snapshots_from.extend(cycles.map(|cycle_base| (cycle_base, answer.peer)));
                self.tally.recovered += u64::from(!task.strategies.is_empty());
                self.tally.recovered_by_first_strategy += u64::from(task.strategies.len() == 1);
                self.refute(&task, &answer.digest);
                self.peers.on_verified(&task.history, answer.peer, &answer.digest);
                Ok(())
            }
            Err(error) => {
                if error.is_of_newer_rules() {
                    // Nobody's fault, unless another copy verifies.
                    tracing::warn!(peer = %answer.peer, %error, "an answer was made by newer rules");
                    drop(answer.permit);
                    if let Some(task) = self.open.get_mut(&id) {
                        task.of_newer_rules.push((answer.peer, answer.kind));
                    }
                } else {
                    self.peers.tell_of_wrong_answer(answer.peer, answer.kind.as_str(), &error);
                    answer.permit.reject();
                    self.peers.record(answer.peer, Outcome::Invalid(answer.kind));
                }
                self.tally.wasted_bytes += answer.bytes;
                self.lost(id);
                let attempt = Attempt::new(answer.peer, &error, now())
                    .with_digest(answer.digest)
                    .in_group(network_group(answer.peer));
                let attempt = if error.is_about_the_data() { attempt } else { attempt.malformed() };
                self.failed(id, attempt, Some((answer.answered, error)))
            }
        }
    }

    /// Asks somebody else, once, for what could not be checked: what makes a check panic may be in the answer.
    pub(super) fn unverified(
        &mut self,
        id: WorkId,
        peer: SocketAddr,
        error: &VerifierError,
    ) -> Result<(), DownloadFailure> {
        match error {
            // The database failed, which ends the sync by another way.
            VerifierError::Stopped => return Ok(()),
            VerifierError::Panicked => {}
        }
        self.lost(id);
        let Some(task) = self.open.get_mut(&id) else { return Ok(()) };
        if task.has_panicked {
            return Err(DownloadFailure::Internal { height: task.work.newest.height });
        }
        task.has_panicked = true;
        task.avoid.insert(peer);
        let rank = Priority::High.in_order(task.work.order());
        task.stage = Stage::Queued(enqueue(&self.queue, id, rank, Duration::ZERO));
        Ok(())
    }

    /// The answer to this work, which had arrived, is of no use.
    fn lost(&self, id: WorkId) {
        let lists = self.open.get(&id).map_or(0, |task| task.work.wanted.len());
        self.progress.lists_lost(lists as u64);
    }

    /// Now that a true copy is known, puts earlier answers that were wrong on the record of those who sent them.
    fn refute(&mut self, task: &Task, true_copy: &[u8; 32]) {
        let wanted = &task.work.wanted;
        let doubtful = wanted.iter().filter_map(|block| self.doubtful.remove(&block.height)).flatten();
        let senders: Vec<SocketAddr> =
            doubtful.chain(wrong_answers(&task.history, Some(true_copy))).collect();
        for &(peer, kind) in task.of_newer_rules.iter().filter(|(peer, _)| senders.contains(peer)) {
            self.peers.record(peer, Outcome::Invalid(kind));
        }
        for peer in senders {
            self.peers.record(peer, Outcome::Refuted);
        }
    }

    /// Whether those alone could do this work who have failed at it again and again, or nobody at all for a while, although
    /// other peers are there: they do not have the block that it is about. The number of attempts, then.
    fn is_unserved(&self, task: &mut Task) -> Option<u32> {
        let holders = self.peers.holders(&task.work.newest);
        if holders.others.is_empty() {
            task.unheld_since = None;
            return None;
        }
        let now = now();
        let tries = |peer: &SocketAddr| {
            task.history.tries().filter(|attempt| attempt.peer.as_ref() == Some(peer)).count()
        };
        let is_given_up = if holders.ready.is_empty() && holders.spent.is_empty() {
            now.duration_since(*task.unheld_since.get_or_insert(now)) >= UNHELD_PATIENCE
        } else {
            task.unheld_since = None;
            holders.ready.iter().all(|peer| tries(peer) >= TRIES_PER_HOLDER)
        };
        is_given_up.then(|| task.history.attempts())
    }

    /// Whether every peer that may have the work's block has been asked.
    fn was_asked_of_all(&self, task: &Task) -> bool {
        self.peers.holders(&task.work.newest).ready.iter().all(|peer| task.history.tried(peer))
    }

    /// Lets the recovery policy decide what becomes of work that failed, perhaps by an answer that proved wrong.
    pub(super) fn failed(
        &mut self,
        id: WorkId,
        attempt: Attempt<SocketAddr>,
        wrong: Option<(Answered, AnswerError)>,
    ) -> Result<(), DownloadFailure> {
        let Some(mut task) = self.open.remove(&id) else { return Ok(()) };
        if let Stage::InFlight(ticket) = task.stage {
            self.queue.finish(ticket);
        }
        if attempt.kind == FailureKind::NoPeer {
            // Whoever it waited for must not be asked any more, or has no room for it.
            task.avoid.extend(attempt.peer);
            task.no_room.extend(attempt.peer);
            if self.peers.serve_lists(task.work.newest, &task.avoid) {
                self.peers.on_given_up();
                task.stage = Stage::Queued(self.enqueue(id, &task.work, Priority::High, Duration::ZERO));
                self.open.insert(id, task);
                return Ok(());
            }
        }
        task.history.record(attempt);
        // Who has not this block cannot serve any of the work's lists.
        let height = task.work.newest.height;
        let (answered, error) = wrong.unzip();
        let mut decision = self.peers.on_failure(&task.history, &task.work.newest, &task.no_room, answered);
        let is_newer = error.as_ref().is_some_and(AnswerError::is_of_newer_rules);
        if is_newer && self.was_asked_of_all(&task) {
            // Where there are few peers, asking them again and again would not make the rules any older.
            let witnesses = wrong_answers(&task.history, None).collect::<BTreeSet<_>>().len();
            let (digest, witnesses) = ([0; 32], u32::try_from(witnesses).unwrap_or(u32::MAX));
            decision.action = Action::GiveUp { reason: GiveUpReason::Unverifiable { digest, witnesses } };
        }
        if matches!(decision.action, Action::GiveUp { reason: GiveUpReason::Unverifiable { .. } })
            && self.peers.may_meet_others()
            && now().duration_since(*task.unverifiable_since.get_or_insert_with(now)) < UNMET_PATIENCE
        {
            decision.action = Action::Retry { after: UNMET_RECHECK, avoid: Vec::new(), alone: false };
        }
        if let Some(attempts) = self.is_unserved(&mut task) {
            // Honest nodes refuse rotation info of a cycle whose lists they serve.
            if task.work.alternative().is_none() {
                return Err(DownloadFailure::Unserved { height, attempts });
            }
            decision.action = Action::Alternative;
        }
        tracing::debug!(
            height,
            kind = task.history.latest().map_or("none", FailureKind::as_str),
            strategy = decision.strategy,
            attempt = decision.attempt,
            "recovering"
        );
        if task.strategies.last() != Some(&decision.strategy) {
            task.strategies.push(decision.strategy);
        }
        match decision.action {
            Action::Retry { after, avoid, alone } => {
                self.tally.retried += 1;
                // Nothing is sent before a peer comes, and there is no reason to let that one wait.
                let after = if self.peers.is_deserted() { Duration::ZERO } else { after };
                metrics::retried(task.work.request.kind());
                task.avoid = avoid.into_iter().collect();
                task.alone = alone;
                // Others wait for the lowest lists, so failed work goes before work of its kind.
                task.stage = Stage::Queued(self.enqueue(id, &task.work, Priority::High, after));
                self.open.insert(id, task);
                Ok(())
            }
            Action::Alternative => {
                if let Some(lowest) = task.work.wanted.first() {
                    let senders = wrong_answers(&task.history, None);
                    self.doubtful.entry(lowest.height).or_default().extend(senders);
                }
                for work in task.work.alternative().into_iter().flatten() {
                    self.backlog.insert((work.order(), WorkId(self.next_id)), work);
                    self.next_id += 1;
                }
                Ok(())
            }
            Action::GiveUp { reason } => Err(match reason {
                GiveUpReason::AttemptsExhausted { attempts } => {
                    let wrong = wrong_answers(&task.history, None).count();
                    let wrong = u32::try_from(wrong).unwrap_or(u32::MAX);
                    DownloadFailure::Exhausted { height, attempts, wrong }
                }
                GiveUpReason::Unverifiable { witnesses, .. } if is_newer => DownloadFailure::NewerRules {
                    height,
                    witnesses,
                    reason: error.map_or_else(String::new, |error| error.to_string()),
                },
                GiveUpReason::Unverifiable { witnesses, .. } => DownloadFailure::Unverifiable {
                    height,
                    witnesses,
                    reason: error.map_or_else(String::new, |error| error.to_string()),
                },
                _ => DownloadFailure::Internal { height },
            }),
        }
    }
}

/// Senders of answers that were malformed or did not verify, but for those who sent the true copy.
fn wrong_answers(
    history: &History<SocketAddr>,
    true_copy: Option<&[u8; 32]>,
) -> impl Iterator<Item = SocketAddr> {
    let wrong = history.tries().filter(move |attempt| {
        attempt.kind == FailureKind::Invalid && (true_copy.is_none() || attempt.digest.as_ref() != true_copy)
    });
    wrong.filter_map(|attempt| attempt.peer)
}
