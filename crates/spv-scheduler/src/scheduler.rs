use std::{
    cmp::Reverse,
    collections::BTreeMap,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use crate::{
    batch::{BatchConfig, Conditions},
    claims::{Claims, Leave},
    config::Config,
    error::{ConfigError, QueueFull, UnknownTicket},
    job::{Cancelled, Job, Lengths, Next, Pushed, Ticket},
    priority::{Priority, Rank},
    token_bucket::TokenBucket,
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
    /// Creates an empty scheduler with a full token bucket.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn new(config: &Config, now: Instant) -> Result<Self, ConfigError> {
        Self::with_keys(config, now)
    }
}

impl<T, K: Ord + Clone> Scheduler<T, K> {
    /// Creates a scheduler like [`new`](Scheduler::new), for items of which some have keys.
    ///
    /// # Errors
    /// Names the first configuration field out of range.
    pub fn with_keys(config: &Config, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            capacity: config.capacity,
            ageing: config.ageing,
            bucket: TokenBucket::full(config.burst, config.per_second),
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

    /// Queues an item that may run from `ready_at` on; `now` means at once.
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

    /// Like [`push`](Self::push), but if an item with this key is queued or running, the push joins that item, and all
    /// its tickets end together.
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

    /// Returns the first item that may run at `now`, or the time at which to poll again.
    pub fn poll(&mut self, now: Instant) -> Next<T> {
        self.poll_where(now, |_, _| Ok(()))
    }

    /// Like [`poll`](Self::poll), but skips items that may not run yet, for example because the rate of their host is
    /// used up. For those, `may_run` returns the instant after `now` at which to check again. They keep their place and
    /// their age, and take no token of the scheduler's rate.
    ///
    /// An item for which `may_run` returns `Ok` runs, so it may take a token of its own there, as by
    /// [`TokenBuckets::try_take`](crate::TokenBuckets::try_take). It is asked for each ready item in turn until one may run.
    ///
    /// # Panics
    /// Where `may_run` does. All items stay where they are.
    pub fn poll_where(
        &mut self,
        now: Instant,
        mut may_run: impl FnMut(&T, Instant) -> Result<(), Instant>,
    ) -> Next<T> {
        self.promote(now);
        let mut ask_again = self.waiting.first_key_value().map(|(&(at, _), _)| at);
        // Before any item is asked, which may take a token of its own.
        let has_token_at = self.bucket.ready_at(now);
        if !self.ready.is_empty() && has_token_at > now {
            self.throttled += u64::from(!self.head_throttled);
            self.head_throttled = true;
            return Next::WaitUntil(has_token_at);
        }
        let found =
            self.ready.values().copied().find(|ticket| match may_run(&self.queued[ticket].item, now) {
                Ok(()) => true,
                Err(at) => {
                    ask_again = Some(ask_again.map_or(at, |other| other.min(at)));
                    false
                }
            });
        let Some((ticket, entry)) = found.and_then(|ticket| Some((ticket, self.take_queued(ticket)?))) else {
            return ask_again.map_or(Next::Idle, Next::WaitUntil);
        };
        let taken = self.bucket.try_take(now);
        debug_assert!(taken.is_ok(), "there was a token");
        self.head_throttled = false;
        let Entry { item, rank, attempt, ready_at, .. } = entry;
        self.running.insert(ticket, attempt);
        let waited = now.saturating_duration_since(ready_at);
        Next::Run(Job { ticket, item, priority: rank.priority, attempt, waited })
    }

    /// Returns the jobs that may run at `now`: at most `at_most`, and at most as many as [`Config::batch`] allows under
    /// these conditions. If there are none, [`poll`](Self::poll) at the same `now` says when to ask again.
    #[must_use = "these jobs are running"]
    pub fn poll_batch(&mut self, at_most: NonZeroUsize, conditions: Conditions, now: Instant) -> Vec<Job<T>> {
        let size = self.batch.size(conditions).min(at_most);
        let jobs = std::iter::from_fn(|| match self.poll(now) {
            Next::Run(job) => Some(job),
            Next::WaitUntil(_) | Next::Idle => None,
        });
        jobs.take(size.get()).collect()
    }

    /// Ends a running job, and returns the tickets that end with it, oldest first: its own, unless cancelled, and those
    /// that joined. There are none if it is not running.
    pub fn finish(&mut self, ticket: Ticket) -> Vec<Ticket> {
        self.running.remove(&ticket).map_or_else(Vec::new, |_| self.claims.end(ticket))
    }

    /// Ends a job that runs for the `attempt`-th time; does nothing if it was ended, or retried, since.
    pub(crate) fn finish_attempt(&mut self, ticket: Ticket, attempt: u32) {
        if self.running.get(&ticket) == Some(&attempt) {
            self.finish(ticket);
        }
    }

    /// Queues a running job again under the same ticket, with its attempt count and a new rank, which may be lower. Its
    /// age starts again, so that an item that is always retried at once cannot starve the others.
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

    /// Ends a ticket, and also its item if no other ticket joined it. `None` if the ticket had ended before.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<Cancelled<T>> {
        match self.claims.leave(ticket) {
            Leave::Unknown => None,
            Leave::Shared => Some(Cancelled::Shared),
            Leave::Last(item) if self.running.remove(&item).is_some() => Some(Cancelled::Running),
            Leave::Last(item) => self.take_queued(item).map(|entry| Cancelled::Queued(entry.item)),
        }
    }

    /// Removes and returns all queued items: the ready ones in their order, then the waiting ones by ready time. Their
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

    /// Returns the number of items, by state.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        Lengths { ready: self.ready.len(), waiting: self.waiting.len(), running: self.running.len() }
    }

    /// Returns how many times the rate limit has delayed a ready item since the start.
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
    priority: Reverse<Priority>,
    order: u64,
    sequence: u64,
}

#[cfg(test)]
mod tests;
