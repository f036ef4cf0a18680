//! Random operations against a slow, obvious version of the same queue.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use proptest::{prelude::*, test_runner::TestCaseResult};
use spv_scheduler::{
    BatchConfig, Cancelled, Conditions, Config, Job, Next, Priority, Pushed, Scheduler, Ticket, TokenBucket,
};

const AGEING_MS: u64 = 1_000;
const CAPACITY: usize = 12;

#[derive(Debug, Clone)]
enum Op {
    Push { key: Option<u8>, priority: Priority, order: u64, delay: u64 },
    Poll,
    Batch { at_most: usize, unstable: bool },
    Finish(usize),
    Retry { pick: usize, priority: Priority, delay: u64 },
    Cancel(usize),
    Advance(u64),
    Drain,
}

/// Everything in one list, searched from end to end.
struct Model {
    queued: Vec<Queued>,
    running: Vec<Queued>,
    bucket: TokenBucket,
    arrivals: u64,
}

#[derive(Debug, Clone)]
struct Queued {
    /// The push that brought it.
    id: u64,
    key: Option<u8>,
    /// The pushes that it will end.
    claims: Vec<u64>,
    priority: Priority,
    order: u64,
    ready_at: u64,
    arrival: u64,
    attempt: u32,
}

impl Model {
    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// The level an item has risen to at `now`: one more for each line of the ageing grid crossed.
    fn level(item: &Queued, now: u64) -> u64 {
        item.priority as u64 + now / AGEING_MS - item.ready_at / AGEING_MS
    }

    fn held(&mut self) -> impl Iterator<Item = &mut Queued> {
        self.queued.iter_mut().chain(&mut self.running)
    }

    fn claims(&mut self) -> usize {
        self.held().map(|item| item.claims.len()).sum()
    }

    fn join(&mut self, key: Option<u8>, id: u64, priority: Priority, order: u64, ready_at: u64) -> bool {
        let Some(item) = key.and_then(|key| self.held().find(|item| item.key == Some(key))) else {
            return false;
        };
        item.claims.push(id);
        let item_id = item.id;
        if let Some(item) = self.queued.iter_mut().find(|item| item.id == item_id) {
            if priority > item.priority || priority == item.priority && order < item.order {
                (item.priority, item.order) = (priority, order);
            }
            if item.attempt == 1 {
                item.ready_at = item.ready_at.min(ready_at);
            }
        }
        true
    }

    /// The first job that may run, if the rate allows.
    fn run(&mut self, now: u64, at: Instant) -> Option<Result<&Queued, Instant>> {
        let head = self.head(now)?;
        Some(self.bucket.try_take(at).map(|()| {
            let item = self.queued.remove(head);
            self.running.push(item);
            self.running.last().unwrap()
        }))
    }

    fn head(&self, now: u64) -> Option<usize> {
        (0..self.queued.len()).filter(|&i| self.queued[i].ready_at <= now).min_by_key(|&i| {
            let item = &self.queued[i];
            (u64::MAX - Self::level(item, now), 3 - item.priority as u64, item.order, item.arrival)
        })
    }
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High), Just(Priority::Critical)]
}

fn op() -> impl Strategy<Value = Op> {
    let delay = || prop_oneof![Just(0_u64), 0_u64..3_000];
    prop_oneof![
        5 => (proptest::option::of(0_u8..4), priority(), 0_u64..4, delay())
            .prop_map(|(key, priority, order, delay)| Op::Push { key, priority, order, delay }),
        4 => Just(Op::Poll),
        1 => (1_usize..6, any::<bool>()).prop_map(|(at_most, unstable)| Op::Batch { at_most, unstable }),
        2 => any::<usize>().prop_map(Op::Finish),
        2 => (any::<usize>(), priority(), delay())
            .prop_map(|(pick, priority, delay)| Op::Retry { pick, priority, delay }),
        1 => any::<usize>().prop_map(Op::Cancel),
        3 => (0_u64..1_500).prop_map(Op::Advance),
        1 => Just(Op::Drain),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Cancelled,
    Drained,
}

fn same_job(
    job: &Job<u64>,
    item: &Queued,
    now: u64,
    tickets: &BTreeMap<u64, Ticket>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!((job.item, job.attempt, job.priority), (item.id, item.attempt, item.priority));
    prop_assert_eq!(job.waited, Duration::from_millis(now - item.ready_at));
    prop_assert_eq!(job.ticket, tickets[&item.id]);
    Ok(())
}

fn check(ops: Vec<Op>) -> TestCaseResult {
    let t0 = tokio::time::Instant::now().into_std();
    let at = |ms: u64| t0 + Duration::from_millis(ms);
    let config = Config {
        capacity: CAPACITY,
        burst: 3,
        per_second: 4.0,
        ageing: Duration::from_millis(AGEING_MS),
        batch: BatchConfig { max: 4, unstable: 0.5, ..BatchConfig::default() },
    };
    let mut real: Scheduler<u64, u8> = Scheduler::with_keys(&config, t0).unwrap();
    let bucket = TokenBucket::new(3, 4.0).unwrap();
    let mut model = Model { queued: Vec::new(), running: Vec::new(), bucket, arrivals: 0 };
    let mut tickets: BTreeMap<u64, Ticket> = BTreeMap::new();
    let mut ends: BTreeMap<u64, End> = BTreeMap::new();
    let mut end = |id: u64, how: End| assert_eq!(ends.insert(id, how), None, "{id} ended twice");
    let (mut now, mut next_id) = (0_u64, 0_u64);

    for op in ops {
        match op {
            Op::Push { key, priority, order, delay } => {
                let (rank, ready_at) = (priority.in_order(order), now + delay);
                let pushed = match key {
                    Some(key) => real.push_keyed(key, next_id, rank, at(ready_at), at(now)),
                    None => real.push(next_id, rank, at(ready_at), at(now)).map(Pushed::Queued),
                };
                prop_assert_eq!(pushed.is_ok(), model.claims() < CAPACITY);
                if let Ok(pushed) = pushed {
                    let ticket = pushed.ticket();
                    prop_assert!(!tickets.values().any(|&other| other == ticket), "a ticket is used twice");
                    tickets.insert(next_id, ticket);
                    if model.join(key, next_id, priority, order, ready_at) {
                        prop_assert_eq!(pushed, Pushed::Joined { ticket, item: next_id });
                    } else {
                        prop_assert_eq!(pushed, Pushed::Queued(ticket));
                        let (arrival, claims) = (model.arrival(), vec![next_id]);
                        let item = Queued {
                            id: next_id,
                            key,
                            claims,
                            priority,
                            order,
                            ready_at,
                            arrival,
                            attempt: 1,
                        };
                        model.queued.push(item);
                    }
                    next_id += 1;
                }
            }
            Op::Poll => match (real.poll(at(now)), model.run(now, at(now))) {
                (Next::Run(job), Some(Ok(item))) => same_job(&job, item, now, &tickets)?,
                (Next::WaitUntil(until), Some(Err(token))) => prop_assert_eq!(until, token),
                (Next::WaitUntil(until), None) => {
                    let first = model.queued.iter().map(|item| item.ready_at).min();
                    prop_assert_eq!(Some(until), first.map(at));
                }
                (Next::Idle, None) => prop_assert!(model.queued.is_empty()),
                (got, expected) => prop_assert!(false, "{:?} instead of {:?}", got, expected),
            },
            Op::Batch { at_most, unstable } => {
                let conditions = Conditions { unstable, ..Conditions::default() };
                let jobs = real.poll_batch(NonZeroUsize::new(at_most).unwrap(), conditions, at(now));
                let size = at_most.min(if unstable { 2 } else { 4 });
                prop_assert!(jobs.len() <= size);
                for job in &jobs {
                    let Some(Ok(item)) = model.run(now, at(now)) else { panic!("{job:?} may not run") };
                    same_job(job, item, now, &tickets)?;
                }
                if jobs.len() < size {
                    prop_assert!(!matches!(model.run(now, at(now)), Some(Ok(_))), "more may run");
                }
            }
            Op::Finish(pick) if !model.running.is_empty() => {
                let item = model.running.swap_remove(pick % model.running.len());
                let ended: Vec<_> = item.claims.iter().map(|id| tickets[id]).collect();
                prop_assert_eq!(real.finish(tickets[&item.id]), ended);
                item.claims.into_iter().for_each(|id| end(id, End::Finished));
            }
            Op::Retry { pick, priority, delay } if !model.running.is_empty() => {
                let item = model.running.swap_remove(pick % model.running.len());
                let ready_at = now + delay;
                let rank = priority.in_order(item.order);
                prop_assert!(real.retry(tickets[&item.id], item.id, rank, at(ready_at), at(now)).is_ok());
                let arrival = model.arrival();
                model.queued.push(Queued { priority, ready_at, arrival, attempt: item.attempt + 1, ..item });
            }
            Op::Cancel(pick) if next_id > 0 => {
                let id = pick as u64 % next_id;
                let mine = |item: &Queued| item.claims.contains(&id);
                let (queued, running) =
                    (model.queued.iter().position(mine), model.running.iter().position(mine));
                let others = model.held().any(|item| mine(item) && item.claims.len() > 1);
                match (real.cancel(tickets[&id]), queued, running) {
                    (Some(Cancelled::Shared), ..) if others => {
                        model.held().for_each(|item| item.claims.retain(|&claim| claim != id));
                        end(id, End::Cancelled);
                    }
                    (Some(Cancelled::Queued(item)), Some(i), None) if !others => {
                        prop_assert_eq!(item, model.queued.remove(i).id);
                        end(id, End::Cancelled);
                    }
                    (Some(Cancelled::Running), None, Some(i)) if !others => {
                        model.running.remove(i);
                        end(id, End::Cancelled);
                    }
                    (None, None, None) => {}
                    (got, ..) => prop_assert!(false, "{:?} for {}", got, id),
                }
            }
            Op::Drain => {
                let mut drained = real.drain();
                let mut expected: Vec<_> = model.queued.iter().map(|item| item.id).collect();
                expected.sort_unstable();
                drained.sort_unstable();
                prop_assert_eq!(&drained, &expected);
                model.queued.drain(..).flat_map(|item| item.claims).for_each(|id| end(id, End::Drained));
            }
            Op::Advance(ms) => now += ms,
            Op::Finish(_) | Op::Retry { .. } | Op::Cancel(_) => {}
        }
        let lengths = real.lengths();
        prop_assert_eq!(lengths.ready + lengths.waiting, model.queued.len());
        prop_assert_eq!(lengths.running, model.running.len());
        prop_assert!(lengths.total() <= CAPACITY);
    }
    prop_assert_eq!(ends.len() + model.claims(), tickets.len(), "every ticket ended once or is still held");
    Ok(())
}

/// Runs everything that can run at `now`.
fn run_ready(scheduler: &mut Scheduler<usize>, now: Instant) -> Vec<usize> {
    std::iter::from_fn(|| match scheduler.poll(now) {
        Next::Run(job) => Some(job.item),
        Next::WaitUntil(_) | Next::Idle => None,
    })
    .collect()
}

proptest! {
    #[test]
    fn the_scheduler_does_what_the_obvious_model_does(ops in proptest::collection::vec(op(), 1..200)) {
        check(ops)?;
    }

    #[test]
    fn nothing_overtakes_an_item_that_became_ready_four_ageing_periods_before(
        items in proptest::collection::vec((priority(), 0_u64..5, 0_u64..20_000), 2..60),
    ) {
        let t0 = tokio::time::Instant::now().into_std();
        let ageing = Duration::from_millis(AGEING_MS);
        let mut scheduler = Scheduler::new(&Config { burst: 1_000, ageing, ..Config::default() }, t0).unwrap();
        for (id, &(priority, order, ready_ms)) in items.iter().enumerate() {
            let ready_at = t0 + Duration::from_millis(ready_ms);
            scheduler.push(id, priority.in_order(order), ready_at, t0).unwrap();
        }
        let order = run_ready(&mut scheduler, t0 + Duration::from_secs(30));
        prop_assert_eq!(order.len(), items.len());
        for (i, &first) in order.iter().enumerate() {
            for &second in &order[i + 1..] {
                let ((p1, _, r1), (p2, _, r2)) = (items[first], items[second]);
                prop_assert!(r1 < r2 + 4 * AGEING_MS, "{} before {}", first, second);
                let near = r1.abs_diff(r2) < AGEING_MS;
                prop_assert!(!near || p1 >= p2, "close in time, the higher priority goes first");
            }
        }
    }

    #[test]
    fn equal_inputs_give_equal_order(
        items in proptest::collection::vec((priority(), 0_u64..3, 0_u64..5_000), 1..60),
    ) {
        let t0 = tokio::time::Instant::now().into_std();
        let run = || {
            let mut scheduler = Scheduler::new(&Config::default(), t0).unwrap();
            for (id, &(priority, order, ready_ms)) in items.iter().enumerate() {
                let ready_at = t0 + Duration::from_millis(ready_ms);
                scheduler.push(id, priority.in_order(order), ready_at, t0).unwrap();
            }
            (0..6).map(|s| run_ready(&mut scheduler, t0 + Duration::from_secs(s))).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}
