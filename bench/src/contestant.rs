use spv_integration::Settings;
use spv_integration::config::Selector;
use spv_integration::session::{Download, Session};

use crate::rival::Rival;
use crate::tuned::Tuned;

/// Who takes part.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    /// Name in reports.
    pub(crate) name: String,
    /// What it does.
    pub(crate) about: &'static str,
    /// How.
    pub(crate) kind: Kind,
}

/// What our client is called among those that ask for headers.
pub(crate) const OURS: &str = "ours";

/// How a contestant works.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Our engine.
    Ours(Box<Settings>),
    /// Another policy over the shared client.
    Rival(Rival),
}

impl Contestant {
    fn rival(name: &str, about: &'static str, rival: Rival) -> Self {
        Self { name: name.to_owned(), about, kind: Kind::Rival(rival) }
    }

    fn ours<F: FnOnce(&mut Settings)>(name: &str, about: &'static str, change: F) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self { name: name.to_owned(), about, kind: Kind::Ours(Box::new(settings)) }
    }
}

/// All contestants, with the numbers that were found on training seeds and then frozen.
pub(crate) fn contestants(tuned: &Tuned) -> Vec<Contestant> {
    let rival = Contestant::rival;
    vec![
        rival("A", "sequential, one peer, 10/30/60 s", Rival::Sequential),
        rival("B", "sequential, next peer each time", Rival::SequentialRotating),
        rival("C", "buffer_unordered, round robin, timeout, retries", tuned.unordered.clone()),
        rival("D", "semaphore and JoinSet, rounds of retries", tuned.brief.clone()),
        rival("E", "tower: limits, peak EWMA, retry budget, hedge", tuned.tower.clone()),
        rival("F", "neutrino-like work manager", tuned.neutrino.clone()),
        rival("G", "dash-spv of May 2026", Rival::DashSpv),
        Contestant::ours("H", "ours", |_| {}),
    ]
}

/// Ours with one feature off each.
pub(crate) fn ablations() -> Vec<Contestant> {
    let ours = Contestant::ours::<fn(&mut Settings)>;
    vec![
        ours("H-hedging", "ours without copies to a second peer", |settings| {
            settings.executor.hedge_budget = 0;
        }),
        ours("H-adaptive-depth", "ours with three requests per peer, always", |settings| {
            settings.executor.adaptive_depth = false;
        }),
        ours("H-sparing", "ours with every free slot used, however slow the peer", |settings| {
            settings.executor.spares_slow_peers = false;
        }),
        ours("H-adaptive-timeouts", "ours with fixed timeouts", |settings| {
            settings.executor.adaptive_timeouts = false;
        }),
        ours("H-pipelining", "ours with one request per peer", |settings| {
            settings.depth = spv_executor::Depth::ONE;
        }),
        ours("H-window8", "ours with eight requests open at most", |settings| settings.window = 8),
        ours("H-fences", "ours without a ping behind each request", |settings| {
            settings.correlation.fences = false;
        }),
        ours("H-selector", "ours with requests to everybody in turn", |settings| {
            settings.selector = Selector::RoundRobin;
        }),
        ours("H-breakers", "ours without breakers, but for a pool where everything fails", |settings| {
            settings.recovery.breaker.failures = u32::MAX;
            settings.recovery.pool.failure_rate = 1.0;
        }),
    ]
}

/// What our engine said of itself, over all downloads of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct SelfReport {
    /// Copies sent to a second peer.
    pub(crate) hedged: u64,
    /// Longest time from a request to knowing that it was refused.
    pub(crate) slowest_refusal: Option<std::time::Duration>,
    /// Syncs that ended without the tip, each followed by another one.
    pub(crate) begun_anew: u32,
}

impl SelfReport {
    pub(crate) fn add(&mut self, download: &Download) {
        self.hedged = self.hedged.max(download.hedged);
        self.slowest_refusal = self.slowest_refusal.max(download.slowest_refusal);
    }
}

/// A contestant that is connected.
pub(crate) enum Running {
    Ours(Box<Session>),
    Rival(Box<dyn crate::rival::Policy>, std::sync::Arc<crate::client::Client>),
}
