//! Benchmarks in pairs: ours beside a straightforward way to the same result, and at the end how many times faster.
#![allow(dead_code, unreachable_pub, reason = "each benchmark uses another part")]
#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::Criterion;
use serde_json::Value;

pub struct Comparisons {
    criterion: Criterion,
    results: PathBuf,
    measured: Vec<(String, [String; 2], f64)>,
}

impl Comparisons {
    /// `results` is where the measurements of this benchmark are kept from one run to the next.
    pub fn new(results: &Path) -> Self {
        let criterion = Criterion::default()
            .output_directory(results)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .sample_size(30)
            .configure_from_args();
        Self { criterion, results: results.to_owned(), measured: Vec::new() }
    }

    /// Measures both ways, each named; the second one is to be the faster one. `work` is how many times the named
    /// thing is done by one call.
    pub fn compare<A, B>(
        &mut self,
        name: &str,
        work: usize,
        (slow_name, mut slow): (&str, impl FnMut() -> A),
        (fast_name, mut fast): (&str, impl FnMut() -> B),
    ) {
        for way in [slow_name, fast_name] {
            // So that a result that is there was measured now.
            fs::remove_dir_all(self.results.join(name).join(way).join("new")).ok();
        }
        let mut group = self.criterion.benchmark_group(name);
        group.bench_function(slow_name, |bencher| bencher.iter(|| black_box(slow())));
        group.bench_function(fast_name, |bencher| bencher.iter(|| black_box(fast())));
        group.finish();
        let work = u32::try_from(work.max(1)).expect("no benchmark does so much");
        self.measured.push((name.to_owned(), [slow_name.to_owned(), fast_name.to_owned()], work.into()));
    }

    /// Prints medians and ratios of what was measured; nothing where the benchmarks were only tested.
    pub fn finish(self) {
        self.criterion.final_summary();
        let mut rows = Vec::new();
        for (name, ways, work) in &self.measured {
            let median = |way: &str| Some(self.median(name, way)? / 1e6 / work);
            if let (Some(slow), Some(fast)) = (median(&ways[0]), median(&ways[1])) {
                rows.push((name, ways, slow, fast));
            }
        }
        if rows.is_empty() {
            return;
        }
        println!("\nmedian, milliseconds");
        for (name, [slow_name, fast_name], slow, fast) in rows {
            let ratio = slow / fast;
            println!("{name:<44} {slow:>9.4} {slow_name}, {fast:>9.4} {fast_name}: {ratio:.1} times faster");
        }
    }

    /// In nanoseconds.
    fn median(&self, name: &str, way: &str) -> Option<f64> {
        let path = self.results.join(name).join(way).join("new").join("estimates.json");
        let estimates: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    }
}
