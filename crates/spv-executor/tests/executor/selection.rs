//! The built-in selectors over peers that serve one request after the other, each at its own pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use spv_executor::{
    Candidate, Config, Cost, Depth, Executor, ExpectedCompletion, LeastLoaded, LowestLatency, PeerSelector,
    RoundRobin, Sample, Transport,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Act, Refused, Scripted, all_but, answer, request};

const RTT: Duration = Duration::from_millis(40);

/// Two quick peers, four usual ones, two that are forty times as slow as the first.
const SERVICE_MS: [(char, u64); 8] =
    [('a', 20), ('b', 20), ('c', 100), ('d', 100), ('e', 100), ('f', 100), ('g', 800), ('h', 800)];

#[derive(Clone)]
struct Serial {
    service: BTreeMap<char, (Duration, Arc<Mutex<()>>)>,
    /// Refuses, or lies, at once.
    useless: Option<char>,
    lies: bool,
    /// What it measures itself.
    rtt: Option<Duration>,
}

impl Serial {
    fn new() -> Self {
        let peer = |(peer, ms)| (peer, (Duration::from_millis(ms), Arc::new(Mutex::new(()))));
        Self { service: SERVICE_MS.into_iter().map(peer).collect(), useless: None, lies: false, rtt: None }
    }
}

impl Transport for Serial {
    type Peer = char;
    type Request = u32;
    type Response = bool;
    type Error = Refused;

    async fn send(&self, peer: &char, _request: u32) -> Result<bool, Refused> {
        sleep(RTT).await;
        if self.useless == Some(*peer) {
            return if self.lies { Ok(false) } else { Err(Refused) };
        }
        let (service, turn) = &self.service[peer];
        let _turn = turn.lock().await;
        sleep(*service).await;
        Ok(true)
    }

    fn cost(&self, _request: &u32) -> Cost {
        Cost { kind: "work", bytes: 0 }
    }

    fn rtt(&self, _peer: &char) -> Option<Duration> {
        self.rtt
    }
}

/// Runs 400 requests, four at a time, which is far fewer than there are slots: so there is a choice. Returns how long
/// it took, and every peer's answers.
async fn run(transport: Serial, selector: impl PeerSelector<char>) -> (Duration, BTreeMap<char, u32>) {
    // Else there would be little to choose from.
    let config = Config { spares_slow_peers: false, ..Config::default() };
    run_with(config, transport, selector).await
}

async fn run_with(
    config: Config,
    transport: Serial,
    selector: impl PeerSelector<char>,
) -> (Duration, BTreeMap<char, u32>) {
    let executor = Executor::with_selector(transport, selector, config).expect("the config is valid");
    for (peer, _) in SERVICE_MS {
        executor.add_peer(peer, Depth::THREE);
        executor.set_rtt(&peer, RTT);
    }
    let begin = Instant::now();
    let peers: Vec<_> = stream::iter(0..400)
        .map(|request| {
            let executor = executor.clone();
            async move {
                match executor.execute(request).await {
                    Ok(completed) if !completed.response => {
                        completed.permit.reject();
                        None
                    }
                    result => result.ok().map(|completed| {
                        completed.permit.accept();
                        completed.peer
                    }),
                }
            }
        })
        .buffer_unordered(4)
        .collect()
        .await;
    let mut answers = BTreeMap::new();
    peers.into_iter().flatten().for_each(|peer| *answers.entry(peer).or_default() += 1);
    (begin.elapsed(), answers)
}

/// So that an answer is measured with the round trip known, also the first one.
#[tokio::test(start_paused = true)]
async fn a_transport_that_measures_the_round_trip_is_asked_for_it() {
    for (rtt, depth) in [(None, Depth::THREE), (Some(RTT), Depth::TWO)] {
        let executor = Executor::new(Serial { rtt, ..Serial::new() }, Config::default()).unwrap();
        executor.add_peer('c', Depth::THREE);
        executor.execute(0).await.unwrap().permit.accept();
        // Answers that take longer than the way are no sooner there for being asked for three at a time.
        assert_eq!(executor.peers()[0].adapted_depth, depth);
    }
}

#[tokio::test(start_paused = true)]
async fn learning_selectors_finish_sooner_on_unequal_peers() {
    let (round_robin, _) = run(Serial::new(), RoundRobin).await;
    let (least_loaded, _) = run(Serial::new(), LeastLoaded).await;
    let (lowest_latency, _) = run(Serial::new(), LowestLatency::new(1)).await;
    let (expected_completion, answers) = run(Serial::new(), ExpectedCompletion::new(1)).await;
    assert!(least_loaded < round_robin);
    assert!(lowest_latency < least_loaded);
    assert!(expected_completion < lowest_latency);
    assert!(expected_completion < round_robin / 3);
    // The slow ones are measured now and then, and get little else.
    assert!(answers[&'g'] > 0 && answers[&'g'] + answers[&'h'] < 30);
}

#[tokio::test(start_paused = true)]
async fn slow_peers_are_left_alone_whatever_the_selector() {
    let (with_choice, _) = run(Serial::new(), ExpectedCompletion::new(1)).await;
    let (least_loaded, answers) = run_with(Config::default(), Serial::new(), LeastLoaded).await;
    assert!(least_loaded < with_choice);
    assert!(answers.get(&'g').is_none_or(|answers| *answers < 4), "{answers:?}");
    let (expected_completion, _) =
        run_with(Config::default(), Serial::new(), ExpectedCompletion::new(1)).await;
    assert!(expected_completion < with_choice && expected_completion < least_loaded * 6 / 5);
}

/// Nothing but time happens after the first two were sent.
#[tokio::test(start_paused = true)]
async fn a_peer_that_was_left_alone_is_asked_when_the_other_keeps_us_waiting() {
    let executor = Executor::new(Serial::new(), Config::default()).unwrap();
    for (peer, rtt) in [('h', 10), ('a', 100)] {
        executor.add_peer(peer, Depth::ONE);
        executor.set_rtt(&peer, Duration::from_millis(rtt));
    }
    let begin = Instant::now();
    let (first, second) = tokio::join!(executor.execute(1), executor.execute(2));
    assert_eq!((first.unwrap().peer, second.unwrap().peer), ('h', 'a'));
    assert_eq!(executor.peers().iter().map(|load| load.requests).collect::<Vec<_>>(), [1, 1]);
    // 'h' was due after 10 ms, and is not counted on after 20; 'a' takes the way and 20 ms.
    assert_eq!(begin.elapsed(), RTT + Duration::from_millis(800));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_refuses_or_lies_at_once_gets_little() {
    async fn useful(lies: bool, selector: impl PeerSelector<char>) -> u32 {
        let transport = Serial { useless: Some('a'), lies, ..Serial::new() };
        run(transport, selector).await.1.values().sum()
    }
    for lies in [false, true] {
        let useful = [
            useful(lies, RoundRobin).await,
            useful(lies, LeastLoaded).await,
            useful(lies, LowestLatency::new(1)).await,
            useful(lies, ExpectedCompletion::new(1)).await,
        ];
        assert!(useful.iter().all(|answers| *answers >= 380), "{useful:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_make_equal_runs() {
    assert_eq!(
        run(Serial::new(), ExpectedCompletion::new(5)).await,
        run(Serial::new(), ExpectedCompletion::new(5)).await
    );
    assert_eq!(
        run(Serial::new(), LowestLatency::new(5)).await,
        run(Serial::new(), LowestLatency::new(5)).await
    );
}

/// Writes down what it is told, and takes the first peer.
#[derive(Clone, Default)]
struct Recording(Arc<parking_lot::Mutex<Vec<(&'static str, char)>>>);

impl PeerSelector<char> for Recording {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, char>]) -> &'c Candidate<'c, char> {
        &candidates[0]
    }

    fn on_sent(&mut self, peer: &char, _now: std::time::Instant) {
        self.0.lock().push(("sent", *peer));
    }

    fn on_completed(&mut self, peer: &char, answer: &Sample, _now: std::time::Instant) {
        assert_eq!((answer.kind, answer.elapsed), ("work", RTT + Duration::from_millis(20)));
        // The round trip is known.
        assert_eq!(answer.occupied, Duration::from_millis(20));
        self.0.lock().push(("completed", *peer));
    }

    fn on_failed(&mut self, peer: &char, _now: std::time::Instant) {
        self.0.lock().push(("failed", *peer));
    }

    fn on_removed(&mut self, peer: &char) {
        self.0.lock().push(("removed", *peer));
    }
}

#[tokio::test(start_paused = true)]
async fn a_selector_is_told_what_becomes_of_its_choices() {
    let selector = Recording::default();
    let told = || std::mem::take(&mut *selector.0.lock());
    let transport = Serial { useless: Some('b'), ..Serial::new() };
    let executor = Executor::with_selector(transport, selector.clone(), Config::default()).unwrap();
    for peer in ['a', 'b'] {
        executor.add_peer(peer, Depth::ONE);
        executor.set_rtt(&peer, RTT);
    }
    let used = executor.execute_where(1, all_but(['b'])).await.unwrap();
    assert_eq!(told(), [("sent", 'a')]);
    used.permit.accept();
    assert_eq!(told(), [("completed", 'a')]);
    executor.execute_where(1, all_but(['b'])).await.unwrap().permit.reject();
    assert_eq!(told(), [("sent", 'a'), ("failed", 'a')]);
    executor.execute_where(1, all_but(['a'])).await.unwrap_err();
    assert_eq!(told(), [("sent", 'b'), ("failed", 'b')]);
    let kept = executor.execute_where(1, all_but(['b'])).await.unwrap();
    executor.remove_peer(&'a');
    assert_eq!(told(), [("sent", 'a'), ("removed", 'a')]);
    // Whoever has gone is not heard of again.
    kept.permit.accept();
    assert!(told().is_empty());
}

/// A round trip of no time is four times shorter than itself, but nobody is nearer than such a peer.
#[tokio::test(start_paused = true)]
async fn peers_without_any_distance_are_asked() {
    for peers in [&['a'][..], &['a', 'b']] {
        let executor = Executor::new(Scripted::default(), Config::default()).unwrap();
        for &peer in peers {
            executor.add_peer(peer, Depth::ONE);
            executor.set_rtt(&peer, Duration::ZERO);
        }
        let asked = timeout(Duration::from_secs(100), executor.execute(answer(10, 0))).await;
        assert!(peers.contains(&asked.expect("somebody is asked").unwrap().peer));
    }
}

/// Panics at every call of one kind from the nth on.
struct Panicking {
    on: &'static str,
    good: u32,
}

impl Panicking {
    fn called(&mut self, call: &'static str) {
        if call == self.on {
            self.good = self.good.checked_sub(1).unwrap_or_else(|| std::panic::panic_any("as scripted"));
        }
    }
}

impl PeerSelector<char> for Panicking {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, char>]) -> &'c Candidate<'c, char> {
        self.called("select");
        candidates.last().expect("there are some")
    }

    fn on_sent(&mut self, _peer: &char, _now: std::time::Instant) {
        self.called("sent");
    }

    fn on_completed(&mut self, _peer: &char, _answer: &Sample, _now: std::time::Instant) {
        self.called("completed");
    }

    fn on_failed(&mut self, _peer: &char, _now: std::time::Instant) {
        self.called("failed");
    }

    fn on_removed(&mut self, _peer: &char) {
        self.called("removed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_selector_that_panics_costs_no_request_and_no_slot() {
    for on in ["select", "sent", "completed", "failed", "removed"] {
        for good in [0, 1, 7] {
            let executor =
                Executor::with_selector(Scripted::default(), Panicking { on, good }, Config::default())
                    .expect("the config is valid");
            executor.add_peer('a', Depth::ONE);
            executor.add_peer('c', Depth::ONE);
            let requests = (0..20).map(|index| match index % 4 {
                3 => request(5, Act::Fail),
                _ => answer(5, index),
            });
            let results = executor.run(requests.collect()).await;
            let answered = results.into_iter().filter(|result| result.is_ok()).count();
            assert_eq!((answered, executor.capacity()), (15, 2), "{on} {good}");
            executor.remove_peer(&'a');
            executor.remove_peer(&'c');
            executor.add_peer('d', Depth::ONE);
            assert!(executor.execute(answer(5, 1)).await.is_ok(), "{on} {good}");
        }
    }
}
