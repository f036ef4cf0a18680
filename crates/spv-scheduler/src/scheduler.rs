use std::{
    cmp::Reverse,
    collections::BTreeMap,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use crate::{
    BatchConfig, Cancelled, Conditions, Config, ConfigError, Job, Lengths, Next, Pushed, QueueFull, Rank,
    Ticket, TokenBucket, UnknownTicket,
    claims::{Claims, Leave},
};

/// A bounded priority queue with ready times, ageing and a rate limit, without a clock of its own.
///
/// Among ready items the order is: effective priority, priority, [`Rank::order`], first come, first served.
/// The effective priority rises by one level per [`Config::ageing`] spent ready, without end. Items that are not
/// ready wait apart and never hold up one that is.
///
/// Every ticket ends exactly once: its item is finished, it is cancelled, or [`drain`](Self::drain) hands the item
/// back.
///
/// A scheduler made [with keys](Self::with_keys) holds at most one item per key `K`, and pushes of a key that is held
/// [join](Self::push_keyed) its item.
#[derive(Debug)]
pub struct Scheduler<T, K = ()> {
    capacity: usize,
    ageing: Duration,
    batch: BatchConfig,
    bucket: TokenBucket,
    /// Where the grid on which ageing is counted begins.
    origin: Instant,
    queued: BTreeMap<Ticket, Entry<T>>,
    ready: BTreeMap<Turn, Ticket>,
    waiting: BTreeMap<(Instant, u64), Ticket>,
    /// The attempt each running job is on.
    running: BTreeMap<Ticket, u32>,
    claims: Claims<K>,
    next_sequence: u64,
    throttled: u64,
    /// The rate limit has held up the current head; it is counted once, however often we are polled.
    head_throttled: bool,
}

impl<T> Scheduler<T> {
    /// An empty scheduler with a full token bucket.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: &Config, now: Instant) -> Result<Self, ConfigError> {
        Self::with_keys(config, now)
    }
}

impl<T, K: Ord + Clone> Scheduler<T, K> {
    /// Like [`new`](Scheduler::new), for items of which some have keys.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn with_keys(config: &Config, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            capacity: config.capacity,
            ageing: config.ageing,
            bucket: TokenBucket::new(config.burst, config.per_second)?,
            batch: config.batch,
            origin: now,
            queued: BTreeMap::new(),
            ready: BTreeMap::new(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            claims: Claims::new(),
            next_sequence: 0,
            throttled: 0,
            head_throttled: false,
        })
    }

    /// Queues an item that may run from `ready_at` on; pass `now` for at once.
    ///
    /// # Errors
    /// Hands the item back if [`Config::capacity`] tickets are held already.
    pub fn push(
        &mut self,
        item: T,
        rank: impl Into<Rank>,
        ready_at: Instant,
        now: Instant,
    ) -> Result<Ticket, QueueFull<T>> {
        self.open(None, item, rank.into(), ready_at, now)
    }

    /// Like [`push`](Self::push), but if an item with this key is queued or running, joins that one: it ends all its
    /// tickets together.
    ///
    /// A queued item becomes as urgent as the most urgent push of its key, and as early as the earliest; an item that
    /// waits for its retry keeps its time. Its age stays. A running one is not disturbed.
    ///
    /// # Errors
    /// Hands the item back if [`Config::capacity`] tickets are held already.
    pub fn push_keyed(
        &mut self,
        key: K,
        item: T,
        rank: impl Into<Rank>,
        ready_at: Instant,
        now: Instant,
    ) -> Result<Pushed<T>, QueueFull<T>> {
        let Some(held) = self.claims.find(&key) else {
            return self.open(Some(key), item, rank.into(), ready_at, now).map(Pushed::Queued);
        };
        if self.claims.len() >= self.capacity {
            return Err(QueueFull { item, capacity: self.capacity });
        }
        let ticket = Ticket(self.sequence());
        self.claims.join(held, ticket);
        if let Some(mut entry) = self.take_queued(held) {
            entry.rank = entry.rank.more_urgent(rank.into());
            if entry.attempt == 1 {
                entry.ready_at = entry.ready_at.min(ready_at.max(now));
            }
            self.place(held, entry, now);
        }
        Ok(Pushed::Joined { ticket, item })
    }

    /// Takes the first item that may run at `now`, or says when to ask again.
    pub fn poll(&mut self, now: Instant) -> Next<T> {
        self.promote(now);
        let Some(head) = self.ready.first_entry() else {
            return self.waiting.first_key_value().map_or(Next::Idle, |(&(at, _), _)| Next::WaitUntil(at));
        };
        if let Err(at) = self.bucket.try_take(now) {
            self.throttled += u64::from(!self.head_throttled);
            self.head_throttled = true;
            return Next::WaitUntil(at);
        }
        self.head_throttled = false;
        let ticket = head.remove();
        let Entry { item, rank, attempt, ready_at, .. } =
            self.queued.remove(&ticket).expect("every ready ticket is queued");
        self.running.insert(ticket, attempt);
        let waited = now.saturating_duration_since(ready_at);
        Next::Run(Job { ticket, item, priority: rank.priority, attempt, waited })
    }

    /// Takes what may run at `now`: at most `at_most` jobs, and at most as many as [`Config::batch`] allows under these
    /// conditions. If there are none, [`poll`](Self::poll) at the same `now` says when to ask again.
    #[must_use = "these jobs are running"]
    pub fn poll_batch(&mut self, at_most: NonZeroUsize, conditions: Conditions, now: Instant) -> Vec<Job<T>> {
        let size = self.batch.size(conditions).min(at_most);
        let jobs = std::iter::from_fn(|| match self.poll(now) {
            Next::Run(job) => Some(job),
            Next::WaitUntil(_) | Next::Idle => None,
        });
        jobs.take(size.get()).collect()
    }

    /// Ends a running job. Returns the tickets that end with it, oldest first: its own, unless cancelled, and those that
    /// joined. None if it is not running.
    pub fn finish(&mut self, ticket: Ticket) -> Vec<Ticket> {
        self.running.remove(&ticket).map_or_else(Vec::new, |_| self.claims.end(ticket))
    }

    /// Queues a running job again under the same ticket, with its attempt count and a new rank, which may be
    /// lower. Its age starts anew, so that an item retried at once for ever cannot starve the others.
    ///
    /// # Errors
    /// Hands the item back if the ticket is not running: it was finished or cancelled.
    pub fn retry(
        &mut self,
        ticket: Ticket,
        item: T,
        rank: impl Into<Rank>,
        ready_at: Instant,
        now: Instant,
    ) -> Result<(), UnknownTicket<T>> {
        let Some(attempt) = self.running.remove(&ticket) else {
            return Err(UnknownTicket { ticket, item });
        };
        let (attempt, ready_at) = (attempt.saturating_add(1), ready_at.max(now));
        let entry = Entry { item, rank: rank.into(), attempt, ready_at, sequence: self.sequence() };
        self.place(ticket, entry, now);
        Ok(())
    }

    /// Ends a ticket, and its item wherever it is if no other ticket joined. `None` if it ended before.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<Cancelled<T>> {
        match self.claims.leave(ticket) {
            Leave::Unknown => None,
            Leave::Shared => Some(Cancelled::Shared),
            Leave::Last(item) if self.running.remove(&item).is_some() => Some(Cancelled::Running),
            Leave::Last(item) => self.take_queued(item).map(|entry| Cancelled::Queued(entry.item)),
        }
    }

    /// Takes out everything that is queued: the ready items in their order, then the waiting ones by ready time. Their
    /// tickets end. Running jobs stay with their holders, who may still finish or retry them.
    #[must_use = "these items will not run"]
    pub fn drain(&mut self) -> Vec<T> {
        let ready = std::mem::take(&mut self.ready).into_values();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let mut items = Vec::with_capacity(self.queued.len());
        for ticket in ready.chain(waiting) {
            self.claims.end(ticket);
            items.extend(self.queued.remove(&ticket).map(|entry| entry.item));
        }
        items
    }

    /// How many items are held, by state.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        Lengths { ready: self.ready.len(), waiting: self.waiting.len(), running: self.running.len() }
    }

    /// How many times a ready item was held up by the rate limit, since the start.
    #[must_use]
    pub const fn throttled(&self) -> u64 {
        self.throttled
    }

    fn open(
        &mut self,
        key: Option<K>,
        item: T,
        rank: Rank,
        ready_at: Instant,
        now: Instant,
    ) -> Result<Ticket, QueueFull<T>> {
        if self.claims.len() >= self.capacity {
            return Err(QueueFull { item, capacity: self.capacity });
        }
        let ticket = Ticket(self.sequence());
        self.claims.open(ticket, key);
        let entry = Entry { item, rank, attempt: 1, ready_at: ready_at.max(now), sequence: self.sequence() };
        self.place(ticket, entry, now);
        Ok(ticket)
    }

    fn place(&mut self, ticket: Ticket, entry: Entry<T>, now: Instant) {
        if entry.ready_at <= now {
            self.ready.insert(self.turn(&entry), ticket);
        } else {
            self.waiting.insert((entry.ready_at, entry.sequence), ticket);
        }
        self.queued.insert(ticket, entry);
    }

    fn take_queued(&mut self, ticket: Ticket) -> Option<Entry<T>> {
        let entry = self.queued.remove(&ticket)?;
        if self.waiting.remove(&(entry.ready_at, entry.sequence)).is_none() {
            let turn = self.turn(&entry);
            self.ready.remove(&turn);
        }
        Some(entry)
    }

    fn promote(&mut self, now: Instant) {
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            let ticket = first.remove();
            let turn = self.turn(&self.queued[&ticket]);
            self.ready.insert(turn, ticket);
        }
    }

    /// All items age at the same rate, so the order of two items never changes while they wait: one number
    /// computed once stands for the effective priority, and a sorted map is enough.
    fn turn(&self, entry: &Entry<T>) -> Turn {
        let since_origin = entry.ready_at.saturating_duration_since(self.origin);
        let period = since_origin.as_nanos() / self.ageing.as_nanos();
        let period = u64::try_from(period).unwrap_or(u64::MAX);
        Turn {
            period: period.saturating_add(entry.rank.priority.handicap()),
            priority: Reverse(entry.rank.priority),
            order: entry.rank.order,
            sequence: entry.sequence,
        }
    }

    const fn sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    rank: Rank,
    attempt: u32,
    ready_at: Instant,
    sequence: u64,
}

/// The place in the order; the least runs first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Ageing period in which the item would have become ready had it been critical.
    period: u64,
    priority: Reverse<crate::Priority>,
    order: u64,
    sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Priority::{Critical, High, Low, Normal};

    const AGEING: Duration = Duration::from_secs(5);

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn scheduler(now: Instant) -> Scheduler<&'static str> {
        Scheduler::new(&Config { ageing: AGEING, ..Config::default() }, now).unwrap()
    }

    fn run_all(scheduler: &mut Scheduler<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| match scheduler.poll(now) {
            Next::Run(job) => Some(job.item),
            Next::WaitUntil(_) | Next::Idle => None,
        })
        .collect()
    }

    #[test]
    fn urgent_first_then_the_callers_order_then_first_come() {
        let t0 = start();
        let mut s = scheduler(t0);
        let ranks = [
            ("low", Rank::from(Low)),
            ("normal 7", Normal.in_order(7)),
            ("normal 3", Normal.in_order(3)),
            ("normal 3 again", Normal.in_order(3)),
            ("critical", Critical.into()),
            ("high", High.into()),
        ];
        for (item, rank) in ranks {
            s.push(item, rank, t0, t0).unwrap();
        }
        let order = run_all(&mut s, t0);
        assert_eq!(order, ["critical", "high", "normal 3", "normal 3 again", "normal 7", "low"]);
    }

    #[test]
    fn an_item_that_is_not_ready_does_not_hold_up_the_others() {
        let t0 = start();
        let mut s = scheduler(t0);
        let later = t0 + Duration::from_secs(3);
        s.push("later", Critical, later, t0).unwrap();
        s.push("now", Low, t0, t0).unwrap();
        assert_eq!(run_all(&mut s, t0), ["now"]);
        assert_eq!(s.poll(t0), Next::WaitUntil(later));
        assert_eq!(run_all(&mut s, later), ["later"]);
        assert_eq!(s.poll(later), Next::Idle);
    }

    #[test]
    fn ageing_lifts_a_low_item_over_fresh_critical_ones() {
        let t0 = start();
        let mut s = scheduler(t0);
        s.push("low", Low, t0, t0).unwrap();
        s.push("soon", Critical, t0 + AGEING, t0).unwrap();
        s.push("late", Critical, t0 + 4 * AGEING, t0).unwrap();
        assert_eq!(run_all(&mut s, t0 + 4 * AGEING), ["soon", "low", "late"]);
    }

    #[test]
    fn the_rate_limit_tells_when_and_counts_each_hold_up_once() {
        let t0 = start();
        let config = Config { burst: 1, per_second: 2.0, ..Config::default() };
        let mut s = Scheduler::new(&config, t0).unwrap();
        for item in ["a", "b"] {
            s.push(item, Normal, t0, t0).unwrap();
        }
        assert_eq!(run_all(&mut s, t0), ["a"]);
        let at = t0 + Duration::from_millis(500);
        assert_eq!(s.poll(t0), Next::WaitUntil(at));
        assert_eq!(run_all(&mut s, at), ["b"]);
        assert_eq!(s.throttled(), 1);
        assert_eq!(s.poll(at), Next::Idle, "an empty queue asks for no token");
    }

    #[test]
    fn a_retry_keeps_ticket_and_attempts_and_may_be_demoted() {
        let t0 = start();
        let mut s = scheduler(t0);
        let ticket = s.push("work", High, t0, t0).unwrap();
        let Next::Run(job) = s.poll(t0) else { panic!("ready") };
        assert_eq!((job.ticket, job.attempt, job.priority), (ticket, 1, High));
        s.retry(ticket, job.item, job.priority.lowered(), t0 + AGEING, t0).unwrap();
        assert_eq!(s.poll(t0), Next::WaitUntil(t0 + AGEING));
        let Next::Run(job) = s.poll(t0 + 2 * AGEING) else { panic!("ready") };
        assert_eq!((job.ticket, job.attempt, job.priority, job.waited), (ticket, 2, Normal, AGEING));
        assert_eq!(s.finish(ticket), [ticket]);
        assert_eq!(s.finish(ticket), []);
        assert_eq!(s.retry(ticket, "work", High, t0, t0), Err(UnknownTicket { ticket, item: "work" }));
        assert_eq!(s.lengths(), Lengths::default());
    }

    #[test]
    fn a_full_queue_hands_the_item_back_but_a_retry_always_fits() {
        let t0 = start();
        let mut s = Scheduler::new(&Config { capacity: 1, ..Config::default() }, t0).unwrap();
        let ticket = s.push("a", Normal, t0, t0).unwrap();
        assert_eq!(s.push("b", Critical, t0, t0), Err(QueueFull { item: "b", capacity: 1 }));
        let Next::Run(job) = s.poll(t0) else { panic!("ready") };
        assert!(s.push("b", Critical, t0, t0).is_err(), "a running job keeps its place");
        s.retry(ticket, job.item, Normal, t0, t0).unwrap();
        assert_eq!(s.lengths().total(), 1);
    }

    #[test]
    fn cancelling_ends_an_item_in_every_state() {
        let t0 = start();
        let mut s = scheduler(t0);
        let running = s.push("running", Critical, t0, t0).unwrap();
        let ready = s.push("ready", Normal, t0, t0).unwrap();
        let waiting = s.push("waiting", Normal, t0 + AGEING, t0).unwrap();
        let Next::Run(job) = s.poll(t0) else { panic!("ready") };
        assert_eq!(s.cancel(running), Some(Cancelled::Running));
        assert!(s.retry(running, job.item, Normal, t0, t0).is_err());
        assert_eq!(s.cancel(ready), Some(Cancelled::Queued("ready")));
        assert_eq!(s.cancel(waiting), Some(Cancelled::Queued("waiting")));
        assert_eq!(s.cancel(waiting), None);
        assert_eq!(s.poll(t0 + AGEING), Next::Idle);
        assert_eq!(s.lengths(), Lengths::default());
    }

    #[test]
    fn draining_hands_back_what_is_queued_in_order() {
        let t0 = start();
        let mut s = scheduler(t0);
        for (item, priority, delay) in
            [("later", Critical, 2), ("b", Low, 0), ("soon", Low, 1), ("a", High, 0)]
        {
            s.push(item, priority, t0 + Duration::from_secs(delay), t0).unwrap();
        }
        assert_eq!(s.drain(), ["a", "b", "soon", "later"]);
        assert_eq!(s.poll(t0 + AGEING), Next::Idle);
    }

    #[test]
    fn a_job_retried_for_ever_does_not_starve_its_equals() {
        let t0 = start();
        let mut s = scheduler(t0);
        s.push("greedy", Normal.in_order(0), t0, t0).unwrap();
        s.push("modest", Normal.in_order(9), t0, t0).unwrap();
        let mut now = t0;
        for _ in 0..20 {
            now += Duration::from_secs(1);
            let Next::Run(job) = s.poll(now) else { panic!("ready") };
            if job.item == "modest" {
                assert!(now - t0 <= 2 * AGEING);
                return;
            }
            s.retry(job.ticket, job.item, Normal.in_order(0), now, now).unwrap();
        }
        panic!("starved");
    }
}
