//! What a recorder sees of one executor.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Act, Scripted, answer, request};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use spv_executor::{Config, Depth, ExecuteError, Executor, describe_metrics};

#[test]
fn gauges_return_to_zero_and_every_outcome_is_counted_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let config = Config {
                soft_timeout: Duration::from_secs(1),
                hard_timeout: Duration::from_secs(5),
                adaptive_timeouts: false,
                hedge_budget: 1,
                ..Config::default()
            };
            let transport = Scripted::default();
            transport.slower.lock().insert('c', Duration::from_secs(2));
            let executor = Executor::new(transport, config).unwrap();
            executor.execute(answer(1, 0)).await.unwrap_err();
            executor.add_peer('a', Depth::ONE);
            let results = executor.run(vec![answer(500, 1), answer(400, 2), request(10, Act::Fail)]).await;
            results.into_iter().flatten().for_each(|completed| completed.permit.accept());
            executor.add_peer('c', Depth::ONE);
            let hedged = executor.execute_in_order(answer(200, 4), |_| true, 1).await.unwrap();
            assert_eq!(hedged.peer, 'a');
            hedged.permit.accept();
            tokio::time::sleep(Duration::from_secs(3)).await;
            executor.remove_peer(&'c');
            let slow = executor.execute(answer(3_000, 3)).await.unwrap_err();
            let ExecuteError::SoftTimeout { late, .. } = slow else { panic!("{slow:?}") };
            late.await.unwrap().permit.reject();
            executor.close().await;
        });
    });

    let mut seen = BTreeMap::new();
    let mut seconds = Vec::new();
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        assert!(unit.is_some() && description.is_some(), "{} is not described", key.name());
        let outcome = key.labels().map(|label| label.value().to_owned()).collect::<String>();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(level) => level.into_inner(),
            DebugValue::Histogram(samples) => {
                seconds.extend(samples.into_iter().map(|sample| sample.into_inner()));
                continue;
            }
        };
        seen.insert((key.name().to_owned(), outcome), value);
    }

    assert_eq!(seconds, [0.5, 0.4, 0.2, 2.2, 3.0]);
    let nonzero: Vec<_> = seen.iter().filter(|(_, value)| **value != 0.0).collect();
    let expected = [
        ("spv_executor_hedges_total", "won", 1.0),
        ("spv_executor_late_requests_total", "answered", 1.0),
        ("spv_executor_rejected_answers_total", "", 1.0),
        ("spv_executor_requests_total", "no_eligible_peer", 1.0),
        ("spv_executor_requests_total", "soft_timeout", 1.0),
        ("spv_executor_requests_total", "succeeded", 3.0),
        ("spv_executor_requests_total", "transport", 1.0),
    ]
    .map(|(name, outcome, value)| ((name.to_owned(), outcome.to_owned()), value));
    assert_eq!(nonzero, expected.iter().map(|(key, value)| (key, value)).collect::<Vec<_>>());
    for gauge in
        ["spv_executor_in_flight_requests", "spv_executor_waiting_requests", "spv_executor_held_bytes"]
    {
        assert!(seen.contains_key(&(gauge.to_owned(), String::new())), "{gauge} is missing");
    }
    assert_eq!(seen.len(), 11 + 5 + 3 + 1 + 3);
}
