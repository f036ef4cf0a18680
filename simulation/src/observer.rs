use std::net::SocketAddr;
use std::time::Duration;

use spv_integration::Settings;
use spv_integration::progress::{Phase, Progress, Snapshot};
use spv_integration::store::Store;
use spv_simnet::{InMemoryNetwork, PeerStats};
use tokio::time::Instant;

use crate::accuracy::Sample;
use crate::failure::Failure;
use crate::gauges::Gauges;

/// Virtual time between two looks. Below every wait of the client but for a few, so nothing goes on unseen for long.
const STEP: Duration = Duration::from_millis(20);

/// Time in which work may stand still with nothing to wake it, as far as can be seen from outside.
const FORGOTTEN_AFTER: Duration = Duration::from_millis(200);

/// Work that may be open beyond the window, see the client.
const REPLACEMENTS: u64 = 16;

/// Most answers that one answer over the byte budget can add: the lowest list never waits for bytes.
const LARGEST_ANSWER: u64 = 1024 * 1024;

/// Looks at a run all the time, from outside: what the nodes count, what the client reports, what the store holds.
pub(crate) struct Observer<'a> {
    pub(crate) network: &'a InMemoryNetwork,
    /// Nodes that answer everything.
    pub(crate) honest: &'a [SocketAddr],
    pub(crate) gauges: &'a Gauges,
    pub(crate) store: &'a Store,
    pub(crate) settings: &'a Settings,
    /// Whether nodes have a chain that is given up again, so that the height of the headers may fall.
    pub(crate) has_junk: bool,
    pub(crate) started: Instant,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) samples: Vec<Sample>,
    /// When lists began to be brought, from the start of the run, and when that was over.
    pub(crate) lists_phase: Option<(Duration, Duration)>,
    pub(crate) peaks: Peaks,
    /// Longest time without any request in flight although an honest node could be asked.
    pub(crate) longest_idle: Duration,
}

/// The most there ever was at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Bytes of answers that were expected or not used yet.
    pub held_bytes: u64,
    /// Requests waiting for an answer, over all connections.
    pub pending: u64,
    /// Answers in verification, or waiting there for the list at their base.
    pub verifying: u64,
    /// Work queued.
    pub queued: u64,
}

/// Since when something has not happened.
struct Marks {
    arrivals: u64,
    last_arrival: Instant,
    last_in_flight: Instant,
    last_armed: Instant,
}

impl Observer<'_> {
    /// Follows the run to its end.
    ///
    /// # Errors
    /// The first thing that must not happen.
    pub(crate) async fn watch(self, progress: &Progress) -> Result<Observed, Failure> {
        let mut states = progress.watch();
        let mut last = *states.borrow_and_update();
        let mut changed_at = Instant::now();
        let mut observed = Observed::default();
        let now = Instant::now();
        let mut marks = Marks { arrivals: 0, last_arrival: now, last_in_flight: now, last_armed: now };
        while last.phase != Phase::Done {
            let ended = tokio::select! {
                biased;
                changed = states.changed() => changed.is_err(),
                () = tokio::time::sleep(STEP) => false,
            };
            if ended {
                break;
            }
            let next = *states.borrow_and_update();
            let is_lower = !self.has_junk && next.header_height < last.header_height;
            if next.proven_lists < last.proven_lists || is_lower {
                return Err(Failure::ProgressWentBack);
            }
            if next != last {
                changed_at = Instant::now();
            }
            self.check_bounds(&mut observed.peaks)?;
            self.check_liveness(&next, &mut marks, &mut observed)?;
            let at = self.started.elapsed();
            if next.phase == Phase::Lists && next.planned_lists > 0 {
                observed.samples.push(self.sample(&next, changed_at)?);
                observed.lists_phase.get_or_insert((at, at));
            }
            if let Some((_, ended)) = observed.lists_phase.as_mut().filter(|_| last.phase == Phase::Lists) {
                *ended = at;
            }
            last = next;
        }
        Ok(observed)
    }

    fn sample(&self, state: &Snapshot, changed_at: Instant) -> Result<Sample, Failure> {
        let stored = self.store.lists().map_err(|error| Failure::Error(error.to_string()))?.len();
        Ok(Sample {
            at: self.started.elapsed(),
            shown: (state.proven_lists, state.planned_lists),
            stored: stored as u64,
            left: state.lists_eta.map(|eta| eta.saturating_sub(changed_at.elapsed())),
        })
    }

    fn check_bounds(&self, peaks: &mut Peaks) -> Result<(), Failure> {
        let Settings { window, executor, depth, .. } = self.settings;
        let window = *window as u64;
        let peers = self.network.addresses().len() as u64;
        let [held_bytes, pending, verifying, queued] = [
            "spv_executor_held_bytes",
            "spv_correlation_pending_requests",
            "qrsync_verifying_answers",
            "spv_scheduler_queue_length",
        ]
        .map(|name| self.gauges.count(name));
        for (what, value, bound, peak) in [
            ("held bytes", held_bytes, executor.max_bytes + LARGEST_ANSWER, &mut peaks.held_bytes),
            ("pending requests", pending, peers * depth.get() as u64, &mut peaks.pending),
            ("answers in verification", verifying, window + REPLACEMENTS, &mut peaks.verifying),
            ("queued work", queued, window + REPLACEMENTS, &mut peaks.queued),
        ] {
            *peak = value.max(*peak);
            if value > bound {
                return Err(Failure::OutOfBounds { what, value, bound });
            }
        }
        Ok(())
    }

    fn check_liveness(
        &self,
        state: &Snapshot,
        marks: &mut Marks,
        observed: &mut Observed,
    ) -> Result<(), Failure> {
        let now = Instant::now();
        let stats = self.network.stats();
        let arrivals: u64 = stats.iter().map(|peer: &PeerStats| peer.requests.total()).sum();
        let at_nodes: u64 = stats.iter().map(|peer| peer.in_flight).sum();
        let in_flight = at_nodes + self.gauges.count("spv_executor_in_flight_requests");
        let reachable = self.honest.iter().any(|&address| self.network.is_up(address));
        if arrivals > marks.arrivals || !reachable {
            (marks.arrivals, marks.last_arrival, marks.last_in_flight) = (arrivals, now, now);
        }
        if in_flight > 0 {
            marks.last_in_flight = now;
        }
        // Answers in verification do not count: here they are verified at once, so those that are left wait for another
        // list, and nothing but a request brings that.
        let armed = self.gauges.count("spv_executor_waiting_requests")
            + self.gauges.count("spv_scheduler_queue_length");
        let connected = self.gauges.count("qrsync_connections") > 0;
        let done = state.planned_lists > 0 && state.proven_lists == state.planned_lists;
        if in_flight + armed > 0 || !connected || state.phase != Phase::Lists || done {
            marks.last_armed = now;
        }

        let at = self.started.elapsed();
        observed.longest_idle = observed.longest_idle.max(now - marks.last_in_flight);
        let longest_wait = longest_wait(self.settings);
        for (since, bound) in [
            (marks.last_in_flight, longest_wait),
            // What is in flight ends at its hard timeout, and a wait may follow.
            (marks.last_arrival, self.settings.executor.hard_timeout + longest_wait),
        ] {
            if now - since > bound {
                return Err(Failure::Stalled { at, idle_for: now - since });
            }
        }
        if now - marks.last_armed > FORGOTTEN_AFTER {
            return Err(Failure::Forgotten { at });
        }
        Ok(())
    }
}

/// Longest that the client may wait on purpose before it asks somebody.
fn longest_wait(settings: &Settings) -> Duration {
    let reconnecting = settings.reconnect_cap + settings.handshake_timeout;
    settings.recovery.backoff_cap.max(reconnecting) + STEP
}
