//! The plan, as it is by default, against a slow, obvious version of itself. What the model takes from the plan is what is
//! known of each peer alone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{ExpectedCompletion, LeastLoaded, LowestLatency, RoundRobin};

#[derive(Clone, Debug)]
enum Op {
    Add(Peer, Depth),
    Remove(Peer),
    SetDepth(Peer, Depth),
    SetRtt(Peer, Duration),
    Submit { exclude: BTreeSet<Peer>, bytes: u64, order: Option<u64> },
    Cancel(prop::sample::Index),
    Answer(prop::sample::Index, u64),
    Judge(prop::sample::Index, Option<bool>),
    Fail(prop::sample::Index),
    GiveUp(prop::sample::Index),
    Wait(Duration),
    Drain,
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    let peer = 0..5_u8;
    let depth = (1..=3_u8).prop_map(|value| Depth::try_from(value).unwrap());
    let order = prop_oneof![1 => Just(None), 2 => (0..9_u64).prop_map(Some)];
    let bytes = prop_oneof![1 => Just(0), 3 => 1..60_u64, 1 => Just(2 * MAX_BYTES)];
    let submit = (prop::collection::btree_set(peer.clone(), 0..5), bytes, order);
    prop_oneof![
        3 => (peer.clone(), depth.clone()).prop_map(|(peer, depth)| Op::Add(peer, depth)),
        1 => peer.clone().prop_map(Op::Remove),
        2 => (peer.clone(), 0..600_u64).prop_map(|(peer, ms)| Op::SetRtt(peer, Duration::from_millis(ms))),
        1 => (peer, depth).prop_map(|(peer, depth)| Op::SetDepth(peer, depth)),
        12 => submit.prop_map(|(exclude, bytes, order)| Op::Submit { exclude, bytes, order }),
        1 => index().prop_map(Op::Cancel),
        6 => (index(), 0..60_u64).prop_map(|(index, bytes)| Op::Answer(index, bytes)),
        5 => (index(), prop::option::weighted(0.8, any::<bool>())).prop_map(|(index, good)| Op::Judge(index, good)),
        3 => index().prop_map(Op::Fail),
        1 => index().prop_map(Op::GiveUp),
        6 => (1..4_000_u64).prop_map(|ms| Op::Wait(Duration::from_millis(ms))),
        1 => Just(Op::Drain),
    ]
}

/// Lists searched from the front, nothing kept that can be counted.
#[derive(Default)]
struct Model {
    now: Duration,
    max_in_flight: usize,
    peers: BTreeMap<Peer, ModelPeer>,
    waiting: Vec<Request>,
    copies: Vec<Copy>,
    /// Answers not judged yet: whose, and their bytes.
    held: Vec<(Peer, u64)>,
    accepted: u64,
    hedged: BTreeSet<Job>,
    /// The same as the plan's: tested by itself.
    losses: Losses,
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Verdict {
    Came,
    Good,
    Rejected,
    Failed,
}

#[derive(Clone, Copy)]
struct ModelPeer {
    depth: Depth,
    connected: bool,
    unanswered: u32,
    rejected: u32,
    rests_until: Duration,
}

#[derive(Clone, Debug, PartialEq)]
struct Request {
    job: Job,
    exclude: BTreeSet<Peer>,
    bytes: u64,
    order: Option<u64>,
}

#[derive(Clone, Debug)]
struct Copy {
    request: Request,
    peer: Peer,
    hedge_at: Duration,
    /// Somebody waits for the request.
    awaited: bool,
}

impl Model {
    fn in_flight(&self, peer: Peer) -> usize {
        self.copies.iter().filter(|copy| copy.peer == peer).count()
    }

    fn eligible(&self, exclude: &BTreeSet<Peer>) -> Vec<Peer> {
        let connected = self.peers.iter().filter(|(peer, known)| known.connected && !exclude.contains(peer));
        connected.map(|(peer, _)| *peer).collect()
    }

    fn has_room(&self, plan: &Plan<Peer, Job>, peer: Peer) -> bool {
        self.in_flight(peer) < adapted_depth(plan, peer)
    }

    fn rests(&self, peer: Peer) -> bool {
        self.peers.get(&peer).is_some_and(|known| self.now < known.rests_until)
    }

    /// The peers a request may start with now, as far as slots go.
    fn open_to(&self, plan: &Plan<Peer, Job>, request: &Request) -> Vec<Peer> {
        let eligible = self.eligible(&request.exclude);
        let mut peers = eligible.clone();
        if peers.iter().any(|peer| !self.rests(*peer)) {
            let spared = self.spared(plan, &eligible, request.bytes, self.waiting.len());
            peers.retain(|peer| !self.rests(*peer) && !spared.contains(peer));
        }
        peers.retain(|peer| self.has_room(plan, *peer) && self.copies.len() < self.max_in_flight);
        peers
    }

    /// The peers that are not worth asking for one of so many requests: each is weighed against each other.
    fn spared(
        &self,
        plan: &Plan<Peer, Job>,
        eligible: &[Peer],
        bytes: u64,
        to_send: usize,
    ) -> BTreeSet<Peer> {
        let (now, cost) = (now() + self.now, Cost { kind: "list", bytes });
        let newcomer = plan.pool.newcomer("list");
        let slots = |peer: &Peer| plan.pool.get(peer).unwrap();
        let forecast = |peer: &Peer| slots(peer).forecast(cost, newcomer.as_ref(), true, now);
        let is_reliable = |peer: &&Peer| {
            let overdue = slots(peer).overdue_from().is_some_and(|from| from < now);
            slots(peer).failures() == 0 && !self.rests(**peer) && !overdue
        };
        let is_spared = |peer: &&Peer| {
            let Some(own) = forecast(peer) else { return false };
            let others = eligible.iter().filter(|other| other != peer).filter(is_reliable);
            let rtt = |peer: &Peer| slots(peer).estimates().rtt;
            let much_nearer = |other: &Peer| {
                rtt(other).is_some_and(|way| rtt(peer).is_some_and(|own| way < own && way * 4 <= own))
            };
            if newcomer.is_none() && others.clone().any(much_nearer) {
                return true;
            }
            let slower = f64::from(1_u32 << slots(peer).failures().min(6)) * 0.95;
            let answer = own.first_answer().mul_f64(slower);
            let answered = others.filter_map(forecast).map(|other| other.answered_before(answer));
            answered.fold(0, u64::saturating_add) >= to_send as u64
        };
        eligible.iter().filter(is_spared).copied().collect()
    }

    fn held_bytes(&self) -> u64 {
        let expected = self.copies.iter().map(|copy| copy.request.bytes);
        expected.chain(self.held.iter().map(|(_, bytes)| *bytes)).sum()
    }

    fn head(&self) -> Option<Job> {
        let sent = self.copies.iter().filter(|copy| copy.awaited).map(|copy| &copy.request);
        let ordered =
            self.waiting.iter().chain(sent).filter_map(|request| Some((request.order?, request.job)));
        ordered.min().map(|(_, job)| job)
    }

    fn next_start(&self, plan: &Plan<Peer, Job>) -> Option<Request> {
        let mut open = self.waiting.iter().filter(|request| !self.open_to(plan, request).is_empty());
        let mut first = true;
        open.find(|request| {
            let used = self.held_bytes();
            let fits = used == 0 || used + request.bytes <= MAX_BYTES;
            let starts = request.bytes == 0 || self.head() == Some(request.job) || (first && fits);
            first = false;
            starts
        })
        .cloned()
    }

    fn next_hedge(&self, plan: &Plan<Peer, Job>) -> Option<(Job, Peer)> {
        let hedges = self.hedged.len() as u64;
        let affords_one = hedges == 0 || self.accepted >= 20 * (hedges + 1);
        let head = self.head()?;
        let first = self.copies.iter().find(|copy| copy.request.job == head && copy.hedge_at <= self.now)?;
        if !affords_one || self.hedged.contains(&head) || self.copies.len() >= self.max_in_flight {
            return None;
        }
        let mut peers = self.eligible(&first.request.exclude);
        peers.retain(|peer| *peer != first.peer);
        let spared = self.spared(plan, &peers, first.request.bytes, 1);
        peers.retain(|peer| self.has_room(plan, *peer) && !self.rests(*peer) && !spared.contains(peer));
        // Even and odd peers are a group each.
        let elsewhere = peers.iter().find(|peer| *peer % 2 != first.peer % 2);
        Some((head, *elsewhere.or_else(|| peers.first())?))
    }

    fn capacity(&self, plan: &Plan<Peer, Job>) -> usize {
        let connected = self.eligible(&BTreeSet::new());
        let free = |peer: &Peer| adapted_depth(plan, *peer).saturating_sub(self.in_flight(*peer));
        let awake: Vec<_> = connected.iter().filter(|peer| !self.rests(**peer)).collect();
        let sum: usize = if awake.is_empty() {
            connected.iter().map(free).sum()
        } else {
            awake.into_iter().map(free).sum()
        };
        sum.min(self.max_in_flight - self.copies.len()).saturating_sub(self.waiting.len())
    }

    /// What becomes of the peer of a copy that has ended.
    fn end(&mut self, index: usize) -> Copy {
        let copy = self.copies.remove(index);
        self.forget_if_gone(copy.peer);
        copy
    }

    fn forget_if_gone(&mut self, peer: Peer) {
        if self.in_flight(peer) == 0 && self.peers.get(&peer).is_some_and(|known| !known.connected) {
            self.peers.remove(&peer);
        }
    }

    fn settle(&mut self, job: Job) {
        self.copies.iter_mut().filter(|copy| copy.request.job == job).for_each(|copy| copy.awaited = false);
    }

    fn judge(&mut self, peer: Peer, verdict: Verdict) {
        let now = self.now;
        let by_chance = if matches!(verdict, Verdict::Failed) { self.losses.by_chance() } else { 0 };
        match verdict {
            Verdict::Came => self.losses.answered(),
            Verdict::Failed => self.losses.lost(),
            Verdict::Good | Verdict::Rejected => {}
        }
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.connected) else { return };
        match verdict {
            Verdict::Good => {
                (known.unanswered, known.rejected, known.rests_until) = (0, 0, Duration::ZERO);
                return;
            }
            Verdict::Came if known.rejected > 0 => return known.unanswered = 0,
            Verdict::Came => return (known.unanswered, known.rests_until) = (0, Duration::ZERO),
            Verdict::Rejected => known.rejected += 1,
            Verdict::Failed => known.unanswered += 1,
        }
        let reasons = known.rejected + known.unanswered - by_chance.min(known.unanswered);
        if reasons > 0 {
            known.rests_until = now + REST * 2_u32.pow((reasons - 1).min(6));
        }
    }

    fn take_where(&mut self, taken: impl Fn(&Self, &Request) -> bool) -> Vec<Job> {
        let (out, kept) =
            std::mem::take(&mut self.waiting).into_iter().partition(|request| taken(self, request));
        self.waiting = kept;
        let out: Vec<Request> = out;
        out.into_iter().map(|request| request.job).collect()
    }
}

/// How many requests the peer may have by what is known of it.
fn adapted_depth(plan: &Plan<Peer, Job>, peer: Peer) -> usize {
    plan.loads().iter().find(|load| load.peer == peer).map_or(0, |load| load.adapted_depth.get())
}

fn selector(kind: u8) -> Box<dyn PeerSelector<Peer>> {
    match kind {
        0 => Box::new(First),
        1 => Box::new(RoundRobin),
        2 => Box::new(LeastLoaded),
        3 => Box::new(LowestLatency::new(11)),
        _ => Box::new(ExpectedCompletion::new(11)),
    }
}

/// The plan and the model side by side, and how every job ended.
struct Pair {
    plan: Plan<Peer, Job>,
    model: Model,
    selector: Box<dyn PeerSelector<Peer>>,
    kind: u8,
    /// Of the copies of the model, in their order.
    slots: Vec<Slot<Peer>>,
    ids: BTreeMap<Job, RequestId>,
    ended: BTreeMap<Job, u32>,
    submitted: Job,
    /// Everything that started, in order.
    trace: Vec<(Job, Peer)>,
}

impl Pair {
    fn new(max_in_flight: usize, kind: u8) -> Self {
        let config = Config {
            max_in_flight: NonZeroUsize::new(max_in_flight).unwrap(),
            max_bytes: MAX_BYTES,
            rest_after_failure: REST,
            ..Config::default()
        };
        Self {
            plan: Plan::new(config),
            model: Model { max_in_flight, ..Model::default() },
            selector: selector(kind),
            kind,
            slots: Vec::new(),
            ids: BTreeMap::new(),
            ended: BTreeMap::new(),
            submitted: 0,
            trace: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        now() + self.model.now
    }

    fn end(&mut self, jobs: impl IntoIterator<Item = Job>) {
        jobs.into_iter().for_each(|job| *self.ended.entry(job).or_default() += 1);
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Add(peer, depth) => {
                self.plan.add_peer(peer, depth, u64::from(peer % 2));
                let new = ModelPeer {
                    depth,
                    connected: true,
                    unanswered: 0,
                    rejected: 0,
                    rests_until: Duration::ZERO,
                };
                let known = self.model.peers.entry(peer).or_insert(new);
                (known.depth, known.connected) = (depth, true);
            }
            Op::Remove(peer) => {
                self.model.peers.entry(peer).and_modify(|known| known.connected = false);
                self.model.forget_if_gone(peer);
                let stranded = self.plan.remove_peer(&peer);
                let expected =
                    self.model.take_where(|model, request| model.eligible(&request.exclude).is_empty());
                prop_assert_eq!(&stranded, &expected);
                self.end(stranded);
            }
            Op::SetDepth(peer, depth) => {
                let known = self.model.peers.get_mut(&peer).filter(|known| known.connected);
                prop_assert_eq!(
                    self.plan.set_depth(&peer, depth),
                    known.map(|known| known.depth = depth).is_some()
                );
            }
            Op::SetRtt(peer, rtt) => {
                let known = self.model.peers.get(&peer).is_some_and(|known| known.connected);
                prop_assert_eq!(self.plan.set_rtt(&peer, rtt), known);
            }
            Op::Submit { exclude, bytes, order } => self.submit(exclude, bytes, order)?,
            Op::Cancel(index) if !self.ids.is_empty() => {
                let (job, id) =
                    self.ids.iter().nth(index.index(self.ids.len())).map(|(a, b)| (*a, *b)).unwrap();
                let expected = self.model.take_where(|_, request| request.job == job);
                prop_assert_eq!(self.plan.cancel(id), expected.first().copied());
                self.end(expected);
            }
            Op::Answer(index, bytes) if !self.slots.is_empty() => {
                let (copy, slot) = self.remove_copy(index);
                let sample = self.plan.arrived(&slot, bytes, self.now());
                prop_assert_eq!(sample.bytes, if bytes == 0 { copy.request.bytes } else { bytes });
                self.model.judge(copy.peer, Verdict::Came);
                self.model.held.push((copy.peer, sample.bytes));
                self.settle(&copy);
            }
            Op::Judge(index, good) if !self.model.held.is_empty() => {
                let (peer, bytes) = self.model.held.remove(index.index(self.model.held.len()));
                self.plan.give_back(bytes);
                let now = self.now();
                match good {
                    Some(true) => {
                        let sample = Sample { bytes, ..Sample::new("list", Duration::from_millis(bytes)) };
                        self.plan.accepted(&peer, &sample, &mut *self.selector, now);
                        self.model.accepted += 1;
                        self.model.judge(peer, Verdict::Good);
                    }
                    Some(false) => {
                        self.plan.rejected(&peer, &mut *self.selector, now);
                        self.model.judge(peer, Verdict::Rejected);
                    }
                    None => {}
                }
            }
            Op::Fail(index) if !self.slots.is_empty() => {
                let (copy, slot) = self.remove_copy(index);
                let now = self.now();
                self.plan.failed(&slot.peer, &mut *self.selector, now);
                self.model.judge(copy.peer, Verdict::Failed);
                if !self.model.copies.iter().any(|other| other.request.job == copy.request.job) {
                    self.settle(&copy);
                }
            }
            Op::GiveUp(index) if !self.slots.is_empty() => {
                let copy = self.model.copies[index.index(self.slots.len())].clone();
                self.settle(&copy);
            }
            Op::Wait(time) => self.model.now += time,
            Op::Drain => {
                let expected = self.model.take_where(|_, _| true);
                prop_assert_eq!(&self.plan.drain(), &expected);
                self.end(expected);
            }
            Op::Cancel(_) | Op::Answer(..) | Op::Judge(..) | Op::Fail(_) | Op::GiveUp(_) => {}
        }
        Ok(())
    }

    fn submit(
        &mut self,
        exclude: BTreeSet<Peer>,
        bytes: u64,
        order: Option<u64>,
    ) -> Result<(), TestCaseError> {
        let request = Request { job: self.submitted, exclude, bytes, order };
        self.submitted += 1;
        let eligible = !self.model.eligible(&request.exclude).is_empty();
        let full = self.model.waiting.len() >= MAX_WAITING;
        self.model.waiting.push(request.clone());
        let starts = self.model.next_start(&self.plan).is_some_and(|next| next == request);
        let terms = terms(&request.exclude.iter().copied().collect::<Vec<_>>(), bytes, order);
        match self.plan.submit(request.job, terms, MAX_WAITING, self.now()) {
            Ok(id) => {
                prop_assert!(eligible && (!full || starts));
                self.ids.insert(request.job, id);
            }
            Err((refused, job)) => {
                prop_assert_eq!(refused, if eligible { Refused::QueueFull } else { Refused::NoEligiblePeer });
                prop_assert!(!eligible || (full && !starts));
                self.model.waiting.pop();
                self.end([job]);
            }
        }
        Ok(())
    }

    fn remove_copy(&mut self, index: prop::sample::Index) -> (Copy, Slot<Peer>) {
        let index = index.index(self.slots.len());
        let slot = self.slots.remove(index);
        self.plan.release(&slot);
        (self.model.end(index), slot)
    }

    /// A request ends when it is settled for the first time.
    fn settle(&mut self, copy: &Copy) {
        self.plan.settle(self.ids[&copy.request.job]);
        self.model.settle(copy.request.job);
        if copy.awaited {
            self.end([copy.request.job]);
        }
    }

    fn start(&mut self) -> Result<(), TestCaseError> {
        let now = self.now();
        loop {
            let expected = self.model.next_hedge(&self.plan);
            let Some((id, slot)) = self.plan.hedge_next(&mut *self.selector, now) else {
                prop_assert_eq!(expected, None);
                break;
            };
            let (job, peer) = expected.unwrap();
            prop_assert_eq!(id, self.ids[&job]);
            prop_assert!(self.kind != 0 || slot.peer == peer);
            prop_assert_eq!(slot.peer % 2, peer % 2);
            let first = self.model.copies.iter().find(|copy| copy.request.job == job).unwrap();
            prop_assert!(first.peer != slot.peer && !first.request.exclude.contains(&slot.peer));
            let copy = Copy { peer: slot.peer, ..first.clone() };
            self.model.hedged.insert(job);
            self.started(copy, slot);
        }
        loop {
            let expected = self.model.next_start(&self.plan);
            let open = expected.as_ref().map(|request| self.model.open_to(&self.plan, request));
            let Some(Start { slot, job, .. }) = self.plan.start_next(&mut *self.selector, now) else {
                prop_assert_eq!(expected, None);
                break;
            };
            let (request, open) = (expected.unwrap(), open.unwrap());
            prop_assert_eq!(job, request.job);
            prop_assert!(open.contains(&slot.peer), "{} is not open to {}", slot.peer, job);
            prop_assert!(self.kind != 0 || slot.peer == open[0]);
            self.model.take_where(|_, waiting| waiting.job == job);
            let hedge_at = self.model.now + slot.timeouts.hedge;
            self.started(Copy { request, peer: slot.peer, hedge_at, awaited: true }, slot);
        }
        Ok(())
    }

    fn started(&mut self, copy: Copy, slot: Slot<Peer>) {
        self.trace.push((copy.request.job, copy.peer));
        self.model.copies.push(copy);
        self.slots.push(slot);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (plan, model) = (&self.plan, &self.model);
        prop_assert_eq!(plan.waiting(), model.waiting.len());
        prop_assert!(plan.waiting() <= MAX_WAITING);
        prop_assert_eq!(plan.in_flight(), model.copies.len());
        prop_assert!(plan.in_flight() <= model.max_in_flight);
        prop_assert_eq!(plan.held_bytes(), model.held_bytes());
        prop_assert_eq!(plan.capacity(self.now()), model.capacity(plan));
        prop_assert!(model.hedged.len() as u64 <= (model.accepted / 20).max(1));
        prop_assert_eq!(plan.loads().len(), model.eligible(&BTreeSet::new()).len());
        for load in plan.loads() {
            let known = model.peers[&load.peer];
            prop_assert_eq!((load.depth, load.failures), (known.depth, known.unanswered + known.rejected));
            prop_assert_eq!(load.in_flight, model.in_flight(load.peer));
            prop_assert!(load.max_in_flight <= 3);
        }
        Ok(())
    }
}

proptest! {
    /// Whatever happens in whatever order: the caps and budgets hold, the earliest that can start is what starts,
    /// nothing that could start is left waiting, only the head of the line is hedged and only once, every byte taken
    /// is given back, and every request ends exactly once.
    #[test]
    fn the_plan_does_what_the_slow_obvious_model_does(
        max_in_flight in 1..8_usize,
        kind in 0..5_u8,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut pair = Pair::new(max_in_flight, kind);
        for op in ops {
            pair.apply(op)?;
            pair.start()?;
            pair.check()?;
        }
        while let Some(slot) = pair.slots.pop() {
            pair.plan.release(&slot);
        }
        pair.model.held.iter().for_each(|(_, bytes)| pair.plan.give_back(*bytes));
        prop_assert_eq!(pair.plan.held_bytes(), 0);

        let awaited: BTreeSet<Job> =
            pair.model.copies.iter().filter(|copy| copy.awaited).map(|copy| copy.request.job).collect();
        prop_assert!(pair.ended.values().all(|&times| times == 1));
        prop_assert!(awaited.iter().all(|job| !pair.ended.contains_key(job)));
        let left = pair.model.waiting.len() + awaited.len();
        prop_assert_eq!(pair.ended.len() + left, pair.submitted as usize);
    }

    /// Equal calls in equal order start the same requests with the same peers.
    #[test]
    fn equal_seeds_give_equal_traces(kind in 1..5_u8, ops in prop::collection::vec(op(), 1..120)) {
        let trace = || {
            let mut pair = Pair::new(6, kind);
            for op in ops.clone() {
                pair.apply(op)?;
                pair.start()?;
            }
            Ok::<_, TestCaseError>(pair.trace)
        };
        prop_assert_eq!(trace()?, trace()?);
    }
}

const MAX_WAITING: usize = 6;
const MAX_BYTES: u64 = 100;
const REST: Duration = Duration::from_millis(100);
