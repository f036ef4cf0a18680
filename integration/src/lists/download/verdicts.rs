//! What follows from the verdict on an answer, and from every failure.

use std::net::SocketAddr;
use std::time::Duration;

use spv_recovery::{Action, Attempt, FailureKind, GiveUpReason, History};
use spv_scheduler::Priority;

use super::{ListDownload, Stage, Task, Verified, WorkId};
use crate::address::network_group;
use crate::chain::WORK_BLOCK_OFFSET;
use crate::clock::now;
use crate::fleet::Outcome;
use crate::lists::failure::DownloadFailure;
use crate::lists::metrics;
use crate::verify::{AnswerError, Verdict};

impl ListDownload<'_> {
    pub(super) fn judged(
        &mut self,
        id: WorkId,
        answer: Verified,
        verdict: Verdict,
    ) -> Result<(), DownloadFailure> {
        match verdict {
            Ok(applied) => {
                self.peers.record(answer.peer, Outcome::Accepted);
                // It may have become of use only now.
                self.peers.settle_credit(answer.peer);
                self.tally.lists += applied.lists as u64;
                self.progress.lists_proven(applied.lists as u64);
                let Some(task) = self.open.remove(&id) else { return Ok(()) };
                let cycles = task.work.cycles.iter().map(|block| block.height + WORK_BLOCK_OFFSET);
                self.snapshots_from.extend(cycles.map(|cycle_base| (cycle_base, answer.peer)));
                self.tally.recovered += u64::from(!task.strategies.is_empty());
                self.tally.recovered_by_first_strategy += u64::from(task.strategies.len() == 1);
                self.refute(&task, &answer.digest);
                let connected = self.peers.connected();
                let liars = self.peers.recovery().on_verified(
                    &task.history,
                    &answer.peer,
                    &answer.digest,
                    &connected,
                    now(),
                );
                for liar in liars {
                    tracing::info!(peer = %liar, "disconnecting: another copy of its answer verifies");
                    self.peers.ban(liar);
                }
                Ok(())
            }
            Err(error) => {
                tracing::info!(peer = %answer.peer, %error, "wrong answer");
                answer.permit.reject();
                self.peers.record(answer.peer, Outcome::Invalid);
                self.tally.wasted_bytes += answer.bytes;
                let attempt = Attempt::new(answer.peer, &error, now())
                    .with_digest(answer.digest)
                    .in_group(network_group(answer.peer));
                self.failed(id, attempt, Some(error))
            }
        }
    }

    /// Now that a true copy is known, puts earlier answers that were wrong on the record of those who sent them.
    fn refute(&mut self, task: &Task, true_copy: &[u8; 32]) {
        let wanted = &task.work.wanted;
        let doubtful = wanted.iter().filter_map(|block| self.doubtful.remove(&block.height)).flatten();
        let senders: Vec<SocketAddr> =
            doubtful.chain(wrong_answers(&task.history, Some(true_copy))).collect();
        for peer in senders {
            self.peers.record(peer, Outcome::Refuted);
        }
    }

    /// Lets the recovery policy decide what becomes of work that failed.
    pub(super) fn failed(
        &mut self,
        id: WorkId,
        attempt: Attempt<SocketAddr>,
        error: Option<AnswerError>,
    ) -> Result<(), DownloadFailure> {
        let Some(mut task) = self.open.remove(&id) else { return Ok(()) };
        if let Stage::InFlight(ticket) = task.stage {
            self.queue.finish(ticket);
        }
        let peer = attempt.peer;
        task.history.record(attempt);
        let height = task.work.wanted.first().map_or(0, |block| block.height);
        let connected = self.peers.connected();
        let decision = self.peers.recovery().on_failure(&task.history, &connected, now());
        if let Some(peer) = peer {
            self.peers.settle_credit(peer);
        }
        tracing::debug!(height, strategy = decision.strategy, attempt = decision.attempt, "recovering");
        if task.strategies.last() != Some(&decision.strategy) {
            task.strategies.push(decision.strategy);
        }
        match decision.action {
            Action::Retry { after, avoid, alone } => {
                self.tally.retried += 1;
                // Nothing is sent before a peer comes, and there is no reason to let that one wait.
                let after = if connected.is_empty() { Duration::ZERO } else { after };
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
                    DownloadFailure::Exhausted { height, attempts }
                }
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
