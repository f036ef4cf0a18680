//! A transport whose every answer is written in the request.

use std::collections::BTreeMap;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use spv_executor::{Config, Cost, Transport};

/// For the scripted peers, which serve their requests side by side, and so have no time that could be foreseen. Without
/// measurements, copies are due after half a second.
pub(crate) fn config() -> Config {
    Config {
        soft_timeout: Duration::from_secs(1),
        hard_timeout: Duration::from_secs(10),
        adaptive_timeouts: false,
        spares_slow_peers: false,
        ..Config::default()
    }
}

/// What is to become of a request, after a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Answer(u32),
    Fail,
    Panic,
    PanicBeforeTheFirstPoll,
    PanicWhenDropped,
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) after: Duration,
    pub(crate) act: Act,
}

pub(crate) fn request(after_ms: u64, act: Act) -> Request {
    Request { after: Duration::from_millis(after_ms), act }
}

pub(crate) fn answer(after_ms: u64, value: u32) -> Request {
    request(after_ms, Act::Answer(value))
}

/// Allows everybody else.
pub(crate) fn all_but<P: PartialEq>(peers: impl IntoIterator<Item = P>) -> impl Fn(&P) -> bool {
    let peers: Vec<P> = peers.into_iter().collect();
    move |peer| !peers.contains(peer)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused")]
pub(crate) struct Refused;

/// Counts like the peers would: what is being worked on, and the most that ever was.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    counts: Arc<Mutex<BTreeMap<char, Count>>>,
    /// What each peer takes on top.
    pub(crate) slower: Arc<Mutex<BTreeMap<char, Duration>>>,
    pub(crate) alive: Arc<AtomicUsize>,
    pub(crate) sent: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    now: usize,
    most: usize,
}

impl Scripted {
    pub(crate) fn most_in_flight(&self, peer: char) -> usize {
        self.counts.lock().get(&peer).map_or(0, |count| count.most)
    }
}

impl Transport for Scripted {
    type Peer = char;
    type Request = Request;
    type Response = u32;
    type Error = Refused;

    fn send(&self, peer: &char, request: Request) -> impl Future<Output = Result<u32, Refused>> + Send {
        self.sent.fetch_add(1, SeqCst);
        let busy = Busy::new(self, *peer, request.act);
        let slower = self.slower.lock().get(peer).copied().unwrap_or_default();
        if request.act == Act::PanicBeforeTheFirstPoll {
            panic_any("as scripted");
        }
        async move {
            let _busy = busy;
            tokio::time::sleep(request.after + slower).await;
            match request.act {
                Act::Answer(value) => Ok(value),
                Act::Fail => Err(Refused),
                Act::Never => std::future::pending().await,
                Act::Panic | Act::PanicBeforeTheFirstPoll | Act::PanicWhenDropped => panic_any("as scripted"),
            }
        }
    }

    fn cost(&self, _request: &Request) -> Cost {
        Cost { kind: "scripted", bytes: EXPECTED_BYTES }
    }

    fn size(&self, _response: &u32) -> u64 {
        ANSWER_BYTES
    }

    fn duplicate(&self, request: &Request) -> Option<Request> {
        Some(*request)
    }

    /// 'a' and 'b' are one group, and so are 'c' and 'd'.
    fn group(&self, peer: &char) -> u64 {
        u64::from(*peer > 'b')
    }
}

/// Of every request.
pub(crate) const EXPECTED_BYTES: u64 = 100;
/// Of every answer: a little more than expected.
pub(crate) const ANSWER_BYTES: u64 = 120;

struct Busy {
    transport: Scripted,
    peer: char,
    act: Act,
}

impl Busy {
    fn new(transport: &Scripted, peer: char, act: Act) -> Self {
        transport.alive.fetch_add(1, SeqCst);
        let mut counts = transport.counts.lock();
        let count = counts.entry(peer).or_default();
        count.now += 1;
        count.most = count.most.max(count.now);
        drop(counts);
        Self { transport: transport.clone(), peer, act }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.transport.alive.fetch_sub(1, SeqCst);
        if let Some(count) = self.transport.counts.lock().get_mut(&self.peer) {
            count.now -= 1;
        }
        if self.act == Act::PanicWhenDropped && !std::thread::panicking() {
            panic_any("as scripted");
        }
    }
}

/// Answers after a few turns of the runtime, without a clock.
#[derive(Clone, Default)]
pub(crate) struct Yielding {
    now: Arc<AtomicUsize>,
    /// The most that were being worked on at the same time.
    pub(crate) most: Arc<AtomicUsize>,
}

impl Transport for Yielding {
    type Peer = &'static str;
    type Request = u32;
    type Response = u32;
    type Error = Refused;

    async fn send(&self, _peer: &Self::Peer, request: u32) -> Result<u32, Refused> {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        for _ in 0..request % 7 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, SeqCst);
        Ok(request)
    }
}
