use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// How the names of the mechanism crates begin, wherever these are used.
const OF_CRATES: &str = "spv_";

/// How the names of all metrics of this program begin.
const OF_PROGRAM: &str = "qrsync_";

/// Gives the metrics of the mechanism crates the prefix of this program, `qrsync_executor_…` for `spv_executor_…`, so that
/// an operator finds all of them under one.
pub(super) struct OnePrefix<R>(pub(super) R);

fn renamed(name: &str) -> Option<String> {
    name.strip_prefix(OF_CRATES).map(|rest| format!("{OF_PROGRAM}{rest}"))
}

fn name(name: KeyName) -> KeyName {
    renamed(name.as_str()).map_or(name, KeyName::from)
}

fn with_key<T>(key: &Key, register: impl FnOnce(&Key) -> T) -> T {
    match renamed(key.name()) {
        Some(name) => register(&Key::from_parts(name, key.labels().cloned().collect::<Vec<_>>())),
        None => register(key),
    }
}

impl<R: Recorder> Recorder for OnePrefix<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_counter(name(key), unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_gauge(name(key), unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_histogram(name(key), unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        with_key(key, |key| self.0.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        with_key(key, |key| self.0.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        with_key(key, |key| self.0.register_histogram(key, metadata))
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, with_local_recorder};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn names_of_the_mechanism_crates_begin_as_all_others() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&OnePrefix(recorder), || {
            spv_integration::describe_metrics();
            counter!("spv_executor_requests_total", "outcome" => "panicked").increment(2);
            counter!("qrsync_requests_total", "kind" => "qrinfo").increment(3);
        });
        let text = handle.render();
        for line in [
            "# TYPE qrsync_executor_requests_total counter",
            "qrsync_executor_requests_total{outcome=\"panicked\"} 2",
            "qrsync_requests_total{kind=\"qrinfo\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert!(!text.contains("spv_"), "{text}");
    }
}
