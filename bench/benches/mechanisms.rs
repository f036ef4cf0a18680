//! What the mechanisms cost per request: correlation, scheduling, execution.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spv_correlation::{Expectation, PendingTable};
use spv_executor::{Config, Depth, Executor, Transport};
use spv_scheduler::{Next, Priority, Scheduler};

struct Ask(u32);

impl Expectation for Ask {
    type Response = u32;
    type Content = u32;
    type Key = u32;

    fn content(response: &u32) -> u32 {
        *response
    }

    fn key(&self) -> u32 {
        self.0
    }

    fn accepts(&self, content: &u32) -> bool {
        *content == self.0
    }
}

/// Register, answer, fence: what each request of a connection costs, with three in flight.
fn correlation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("correlation");
    group.throughput(Throughput::Elements(3));
    group.bench_function("register, match and fence three", |bencher| {
        let now = now();
        let mut table =
            PendingTable::new(&spv_correlation::Config::default(), 1).expect("defaults are sound");
        bencher.iter(|| {
            let registered: Vec<_> =
                (0..3).map(|echo| table.register(Ask(echo), now).expect("there is room for three")).collect();
            for (echo, registration) in (0..3).zip(registered) {
                let _ = black_box(table.on_response(&echo, now));
                let _ = black_box(table.on_fence(registration.fence, now));
            }
        });
    });
    group.finish();
}

/// A queue that holds 100,000 requests: push all, pop all.
fn scheduling(criterion: &mut Criterion) {
    const COUNT: usize = 100_000;
    let config = spv_scheduler::Config {
        capacity: COUNT,
        burst: 1_000_000,
        per_second: 1e6,
        ..spv_scheduler::Config::default()
    };
    let mut group = criterion.benchmark_group("scheduling");
    group.sample_size(20).throughput(Throughput::Elements(COUNT as u64));
    let now = now();
    let full = || {
        let mut scheduler = Scheduler::new(&config, now).expect("the bounds are sound");
        for item in 0..COUNT {
            assert!(
                scheduler
                    .push(item, PRIORITIES[item % PRIORITIES.len()].in_order(item as u64), now, now)
                    .is_ok()
            );
        }
        scheduler
    };
    group.bench_function("push 100,000", |bencher| bencher.iter_with_large_drop(full));
    group.bench_function("pop and finish 100,000", |bencher| {
        bencher.iter_batched(
            full,
            |mut scheduler| {
                while let Next::Run(job) = scheduler.poll(now) {
                    let _ = black_box(scheduler.finish(job.ticket));
                }
                scheduler
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

struct Echo;

impl Transport for Echo {
    type Peer = u32;
    type Request = u64;
    type Response = u64;
    type Error = Infallible;

    async fn send(&self, _: &u32, request: u64) -> Result<u64, Infallible> {
        Ok(request)
    }
}

/// What the executor adds to a request that costs nothing itself.
fn execution(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = criterion.benchmark_group("execution");
    for peers in [5_u32, 64] {
        let executor = runtime.block_on(async { Executor::new(Echo, Config::default()) });
        let executor = executor.expect("defaults are sound");
        for peer in 0..peers {
            executor.add_peer(peer, Depth::THREE);
        }
        group.bench_function(format!("one request, {peers} peers"), |bencher| {
            bencher
                .iter(|| runtime.block_on(executor.execute(1)).map(|answer| answer.permit.accept()).is_ok());
        });
    }
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "a moment to count from")]
fn now() -> Instant {
    Instant::now()
}

criterion_group!(benches, correlation, scheduling, execution);
criterion_main!(benches);
