use std::net::SocketAddr;
use std::time::Duration;

use dashcore::BlockHash;
use tokio::time::Instant;

use super::{Hearing, Hearsay, Said};

/// A stretch is long that takes more than one plain answer.
const LONG_STRETCH: u32 = 2_000;

/// Where at least so many headers lie ahead, ...
const WORTH_COMPARING: u32 = 80_000;

/// ... so many peers serve a part of the stretch in turn, and the quickest of them the rest.
const COMPARED: usize = 3;

/// A peer that waits takes the lead when it served this many times as many headers per second, ...
const QUICKER: f64 = 1.5;

/// ... or when the leader takes this many times as long as for its last full answer, ...
const STALLED: u32 = 2;

/// ... but no less than this, ...
const SHORTEST_STALL: Duration = Duration::from_millis(200);

/// ... and not while its answer is coming without a longer break than this.
const RECEIVING_BREAK: Duration = Duration::from_millis(400);

/// A stretch that is longer than one answer is downloaded from one peer: what follows an answer is asked for as soon as the
/// hash of its last header is known, and the headers are validated meanwhile.
impl Hearing<'_> {
    /// Whether a newcomer need not be asked before the others have served the long stretch that, as it claims, lies ahead.
    /// Otherwise each of many peers would send the beginning of it.
    pub(super) fn can_wait(&self, newcomer: &SocketAddr) -> bool {
        let reached = self.longest().tip_height();
        let claims_far = self.exchange.peers.claimed_by([newcomer]) > reached.saturating_add(LONG_STRETCH);
        claims_far
            && (self.leader.is_some() || self.peers.values().any(|hearsay| hearsay.said != Said::Unasked))
    }

    /// Asks for what follows the last header of a full answer, though that is not validated.
    pub(super) fn ask_ahead(&mut self, answerer: SocketAddr, last_hash: BlockHash) {
        if self.leader.is_some_and(|leader| leader != answerer) {
            return;
        }
        let next = self.to_compare(&answerer).or_else(|| self.quicker_than(&answerer)).unwrap_or(answerer);
        self.leader = Some(next);
        if let Some(hearsay) = self.peers.get_mut(&next) {
            hearsay.waits_since = Instant::now();
        }
        let known = self.longest().locator();
        self.send(next, last_hash, std::iter::once(last_hash).chain(known).collect());
    }

    /// Goes on after an answer that was full or not.
    pub(super) fn after_answer(&mut self, peer: SocketAddr, is_full: bool) {
        let leads = self.leader == Some(peer);
        let may_lead = leads || self.leader.is_none();
        match self.peers.get(&peer).map(|hearsay| hearsay.said) {
            Some(Said::Part) if is_full && may_lead => self.lead(peer),
            // At the tip, the others tell theirs.
            Some(Said::All) if leads => {
                self.leader = None;
                for waiting in self.waiting() {
                    self.ask_further(waiting);
                }
            }
            _ if leads => self.follow_another(),
            _ => {}
        }
    }

    /// Replaces a leader that takes too long, or is gone, and goes on where nobody leads any more.
    pub(super) fn choose_leader(&mut self) {
        let now = Instant::now();
        let Some(leader) = self.leader else {
            let is_due = |peer: &SocketAddr| self.may_lead_at(peer).is_some_and(|at| at <= now);
            if let Some(peer) = self.waiting().into_iter().find(is_due) {
                self.lead(peer);
            }
            return;
        };
        match self.peers.get(&leader) {
            // Its answer is being judged.
            Some(hearsay) if hearsay.unjudged > 0 => {}
            // Without another it goes on as long as that makes sense.
            Some(hearsay) if self.waiting().is_empty() => {
                if self.waited_until(&leader, hearsay) <= now {
                    self.leader = None;
                }
            }
            Some(hearsay) if now < self.replaced_at(&leader, hearsay) => {}
            _ => self.follow_another(),
        }
    }

    /// When a leader is replaced that has not answered, if another waits.
    pub(super) fn replaced_at(&self, peer: &SocketAddr, leader: &Hearsay) -> Instant {
        let usual = leader.full_answer.map(|answer| (answer.took * STALLED).max(SHORTEST_STALL));
        self.unless_receiving(peer, leader, usual.unwrap_or(leader.patience))
    }

    /// The end of this wait for a peer, or when its answer, which is coming, should have come on.
    fn unless_receiving(&self, peer: &SocketAddr, hearsay: &Hearsay, wait: Duration) -> Instant {
        let receiving = self.exchange.peers.receiving_at(peer).filter(|_| hearsay.is_asked);
        let latest = hearsay.waits_since + self.patience.longest;
        let wait = hearsay.waits_since + wait.min(self.patience.longest);
        receiving.map_or(wait, |at| wait.max((at + RECEIVING_BREAK).min(latest)))
    }

    /// When a peer that waits may take the lead where nobody has it: those that were not asked only when those that were have
    /// had their chance. `None` while that is open.
    pub(super) fn may_lead_at(&self, peer: &SocketAddr) -> Option<Instant> {
        let hearsay = self.peers.get(peer)?;
        if hearsay.said != Said::Unasked {
            return Some(hearsay.retry_at);
        }
        if self.work.is_some() || !self.inbox.is_empty() {
            return None;
        }
        let first = self.peers.iter().filter(|(_, first)| first.said == Said::Nothing && first.is_asked);
        let chances = first.map(|(peer, first)| self.unless_receiving(peer, first, first.patience));
        Some(chances.fold(hearsay.retry_at, Instant::max))
    }

    fn lead(&mut self, peer: SocketAddr) {
        self.leader = Some(peer);
        self.ask_further(peer);
    }

    fn follow_another(&mut self) {
        let given_up = self.leader.take();
        let next = self.waiting().into_iter().find(|peer| Some(*peer) != given_up);
        if let Some(peer) = next {
            self.lead(peer);
        }
    }

    /// A peer that has served nothing yet, to be compared with those that have, if the stretch ahead is long enough.
    fn to_compare(&self, answerer: &SocketAddr) -> Option<SocketAddr> {
        let ahead = self.exchange.peers.claimed_by([answerer]).saturating_sub(self.longest().tip_height());
        let compared = self.peers.values().filter(|hearsay| hearsay.full_answer.is_some()).count();
        let unasked = |peer: &SocketAddr| self.peers.get(peer).is_some_and(|peer| peer.said == Said::Unasked);
        let others = self.waiting().into_iter().find(unasked);
        others.filter(|_| ahead >= WORTH_COMPARING && compared < COMPARED)
    }

    /// The quickest of the peers that wait, if it is much quicker than this one.
    fn quicker_than(&self, peer: &SocketAddr) -> Option<SocketAddr> {
        let rate = |peer: &SocketAddr| {
            let answer = self.peers.get(peer)?.full_answer?;
            Some(f64::from(answer.headers) / answer.took.as_secs_f64().max(f64::MIN_POSITIVE))
        };
        let waiting = self.waiting().into_iter().filter_map(|peer| Some((peer, rate(&peer)?)));
        let (quickest, most) = waiting.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        rate(peer).is_none_or(|rate| most > QUICKER * rate).then_some(quickest)
    }

    /// Peers that may have more than they have told, those that were asked first.
    pub(super) fn waiting(&self) -> Vec<SocketAddr> {
        let waits = |said: Said| {
            let waiting =
                self.peers.iter().filter(move |(_, hearsay)| hearsay.said == said && !hearsay.is_busy());
            waiting.map(|(peer, _)| *peer)
        };
        waits(Said::Part).chain(waits(Said::Unasked)).collect()
    }

    fn ask_further(&mut self, peer: SocketAddr) {
        if let Some(hearsay) = self.peers.get_mut(&peer).filter(|hearsay| !hearsay.is_busy()) {
            hearsay.waits_since = Instant::now();
            self.ask(peer, &self.longest());
        }
    }
}
