use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use proptest::prelude::*;

use super::*;
use crate::{Confidence, KindHealth, Reliability};

#[expect(clippy::disallowed_methods, reason = "a base for times; nothing reads it again")]
fn base() -> Instant {
    Instant::now()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn monitor(config: Config) -> Monitor<u8, &'static str> {
    Monitor::new(config).unwrap()
}

#[test]
fn a_snapshot_holds_everything_that_was_reported() {
    let (monitor, now) = (monitor(Config::default()), base());
    assert_eq!(monitor.health(&1), None);
    monitor.on_rtt(&1, ms(100), now);
    monitor.on_answer(&1, "large", 1_000_000, ms(600), now);
    monitor.on_answer(&1, "small", 1_000, ms(180), now);
    // Quicker than the smoothed round trip: nothing is left for service.
    monitor.on_answer(&1, "instant", 10, ms(90), now);
    for kind in ["large", "small", "instant"] {
        monitor.on_accepted(&1, &kind, now);
    }
    monitor.on_refusal(&1, &"large", now);
    monitor.on_failure(&1, &"large", now);
    let confidence = |samples| Confidence { samples, last: Some(now) };
    let kind = |ms_of_service, refusals, failures, bytes| KindHealth {
        service_time: Some(ms(ms_of_service)),
        confidence: confidence(1),
        accepted: 1,
        refusals,
        failures,
        bytes,
    };
    let kinds = [
        ("instant", kind(0, 0, 0, 10)),
        ("large", kind(500, 1, 1, 1_000_000)),
        ("small", kind(80, 0, 0, 1_000)),
    ];
    let expected = PeerHealth {
        srtt: Some(ms(100)),
        rttvar: Some(ms(50)),
        min_rtt: Some(ms(100)),
        rtt_confidence: confidence(1),
        rto: Config::default().rto_min,
        throughput: Some(2_000_000.0),
        throughput_confidence: confidence(1),
        reliability: Reliability { ratio: 0.75, samples: 4 },
        kinds: kinds.into(),
        answers: 3,
        accepted: 3,
        refusals: 1,
        failures: 1,
        bytes: 1_001_010,
    };
    assert_eq!(monitor.health(&1), Some(expected));
}

#[test]
fn reliability_follows_the_verdict_and_not_the_delivery() {
    let (monitor, now) = (monitor(Config::default()), base());
    let reliability = |peer| monitor.health(&peer).unwrap().reliability;
    for (liar, honest) in [(1, 2); 5] {
        monitor.on_answer(&liar, "a", 10, ms(50), now);
        monitor.on_failure(&liar, &"a", now);
        monitor.on_answer(&honest, "a", 10, ms(50), now);
        monitor.on_accepted(&honest, &"a", now);
    }
    assert_eq!(reliability(1), Reliability { ratio: 0.0, samples: 5 });
    assert_eq!(reliability(2), Reliability { ratio: 1.0, samples: 5 });
    monitor.on_answer(&3, "a", 10, ms(50), now);
    assert_eq!(reliability(3).samples, 0, "not verified yet, or never");
    let health = monitor.health(&1).unwrap();
    assert_eq!((health.answers, health.accepted, health.failures), (5, 0, 5));
}

#[test]
fn service_time_is_smoothed_per_kind() {
    let (monitor, now) = (monitor(Config::default()), base());
    monitor.on_answer(&1, "a", 10, ms(800), now);
    monitor.on_answer(&1, "a", 10, ms(1600), now);
    monitor.on_answer(&1, "b", 10, ms(5), now);
    let kinds = monitor.health(&1).unwrap().kinds;
    let service = |kind| kinds[kind].service_time;
    assert_eq!((service("a"), service("b")), (Some(ms(900)), Some(ms(5))));
}

#[test]
fn small_answers_say_nothing_about_throughput() {
    let (monitor, now) = (monitor(Config::default()), base());
    monitor.on_answer(&1, "a", Config::default().throughput_min_bytes - 1, ms(800), now);
    assert_eq!(monitor.health(&1).unwrap().throughput, None);
}

#[test]
fn a_removed_peer_is_forgotten() {
    let (monitor, now) = (monitor(Config::default()), base());
    let other_handle = monitor.clone();
    monitor.on_failure(&1, &"a", now);
    assert!(other_handle.remove(&1));
    assert!(!other_handle.remove(&1));
    assert_eq!((monitor.health(&1), monitor.peers()), (None, vec![]));
    monitor.on_rtt(&1, ms(1), now);
    assert_eq!(monitor.health(&1).unwrap().failures, 0);
}

#[test]
fn one_peer_too_many_displaces_the_one_heard_of_least_recently() {
    let (monitor, now) = (monitor(Config { max_peers: 3, ..Config::default() }), base());
    let at = |second| now + Duration::from_secs(second);
    for (second, peer) in [(0, 5), (1, 3), (2, 9)] {
        monitor.on_rtt(&peer, ms(10), at(second));
    }
    // Every kind of report is a sign of life.
    monitor.on_refusal(&5, &"a", at(3));
    monitor.on_rtt(&1, ms(10), at(4));
    assert_eq!(monitor.peers(), [1, 5, 9]);
    monitor.on_failure(&9, &"a", at(5));
    monitor.on_answer(&5, "a", 1, ms(10), at(6));
    monitor.on_rtt(&2, ms(10), at(7));
    assert_eq!(monitor.peers(), [2, 5, 9]);
    monitor.on_accepted(&9, &"a", at(8));
    monitor.on_rtt(&3, ms(10), at(9));
    assert_eq!(monitor.peers(), [2, 3, 9]);
}

#[test]
fn one_slow_peer_does_not_make_the_pool_slow() {
    let (monitor, now) = (monitor(Config::default()), base());
    for (peer, round_trip) in [(1, 50), (2, 60), (3, 5_000)] {
        monitor.on_rtt(&peer, ms(round_trip), now);
    }
    assert!(monitor.conditions(now).is_optimal());
    monitor.on_rtt(&4, ms(5_000), now);
    monitor.on_rtt(&5, ms(5_000), now);
    assert!(monitor.conditions(now).high_latency);
}

#[test]
fn each_condition_comes_from_its_own_measurement() {
    type Case = (fn(&Monitor<u8, &'static str>, Instant), Conditions);
    let reports: [Case; 3] = [
        (|m, now| m.on_rtt(&1, ms(900), now), Conditions { high_latency: true, ..Conditions::default() }),
        (
            |m, now| m.on_answer(&1, "a", 100_000, Duration::from_secs(10), now),
            Conditions { low_bandwidth: true, ..Conditions::default() },
        ),
        (|m, now| m.on_failure(&1, &"a", now), Conditions { unstable: true, ..Conditions::default() }),
    ];
    let now = base();
    for (report, expected) in reports {
        let monitor = monitor(Config::default());
        report(&monitor, now);
        assert_eq!(monitor.conditions(now), expected);
    }
}

#[test]
fn a_peer_without_outcomes_does_not_vouch_for_the_pool() {
    let (monitor, now) = (monitor(Config::default()), base());
    monitor.on_failure(&1, &"a", now);
    for silent in [2, 3, 4] {
        monitor.on_rtt(&silent, ms(10), now);
        monitor.on_refusal(&silent, &"a", now);
    }
    assert!(monitor.conditions(now).unstable);
}

#[test]
fn a_peer_not_heard_of_for_long_no_longer_counts() {
    let (monitor, now) = (monitor(Config::default()), base());
    monitor.on_rtt(&1, ms(900), now);
    let later = now + Config::default().stale_after + ms(1);
    assert!(monitor.conditions(later).is_optimal());
    assert!(monitor.conditions(now).high_latency);
    assert!(monitor.conditions(later).is_optimal(), "what was measured long ago does not hold for ever");
}

#[test]
fn confidence_grows_with_samples_and_ages() {
    let (monitor, now) = (monitor(Config::default()), base());
    monitor.on_rtt(&1, ms(50), now);
    monitor.on_rtt(&1, ms(40), now + ms(500));
    monitor.on_failure(&1, &"a", now + ms(900));
    let health = monitor.health(&1).unwrap();
    assert_eq!(health.rtt_confidence.samples, 2);
    assert_eq!(health.rtt_confidence.age(now + ms(2_000)), Some(ms(1_500)));
    assert_eq!((health.throughput_confidence.samples, health.throughput_confidence.age(now)), (0, None));
    assert_eq!(health.kinds["a"], KindHealth { failures: 1, ..KindHealth::default() });
}

#[test]
fn the_smallest_round_trip_is_that_of_the_window() {
    let (monitor, now) = (monitor(Config::default()), base());
    let min_rtt = |at_second, sample| {
        monitor.on_rtt(&1, ms(sample), now + Duration::from_secs(at_second));
        monitor.health(&1).unwrap().min_rtt.unwrap()
    };
    assert_eq!(min_rtt(0, 20), ms(20));
    assert_eq!(min_rtt(200, 90), ms(20));
    assert_eq!(min_rtt(360, 80), ms(80));
}

#[test]
fn a_slow_link_is_told_from_a_slow_peer() {
    let (monitor, now) = (monitor(Config::default()), base());
    let at = |second| now + Duration::from_secs(second);
    let ping = |second, round_trips: [u64; 4]| {
        for (peer, round_trip) in (1..).zip(round_trips) {
            // Often enough for the smoothed round trip to get there.
            (0..40).for_each(|_| monitor.on_rtt(&peer, ms(round_trip), at(second)));
        }
    };
    let paces = |second| [1, 2, 3, 4].map(|peer| monitor.pace(&peer, at(second)));
    monitor.on_rtt(&1, ms(50), now);
    monitor.on_rtt(&2, ms(50), now);
    assert_eq!(paces(0), [Pace::Unknown; 4]);
    ping(1, [50, 60, 70, 80]);
    assert_eq!(paces(1), [Pace::Usual; 4]);
    ping(2, [50, 60, 70, 600]);
    assert_eq!(paces(2), [Pace::Usual, Pace::Usual, Pace::Usual, Pace::SlowPeer]);
    ping(3, [350, 360, 370, 380]);
    assert_eq!(paces(3), [Pace::SlowLink; 4]);
    assert!(monitor.conditions(at(3)).slow_link && !monitor.conditions(at(3)).is_optimal());
    // Better, but not clearly over.
    ping(4, [85, 102, 119, 136]);
    assert_eq!(paces(4), [Pace::SlowLink; 4]);
    ping(5, [55, 65, 75, 85]);
    assert_eq!(paces(5), [Pace::Usual; 4]);
    // A slow link excuses nobody who is slow beside the others.
    ping(6, [350, 360, 370, 2_000]);
    assert_eq!(paces(6), [Pace::SlowLink, Pace::SlowLink, Pace::SlowLink, Pace::SlowPeer]);
    assert_eq!(monitor.pace(&9, at(6)), Pace::Unknown);
    // What was measured long ago says nothing about now.
    assert_eq!(paces(1_000), [Pace::Unknown; 4]);
}

#[test]
fn an_impossible_configuration_is_refused() {
    let error = Monitor::<u8, u8>::new(Config { max_peers: 0, ..Config::default() }).unwrap_err();
    assert_eq!(error.field, "max_peers");
}

#[test]
fn metrics_show_round_trips_conditions_and_peers() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, || {
        crate::describe_metrics();
        let (monitor, now) = (monitor(Config::default()), base());
        monitor.on_rtt(&1, ms(500), now);
        monitor.on_rtt(&2, ms(500), now);
        monitor.remove(&2);
        monitor.on_failure(&1, &"a", now);
        monitor.on_answer(&1, "a", 10, ms(500), now);
        monitor.on_accepted(&1, &"a", now);
        monitor.on_failure(&1, &"a", now);
        assert!(monitor.conditions(now).high_latency);
    });
    let mut seen: Vec<(String, DebugValue)> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, description, value)| {
            assert!(description.is_some(), "{key:?} has no help text");
            let labels: Vec<_> = key.key().labels().map(|label| label.value()).collect();
            (format!("{}{labels:?}", key.key().name()), value)
        })
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let gauge = |value: f64| DebugValue::Gauge(value.into());
    let expected = [
        ("spv_netmon_condition[\"high_latency\"]", gauge(1.0)),
        ("spv_netmon_condition[\"low_bandwidth\"]", gauge(0.0)),
        ("spv_netmon_condition[\"slow_link\"]", gauge(0.0)),
        ("spv_netmon_condition[\"unstable\"]", gauge(1.0)),
        ("spv_netmon_outcomes_total[\"accepted\"]", DebugValue::Counter(1)),
        ("spv_netmon_outcomes_total[\"failed\"]", DebugValue::Counter(2)),
        // What has not happened is there, too.
        ("spv_netmon_outcomes_total[\"refused\"]", DebugValue::Counter(0)),
        ("spv_netmon_rtt_seconds[]", DebugValue::Histogram(vec![0.5.into(), 0.5.into()])),
        ("spv_netmon_tracked_peers[]", gauge(1.0)),
    ];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[derive(Clone, Debug)]
enum Report {
    Rtt(Duration),
    Answer(u8, u64, Duration),
    Accepted(u8),
    Refusal,
    Failure,
}

fn any_report() -> impl Strategy<Value = Report> {
    let duration = prop_oneof![
        Just(Duration::MAX),
        (any::<u64>(), 0u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        (0u64..1_000_000).prop_map(Duration::from_micros),
    ];
    let bytes = prop_oneof![any::<u64>(), Just(u64::MAX), 0u64..1_000_000];
    prop_oneof![
        duration.clone().prop_map(Report::Rtt),
        (0u8..3, bytes, duration).prop_map(|(kind, bytes, elapsed)| Report::Answer(kind, bytes, elapsed)),
        (0u8..3).prop_map(Report::Accepted),
        Just(Report::Refusal),
        Just(Report::Failure),
    ]
}

fn apply(monitor: &Monitor<u8, u8>, peer: u8, report: Report, now: Instant) {
    match report {
        Report::Rtt(sample) => monitor.on_rtt(&peer, sample, now),
        Report::Answer(kind, bytes, elapsed) => monitor.on_answer(&peer, kind, bytes, elapsed, now),
        Report::Accepted(kind) => monitor.on_accepted(&peer, &kind, now),
        Report::Refusal => monitor.on_refusal(&peer, &0, now),
        Report::Failure => monitor.on_failure(&peer, &0, now),
    }
}

proptest! {
    #[test]
    fn extreme_reports_stay_bounded_and_equal_reports_give_equal_results(
        reports in prop::collection::vec((0u8..8, any_report(), 0u64..400), 0..60),
    ) {
        let config = Config { max_peers: 5, reliability_window: 4, ..Config::default() };
        let monitors: [Monitor<u8, u8>; 2] = std::array::from_fn(|_| Monitor::new(config.clone()).unwrap());
        let mut now = base();
        for (peer, report, wait) in reports {
            now += Duration::from_secs(wait);
            for monitor in &monitors {
                apply(monitor, peer, report.clone(), now);
            }
            let [one, other] = &monitors;
            prop_assert_eq!(one.conditions(now), other.conditions(now));
            prop_assert_eq!(one.pace(&peer, now), other.pace(&peer, now));
            prop_assert_eq!(one.peers(), other.peers());
            prop_assert!(one.peers().len() <= 5);
            for peer in one.peers() {
                let health = one.health(&peer).unwrap();
                prop_assert_eq!(other.health(&peer), Some(health.clone()));
                prop_assert!((0.0..=1.0).contains(&health.reliability.ratio));
                prop_assert!(health.reliability.samples <= 4);
                prop_assert!(health.min_rtt.is_some() == health.srtt.is_some());
                prop_assert_eq!(health.answers, health.kinds.values().map(|kind| kind.confidence.samples).sum::<u64>());
                prop_assert!(health.throughput_confidence.samples <= health.answers);
                prop_assert!((config.rto_min..=config.rto_max).contains(&health.rto));
                prop_assert!(health.throughput.is_none_or(|rate| rate.is_finite() && rate >= 0.0));
            }
        }
    }
}
