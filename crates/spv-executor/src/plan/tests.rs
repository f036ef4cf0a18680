use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{Candidate, LeastLoaded, RoundRobin};

type Peer = u8;
type Job = u32;

/// The first in the order of the peers: the one selector a slow model can predict at a glance.
struct First;

impl PeerSelector<Peer> for First {
    fn select<'c>(&mut self, candidates: &'c [Candidate<'c, Peer>]) -> &'c Candidate<'c, Peer> {
        &candidates[0]
    }
}

fn plan(max_in_flight: usize, peers: &[(Peer, Depth)]) -> Plan<Peer, Job> {
    let mut plan = Plan::new(NonZeroUsize::new(max_in_flight).unwrap());
    peers.iter().for_each(|&(peer, depth)| plan.add_peer(peer, depth));
    plan
}

fn start_all(plan: &mut Plan<Peer, Job>, selector: &mut dyn PeerSelector<Peer>) -> Vec<(Job, Peer)> {
    std::iter::from_fn(|| plan.start_next(selector)).map(|start| (start.job, start.peer)).collect()
}

fn submit(plan: &mut Plan<Peer, Job>, job: Job, exclude: &[Peer]) -> Result<RequestId, (Refused, Job)> {
    plan.submit(job, exclude.iter().copied().collect(), usize::MAX)
}

#[test]
fn a_request_whose_peers_are_busy_does_not_hold_up_those_behind_it() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    for (job, exclude) in [(10, vec![]), (11, vec![2]), (12, vec![2]), (13, vec![])] {
        submit(&mut plan, job, &exclude).unwrap();
    }
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1), (13, 2)]);
    plan.release(&2);
    assert!(start_all(&mut plan, &mut First).is_empty());
    plan.release(&1);
    assert_eq!(start_all(&mut plan, &mut First), [(11, 1)]);
}

#[test]
fn the_global_cap_holds_when_the_peers_have_room() {
    let mut plan = plan(2, &[(1, Depth::THREE), (2, Depth::THREE)]);
    assert_eq!(plan.capacity(), 2);
    (0..4).for_each(|job| assert!(submit(&mut plan, job, &[]).is_ok()));
    assert_eq!(start_all(&mut plan, &mut First).len(), 2);
    assert_eq!((plan.capacity(), plan.waiting(), plan.in_flight()), (0, 2, 2));
}

#[test]
fn a_request_without_an_eligible_peer_is_refused() {
    let mut plan = plan(9, &[]);
    assert_eq!(submit(&mut plan, 1, &[]), Err((Refused::NoEligiblePeer, 1)));
    plan.add_peer(5, Depth::ONE);
    assert_eq!(submit(&mut plan, 2, &[5]), Err((Refused::NoEligiblePeer, 2)));
    assert!(submit(&mut plan, 3, &[4]).is_ok());
}

#[test]
fn removing_a_peer_strands_those_who_have_no_other() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    submit(&mut plan, 10, &[]).unwrap();
    submit(&mut plan, 11, &[]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1), (11, 2)]);
    submit(&mut plan, 12, &[2]).unwrap();
    submit(&mut plan, 13, &[]).unwrap();
    assert_eq!(plan.remove_peer(&1), [12]);
    assert_eq!(plan.remove_peer(&2), [13]);
    assert!(plan.remove_peer(&2).is_empty());
    assert_eq!(plan.in_flight(), 2);
}

#[test]
fn a_peer_that_comes_back_is_still_busy_with_what_it_had() {
    let mut plan = plan(9, &[(1, Depth::ONE)]);
    submit(&mut plan, 10, &[]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1)]);
    plan.remove_peer(&1);
    assert!(plan.loads().is_empty());
    plan.add_peer(1, Depth::ONE);
    submit(&mut plan, 11, &[]).unwrap();
    assert!(start_all(&mut plan, &mut First).is_empty());
    plan.release(&1);
    assert_eq!(start_all(&mut plan, &mut First), [(11, 1)]);
}

#[test]
fn a_peer_that_does_not_come_back_is_forgotten_with_its_last_request() {
    let mut plan = plan(9, &[(1, Depth::ONE)]);
    submit(&mut plan, 10, &[]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1)]);
    plan.remove_peer(&1);
    assert_eq!(plan.peers.len(), 1);
    plan.release(&1);
    assert_eq!((plan.peers.len(), plan.in_flight()), (0, 0));
}

#[test]
fn a_full_queue_refuses_only_what_cannot_start_at_once() {
    let mut plan = plan(9, &[(1, Depth::ONE), (2, Depth::ONE)]);
    submit(&mut plan, 10, &[2]).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(10, 1)]);
    plan.submit(11, BTreeSet::from([2]), 1).unwrap();
    assert_eq!(plan.submit(12, BTreeSet::from([2]), 1), Err((Refused::QueueFull, 12)));
    plan.submit(13, BTreeSet::new(), 1).unwrap();
    assert_eq!(start_all(&mut plan, &mut First), [(13, 2)]);
}

#[test]
fn a_lowered_depth_ends_nothing_and_starts_nothing() {
    let mut plan = plan(9, &[(1, Depth::THREE)]);
    (0..4).for_each(|job| assert!(submit(&mut plan, job, &[]).is_ok()));
    assert_eq!(start_all(&mut plan, &mut First).len(), 3);
    assert!(plan.set_depth(&1, Depth::ONE));
    assert!(!plan.set_depth(&2, Depth::ONE));
    for expected in [0, 0, 1] {
        plan.release(&1);
        assert_eq!(start_all(&mut plan, &mut First).len(), expected);
    }
    let load = &plan.loads()[0];
    assert_eq!((load.in_flight, load.max_in_flight, load.requests), (1, 3, 4));
}

#[test]
fn a_choice_that_was_not_offered_is_overruled() {
    struct Stubborn;
    impl PeerSelector<Peer> for Stubborn {
        fn select<'c>(&mut self, _: &'c [Candidate<'c, Peer>]) -> &'c Candidate<'c, Peer> {
            const { &Candidate::new(&77, Depth::THREE) }
        }
    }
    let mut plan = plan(9, &[(1, Depth::ONE), (77, Depth::ONE)]);
    submit(&mut plan, 10, &[77]).unwrap();
    assert_eq!(start_all(&mut plan, &mut Stubborn), [(10, 1)]);
}

#[derive(Clone, Debug)]
enum Op {
    Add(Peer, Depth),
    Remove(Peer),
    SetDepth(Peer, Depth),
    Submit(BTreeSet<Peer>),
    Cancel(prop::sample::Index),
    Release(prop::sample::Index),
    Drain,
}

fn op() -> impl Strategy<Value = Op> {
    let peer = 0..5_u8;
    let depth = (1..=3_u8).prop_map(|value| Depth::try_from(value).unwrap());
    prop_oneof![
        3 => (peer.clone(), depth.clone()).prop_map(|(peer, depth)| Op::Add(peer, depth)),
        2 => peer.clone().prop_map(Op::Remove),
        1 => (peer.clone(), depth).prop_map(|(peer, depth)| Op::SetDepth(peer, depth)),
        9 => prop::collection::btree_set(peer, 0..5).prop_map(Op::Submit),
        1 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        7 => any::<prop::sample::Index>().prop_map(Op::Release),
        1 => Just(Op::Drain),
    ]
}

/// The slow, obvious version: lists searched from the front, nothing kept that can be counted.
#[derive(Default)]
struct Model {
    max_in_flight: usize,
    peers: BTreeMap<Peer, Depth>,
    waiting: Vec<(Job, BTreeSet<Peer>)>,
    running: Vec<(Job, Peer)>,
}

impl Model {
    fn has_peer_for(&self, exclude: &BTreeSet<Peer>) -> bool {
        self.peers.keys().any(|peer| !exclude.contains(peer))
    }

    fn in_flight(&self, peer: Peer) -> usize {
        self.running.iter().filter(|(_, of)| *of == peer).count()
    }

    /// The peers a request may start with now.
    fn open_to(&self, exclude: &BTreeSet<Peer>) -> Vec<Peer> {
        let has_room = |peer: &Peer, depth: &Depth| self.in_flight(*peer) < depth.get();
        let open = self.peers.iter().filter(|(peer, depth)| has_room(peer, depth) && !exclude.contains(peer));
        if self.running.len() < self.max_in_flight {
            open.map(|(peer, _)| *peer).collect()
        } else {
            Vec::new()
        }
    }

    fn capacity(&self) -> usize {
        let free = self.peers.iter().map(|(peer, depth)| depth.get().saturating_sub(self.in_flight(*peer)));
        free.sum::<usize>().min(self.max_in_flight - self.running.len())
    }

    fn strand(&mut self) -> Vec<Job> {
        let (kept, stranded) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, exclude)| self.has_peer_for(exclude));
        self.waiting = kept;
        stranded.into_iter().map(|(job, _)| job).collect()
    }
}

fn selector(kind: u8) -> Box<dyn PeerSelector<Peer>> {
    match kind {
        0 => Box::new(First),
        1 => Box::new(RoundRobin),
        _ => Box::new(LeastLoaded),
    }
}

proptest! {
    /// Whatever happens in whatever order: the caps hold, the earliest that can start is what starts, nothing that
    /// could start is left waiting, and every request ends exactly once.
    #[test]
    fn the_plan_does_what_the_slow_obvious_model_does(
        max_in_flight in 1..8_usize,
        kind in 0..3_u8,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut plan = plan(max_in_flight, &[]);
        let mut selector = selector(kind);
        let mut model = Model { max_in_flight, ..Model::default() };
        let mut ids = BTreeMap::new();
        let mut ended = BTreeMap::<Job, u32>::new();
        let mut submitted = 0;

        for op in ops {
            match op {
                Op::Add(peer, depth) => {
                    plan.add_peer(peer, depth);
                    model.peers.insert(peer, depth);
                }
                Op::Remove(peer) => {
                    model.peers.remove(&peer);
                    let stranded = plan.remove_peer(&peer);
                    prop_assert_eq!(&stranded, &model.strand());
                    stranded.into_iter().for_each(|job| *ended.entry(job).or_default() += 1);
                }
                Op::SetDepth(peer, depth) => {
                    let known = model.peers.get_mut(&peer).map(|of| *of = depth).is_some();
                    prop_assert_eq!(plan.set_depth(&peer, depth), known);
                }
                Op::Submit(exclude) => {
                    let job = submitted;
                    submitted += 1;
                    let full = model.waiting.len() >= MAX_WAITING && model.open_to(&exclude).is_empty();
                    match plan.submit(job, exclude.clone(), MAX_WAITING) {
                        Ok(id) => {
                            prop_assert!(model.has_peer_for(&exclude) && !full);
                            ids.insert(job, id);
                            model.waiting.push((job, exclude));
                        }
                        Err((refused, job)) => {
                            let expected =
                                if model.has_peer_for(&exclude) { Refused::QueueFull } else { Refused::NoEligiblePeer };
                            prop_assert_eq!(refused, expected);
                            prop_assert!(full || !model.has_peer_for(&exclude));
                            *ended.entry(job).or_default() += 1;
                        }
                    }
                }
                Op::Cancel(index) if !ids.is_empty() => {
                    let (job, id) = ids.iter().nth(index.index(ids.len())).unwrap();
                    let position = model.waiting.iter().position(|(waiting, _)| waiting == job);
                    prop_assert_eq!(plan.cancel(*id), position.map(|at| model.waiting.remove(at).0));
                    if position.is_some() {
                        *ended.entry(*job).or_default() += 1;
                    }
                }
                Op::Release(index) if !model.running.is_empty() => {
                    let (job, peer) = model.running.remove(index.index(model.running.len()));
                    plan.release(&peer);
                    *ended.entry(job).or_default() += 1;
                }
                Op::Drain => {
                    let waiting = std::mem::take(&mut model.waiting);
                    prop_assert_eq!(plan.drain(), waiting.iter().map(|(job, _)| *job).collect::<Vec<_>>());
                    waiting.into_iter().for_each(|(job, _)| *ended.entry(job).or_default() += 1);
                }
                Op::Cancel(_) | Op::Release(_) => {}
            }
            while let Some(Start { peer, job }) = plan.start_next(&mut *selector) {
                let next = model.waiting.iter().position(|(_, exclude)| !model.open_to(exclude).is_empty());
                let (expected, exclude) = model.waiting.remove(next.unwrap());
                prop_assert_eq!(job, expected);
                let open = model.open_to(&exclude);
                prop_assert!(open.contains(&peer), "{} is not open to {}", peer, job);
                prop_assert!(kind != 0 || peer == open[0]);
                model.running.push((job, peer));
            }
            prop_assert!(model.waiting.iter().all(|(_, exclude)| model.open_to(exclude).is_empty()));
            prop_assert_eq!(plan.waiting(), model.waiting.len());
            prop_assert!(plan.waiting() <= MAX_WAITING);
            prop_assert_eq!(plan.in_flight(), model.running.len());
            prop_assert_eq!(plan.capacity(), model.capacity());
            for load in plan.loads() {
                prop_assert_eq!(Some(&load.depth), model.peers.get(&load.peer));
                prop_assert_eq!(load.in_flight, model.in_flight(load.peer));
                prop_assert!(load.max_in_flight <= 3);
            }
            prop_assert_eq!(plan.loads().len(), model.peers.len());
        }

        let left = model.waiting.len() + model.running.len();
        prop_assert!(ended.values().all(|&times| times == 1));
        prop_assert_eq!(ended.len() + left, submitted as usize);
    }

    /// Equal calls in equal order start the same requests with the same peers.
    #[test]
    fn the_built_in_selectors_are_deterministic(
        kind in 1..3_u8,
        rounds in prop::collection::vec((prop::collection::btree_set(0..5_u8, 0..4), 0..3_usize), 1..60),
    ) {
        let trace = || {
            let mut plan = plan(6, &[(0, Depth::ONE), (1, Depth::TWO), (2, Depth::THREE), (3, Depth::TWO)]);
            let mut selector = selector(kind);
            let mut running = Vec::new();
            let mut trace = Vec::new();
            for (job, (exclude, releases)) in (0..).zip(&rounds) {
                // Refusals are part of the trace by their absence.
                let _ = plan.submit(job, exclude.clone(), 100);
                let started = start_all(&mut plan, &mut *selector);
                running.extend(started.iter().copied());
                trace.extend(started);
                for _ in 0..(*releases).min(running.len()) {
                    plan.release(&running.remove(0).1);
                }
            }
            trace
        };
        prop_assert_eq!(trace(), trace());
    }
}

const MAX_WAITING: usize = 6;
