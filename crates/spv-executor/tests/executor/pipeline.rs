//! Downloads in parallel, uses in order: answers wait for those before them, and hold their bytes meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use spv_executor::{
    Completed, Config, Cost, Depth, ExecuteError, Executor, ExpectedCompletion, Progress, Transport,
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Refused, all_but};

/// Peers that answer after 100 ms, but for a share of stalls and failures; which ones is decided by the request, the
/// attempt and the peer, so that everybody who asks the same has the same luck.
#[derive(Clone)]
struct Unsteady {
    seed: u64,
    stalls: f64,
    failures: f64,
    duplicates: bool,
}

#[derive(Clone, Copy)]
struct Piece {
    index: u64,
    attempt: u64,
}

const PEERS: u8 = 5;
const ANSWER_BYTES: u64 = 1_000;
const USUAL: Duration = Duration::from_millis(100);
const STALL: Duration = Duration::from_secs(3);

impl Transport for Unsteady {
    type Peer = u8;
    type Request = Piece;
    type Response = u64;
    type Error = Refused;

    async fn send(&self, peer: &u8, piece: Piece) -> Result<u64, Refused> {
        let seed = self.seed ^ (piece.index << 20) ^ (piece.attempt << 8) ^ u64::from(*peer);
        let mut random = fastrand::Rng::with_seed(seed);
        let luck = random.f64();
        let time = if luck < self.stalls { STALL } else { USUAL.mul_f64(0.8 + 0.4 * random.f64()) };
        sleep(time).await;
        if luck > 1.0 - self.failures { Err(Refused) } else { Ok(piece.index) }
    }

    fn cost(&self, _piece: &Piece) -> Cost {
        Cost { kind: "piece", bytes: ANSWER_BYTES }
    }

    fn size(&self, _response: &u64) -> u64 {
        ANSWER_BYTES
    }

    fn duplicate(&self, piece: &Piece) -> Option<Piece> {
        self.duplicates.then_some(*piece)
    }

    fn group(&self, peer: &u8) -> u64 {
        u64::from(*peer)
    }
}

/// Brings all pieces, at most `window` beyond the lowest that is missing. Returns how long it took.
async fn download(
    transport: Unsteady,
    config: Config,
    pieces: u64,
    window: u64,
) -> (Duration, Progress, BTreeMap<u8, u64>) {
    let executor = Executor::with_selector(transport, ExpectedCompletion::new(1), config).expect("valid");
    (0..PEERS).for_each(|peer| executor.add_peer(peer, Depth::TWO));
    let begin = Instant::now();
    let ask = |index, attempt, exclude: Option<u8>| {
        let executor = executor.clone();
        async move {
            let piece = Piece { index, attempt };
            let result = executor.execute_in_order(piece, all_but(exclude), index).await;
            (index, attempt, result)
        }
        .boxed()
    };
    let mut running = FuturesUnordered::new();
    let mut late = FuturesUnordered::new();
    let mut brought: BTreeMap<u64, Completed<u8, u64>> = BTreeMap::new();
    let (mut next, mut asked) = (0, 0);
    while next < pieces {
        while asked < pieces.min(next + window) {
            running.push(ask(asked, 0, None));
            asked += 1;
        }
        tokio::select! {
            // Else the choice between two that are ready would be by chance.
            biased;
            Some((index, attempt, result)) = running.next() => match result {
                Ok(completed) => drop(brought.insert(index, completed)),
                Err(error) => {
                    running.push(ask(index, attempt + 1, error.peer().copied()));
                    if let ExecuteError::SoftTimeout { late: answer, .. } = error {
                        late.push(answer);
                    }
                }
            },
            Some(answer) = late.next() => {
                if let Ok(completed) = answer && completed.response >= next {
                    brought.entry(completed.response).or_insert(completed);
                }
            }
        }
        // Used, and accepted with that, in order.
        while let Some(used) = brought.remove(&next) {
            used.permit.accept();
            next += 1;
        }
    }
    let requests = executor.peers().into_iter().map(|load| (load.peer, load.requests)).collect();
    let (progress, elapsed) = (*executor.progress().borrow(), begin.elapsed());
    executor.close().await;
    (elapsed, progress, requests)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Answers that wait for others hold the whole budget, and what they wait for comes all the same.
    #[test]
    fn a_pipeline_in_order_never_blocks_itself(
        seed in any::<u64>(),
        stalls in 0.0..0.3,
        failures in 0.0..0.5,
        window in 1..40_u64,
        answers_held in 1..8_u64,
        duplicates in any::<bool>(),
    ) {
        let transport = Unsteady { seed, stalls, failures, duplicates };
        let config = Config { max_bytes: answers_held * ANSWER_BYTES, ..Config::default() };
        let run = || {
            block_on(async {
                let day = Duration::from_secs(24 * 3600);
                timeout(day, download(transport.clone(), config.clone(), 60, window)).await.expect("blocked")
            })
        };
        let (trace, again) = (run(), run());
        let (_, progress, _) = &trace;
        prop_assert!(20 * progress.hedged <= 20 + progress.succeeded + progress.late + progress.hedged);
        prop_assert_eq!(trace, again);
    }
}

#[test]
fn hedging_the_head_of_the_line_shortens_a_pipeline_for_a_few_more_requests() {
    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
    let (mut hedged, mut requests) = (0, 0);
    for seed in 0..10 {
        let transport = Unsteady { seed, stalls: 0.02, failures: 0.0, duplicates: true };
        let (time, progress, sent) = block_on(download(transport.clone(), Config::default(), 400, 16));
        with += time;
        hedged += progress.hedged;
        requests += sent.values().sum::<u64>();
        let config = Config { hedge_budget: 0, ..Config::default() };
        without += block_on(download(transport, config, 400, 16)).0;
    }
    assert!(with.as_secs_f64() < 0.7 * without.as_secs_f64(), "{with:?} {without:?}");
    assert!(hedged > 0 && 20 * hedged <= requests + 200, "{hedged} of {requests}");
}
