use std::time::Duration;

use super::{Faults, Schedule};

/// Decides, request by request, what goes wrong. Equal seeds and requests give equal decisions.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    faults: Faults,
    rng: fastrand::Rng,
    /// What `forge`, `truncate` and `pad` are drawn by: on their own, so that the others are as they were before there were
    /// such faults.
    later: fastrand::Rng,
    /// The same for faults of headers alone.
    headers: fastrand::Rng,
    requests: u64,
}

impl FaultPlan {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        let (rng, later, headers) = (fastrand::Rng::with_seed(seed), later(seed), headers(seed));
        Self { faults, rng, later, headers, requests: 0 }
    }

    /// Draws from another seed from now on.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.rng = fastrand::Rng::with_seed(seed);
        self.later = later(seed);
        self.headers = headers(seed);
    }

    /// A random time below `limit`; without one, nothing is drawn.
    pub(crate) fn time_below(&mut self, limit: Duration) -> Duration {
        if limit.is_zero() { Duration::ZERO } else { limit.mul_f64(self.rng.f64()) }
    }

    /// Whether nothing is answered after the handshake.
    pub(crate) fn is_silent(&self) -> bool {
        self.faults.silent
    }

    /// What goes wrong with the next request, if anything.
    pub(crate) fn next(&mut self, asked: Asked) -> Option<Fault> {
        let Faults { delay_by, late_by, duplicate_after, .. } = self.faults;
        let spared = asked != Asked::Lists && !self.faults.headers;
        if self.faults.refuse_all && !spared {
            return Some(Fault::Refuse);
        }
        self.requests += 1;
        // Every schedule draws a number for every request, so that a fault that is added leaves the others as they were.
        let mut hit = |schedule: Schedule| schedule.hits(self.requests, self.rng.f64());
        let mut hit_later = |schedule: Schedule| schedule.hits(self.requests, self.later.f64());
        let mut hit_headers = |schedule: Schedule| schedule.hits(self.requests, self.headers.f64());
        let hits = [
            (hit(self.faults.disconnect), Fault::Disconnect),
            (hit(self.faults.refuse), Fault::Refuse),
            (hit(self.faults.drop), Fault::Drop),
            (hit(self.faults.stall), Fault::Stall),
            (hit(self.faults.wrong), Fault::Wrong),
            (hit(self.faults.corrupt), Fault::Corrupt),
            (hit(self.faults.bad_checksum), Fault::BadChecksum),
            (hit(self.faults.delay), Fault::Delay(delay_by)),
            (hit(self.faults.late), Fault::Late(late_by)),
            (hit(self.faults.duplicate), Fault::Duplicate(duplicate_after)),
            (hit(self.faults.reorder), Fault::Reorder),
            (hit_later(self.faults.forge), Fault::Forge),
            (hit_later(self.faults.truncate), Fault::Truncate),
            (hit_later(self.faults.pad), Fault::Pad),
        ];
        let of_headers = [
            (hit_headers(self.faults.half_headers) && asked != Asked::Lists, Fault::HalfHeaders),
            (hit_headers(self.faults.bad_headers2) && asked == Asked::CompressedHeaders, Fault::BadHeaders2),
        ];
        let first = |hits: &[(bool, Fault)]| hits.iter().find_map(|&(hit, fault)| hit.then_some(fault));
        let fault = first(&hits).filter(|fault| !spared || *fault == Fault::Disconnect);
        fault.or_else(|| first(&of_headers))
    }

    /// A random number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.rng.usize(..limit)
    }

    /// A random nonce.
    pub(crate) fn nonce(&mut self) -> u64 {
        self.rng.u64(..)
    }
}

/// What a request is for, as far as faults care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Lists,
    Headers,
    CompressedHeaders,
}

/// What goes wrong with one request; see [`Faults`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Disconnect,
    Refuse,
    Drop,
    Stall,
    Wrong,
    Corrupt,
    BadChecksum,
    Delay(Duration),
    Late(Duration),
    Duplicate(Duration),
    Reorder,
    Forge,
    Truncate,
    Pad,
    HalfHeaders,
    BadHeaders2,
}

fn headers(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.swap_bytes() ^ 1)
}

fn later(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(!seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(faults: &str) -> FaultPlan {
        FaultPlan::new(faults.parse().unwrap(), 5)
    }

    #[test]
    fn the_first_fault_of_the_order_wins() {
        let mut plan = plan("late=1:1s,corrupt=every:2,refuse=every:4");
        let faults: Vec<_> = (0..4).map(|_| plan.next(Asked::Lists).unwrap()).collect();
        let late = Fault::Late(Duration::from_secs(1));
        assert_eq!(faults, [late, Fault::Corrupt, late, Fault::Refuse]);
    }

    #[test]
    fn getheaders_is_spared_unless_named_but_not_from_disconnects() {
        assert_eq!(plan("drop=1").next(Asked::Headers), None);
        assert_eq!(plan("refuse-all").next(Asked::Headers), None);
        assert_eq!(plan("refuse-all,headers").next(Asked::Headers), Some(Fault::Refuse));
        assert_eq!(plan("disconnect=1,drop=1").next(Asked::Headers), Some(Fault::Disconnect));
    }

    #[test]
    fn faults_of_headers_concern_headers_alone_and_need_no_permission() {
        let mut plan = plan("half-headers=every:3,bad-headers2=every:2");
        let asked = [Asked::Lists, Asked::CompressedHeaders, Asked::Headers, Asked::Headers, Asked::Lists];
        assert_eq!(
            asked.map(|asked| plan.next(asked)),
            [None, Some(Fault::BadHeaders2), Some(Fault::HalfHeaders), None, None]
        );
        assert_eq!(plan.next(Asked::CompressedHeaders), Some(Fault::HalfHeaders), "the first of both");
    }

    #[test]
    fn a_fault_that_is_added_leaves_the_others_as_they_were() {
        let requests = |faults: &str, wanted: Fault| -> Vec<usize> {
            let mut plan = plan(faults);
            (0..200).filter(|_| plan.next(Asked::Lists) == Some(wanted)).collect()
        };
        let alone = requests("corrupt=0.2", Fault::Corrupt);
        assert!(!alone.is_empty());
        assert_eq!(requests("corrupt=0.2,late=0.5:1s", Fault::Corrupt), alone);
        assert_eq!(requests("corrupt=0.2,forge=0.3,truncate=0.5", Fault::Corrupt), alone);
        assert_eq!(requests("corrupt=0.2,half-headers=0.3,bad-headers2=0.5", Fault::Corrupt), alone);
        let forged = requests("forge=0.2", Fault::Forge);
        assert_eq!(requests("forge=0.2,half-headers=0.3,bad-headers2=0.5", Fault::Forge), forged);
        let beside = requests("corrupt=0.2,drop=0.5", Fault::Corrupt);
        assert!(beside.iter().all(|request| alone.contains(request)));
    }
}
