mod anchoring;
mod announced;
mod hearsay;
mod judging;
mod leading;
mod locking;
mod settling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use dashcore::BlockHash;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use hearsay::{FullAnswer, Hearsay, Said};
use judging::{Done, Sent};
use locking::Locking;

use super::ahead::Ahead;
use super::exchange::{Batch, HeaderExchange};
use super::patience::Patience;
use super::tips::Tips;
use crate::chain::HeaderChain;
use crate::net::{Announcement, Announcements};
use crate::quorums::ChainLocks;
use crate::timer::sleep_until;

/// Peers that come back after all were away are waited for anew, this often.
const MAX_OUTAGES: u32 = 3;

/// Peers that are remembered for having told their tip before they went; any number may come and go in months.
const MAX_GONE: usize = 1_024;

/// Headers are stored when at least so many are not.
const SAVED_AT_A_TIME: u32 = 500;

/// Hears which chains peers have, and offers them to [`Tips`].
pub(super) struct Hearing<'a> {
    exchange: &'a HeaderExchange,
    tips: &'a Tips,
    patience: Patience,
    /// The chain that was there before: a candidate whoever else has it.
    own: Arc<HeaderChain>,
    /// The chain that an earlier download left in the store, proven or not: no candidate before somebody has shown it.
    remembered: Arc<HeaderChain>,
    ahead: &'a Ahead,
    locks: &'a ChainLocks,
    locking: Locking<'a>,
    started: Instant,
    /// Since when somebody is there, after nobody was, and how often that was so.
    company_since: Instant,
    outages: u32,
    peers: BTreeMap<SocketAddr, Hearsay>,
    /// Peers that have told their tip and are gone.
    gone: BTreeSet<SocketAddr>,
    questions: FuturesUnordered<BoxFuture<'a, (SocketAddr, Option<Batch>)>>,
    /// Answers and announcements that wait to be judged; `None` for a question that brought nothing.
    inbox: VecDeque<(Sent, Option<Batch>)>,
    /// The judging of one of them.
    work: Option<BoxFuture<'a, Done>>,
    /// The search for the headers below the start, and the start with them once they are found.
    descent: Option<BoxFuture<'a, Arc<HeaderChain>>>,
    anchored: Option<Arc<HeaderChain>>,
    /// Headers that are being stored, and up to which height they are.
    saving: Option<BoxFuture<'a, ()>>,
    saved_to: u32,
    /// The peer that a stretch is downloaded from which is longer than one answer. The others wait where they are.
    leader: Option<SocketAddr>,
    next_poll: Instant,
    /// Whether a peer has shown a chain that is not offered yet.
    has_news: bool,
    settled: Option<Settled>,
}

/// How waiting for peers to tell their tips has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// Somebody has told a tip.
    Heard,
    /// Nobody has.
    InVain,
}

impl<'a> Hearing<'a> {
    pub(super) fn new(
        exchange: &'a HeaderExchange,
        tips: &'a Tips,
        ahead: &'a Ahead,
        locks: &'a ChainLocks,
        own: Arc<HeaderChain>,
        remembered: Arc<HeaderChain>,
        patience: Patience,
    ) -> Self {
        let started = Instant::now();
        Self {
            exchange,
            tips,
            patience,
            own,
            saved_to: remembered.tip_height(),
            remembered,
            ahead,
            locks,
            locking: Locking::default(),
            started,
            company_since: started,
            outages: 0,
            peers: BTreeMap::new(),
            gone: BTreeSet::new(),
            questions: FuturesUnordered::new(),
            inbox: VecDeque::new(),
            work: None,
            descent: None,
            anchored: None,
            saving: None,
            leader: None,
            next_poll: started + patience.poll,
            // Of an earlier time something may be known.
            has_news: true,
            settled: None,
        }
    }

    /// Ends when `needs_lower` gives another start for a peer's chain.
    pub(super) async fn run(
        mut self,
        mut announcements: Option<&mut Announcements>,
        on_progress: impl Fn(u32),
        needs_lower: impl Fn(&HeaderChain) -> Option<HeaderChain>,
    ) -> HeaderChain {
        let mut peers_changed = self.exchange.peers.changes();
        let mut locked = self.locks.changes();
        let mut reported = None;
        self.descend();
        loop {
            peers_changed.mark_unchanged();
            self.judge_next();
            self.hold_to_lock();
            self.judge_next_lock();
            self.meet_newcomers();
            self.choose_leader();
            self.ask_again();
            if let Some(lower) = self.offer(&needs_lower) {
                return lower;
            }
            self.settle_if_heard();
            let (longest, best) = (self.longest(), self.best());
            let reached = if self.leader.is_some() { &longest } else { &best };
            let height = Some(reached.tip_height());
            if height != reported {
                reported = height;
                on_progress(reached.tip_height());
            }
            self.save_if_due(longest);
            let wake = self.next_wake();
            // What peers send unasked waits until what was asked for is done with.
            let listened = announcements.as_mut().filter(|_| self.inbox.is_empty());
            let announced = OptionFuture::from(listened.map(|news| news.recv()));
            let (work, saving) =
                (OptionFuture::from(self.work.as_mut()), OptionFuture::from(self.saving.as_mut()));
            let descent = OptionFuture::from(self.descent.as_mut());
            let judging_lock = OptionFuture::from(self.locking.judging.as_mut());
            tokio::select! {
                biased;
                // Before all that peers can bring about as often as they like.
                () = sleep_until(Some(wake)) => {}
                Some((peer, batch)) = self.questions.next(), if !self.questions.is_empty() => {
                    self.received(peer, batch);
                }
                Some(done) = work => self.worked(done),
                Some(()) = saving => self.saving = None,
                Some(judged) = judging_lock => self.lock_judged(judged),
                Ok(()) = locked.changed() => {}
                Some(start) = descent => self.anchored_at(start),
                _ = peers_changed.changed() => {}
                // Also when a branch was set aside.
                () = self.tips.other_than(&best) => {}
                () = self.exchange.peers.out_of_patience(), if self.settled.is_none() => {}
                Some(Some(Announcement { peer, news })) = announced => self.announced(peer, news),
            }
        }
    }

    /// The chain with the most work that is not set aside, or the one that was there before.
    fn best(&self) -> Arc<HeaderChain> {
        self.tips.known().chain.unwrap_or_else(|| self.own.clone())
    }

    /// The chain with the most work of all that are known and contradict no ChainLock, that of the leader included.
    fn longest(&self) -> Arc<HeaderChain> {
        let chains = self.chains().into_iter().filter(|chain| !self.tips.contradicts_lock(chain));
        let longest = chains.max_by_key(|chain| chain.work());
        longest.unwrap_or_else(|| self.own.clone())
    }

    /// All chains that are known, each once.
    fn chains(&self) -> Vec<Arc<HeaderChain>> {
        let heard = self.exchange.peers.all_heard().into_iter().map(|(_, heard)| heard.chain);
        let mut chains: Vec<Arc<HeaderChain>> = Vec::new();
        let here = [self.best(), self.own.clone(), self.remembered.clone()];
        for chain in here.into_iter().chain(heard) {
            if chains.iter().all(|known| known.tip_hash() != chain.tip_hash()) {
                chains.push(chain);
            }
        }
        chains
    }

    /// Asks peers that have greeted since, and forgets those that are gone.
    fn meet_newcomers(&mut self) {
        let greeted = self.exchange.peers.greeted();
        let told = self.told();
        let is_gone = |peer: &SocketAddr| !greeted.contains(peer);
        let room = MAX_GONE.saturating_sub(self.gone.len());
        self.gone.extend(told.into_iter().filter(is_gone).take(room));
        self.peers.retain(|peer, hearsay| hearsay.is_busy() || !is_gone(peer));
        for peer in greeted {
            if !self.peers.contains_key(&peer) {
                let now = Instant::now();
                let can_wait = self.can_wait(&peer);
                let hearsay = Hearsay {
                    said: if can_wait { Said::Unasked } else { Said::Nothing },
                    is_asked: false,
                    unjudged: 0,
                    is_polled: false,
                    has_announced: false,
                    asked_at: now,
                    asked_about: self.own.tip_hash(),
                    full_answer: None,
                    waits_since: now,
                    patience: self.exchange.peers.patience_with(&peer, self.patience.longest),
                    retry_at: now,
                };
                self.gone.remove(&peer);
                if self.peers.is_empty() && self.outages < MAX_OUTAGES {
                    (self.company_since, self.outages) = (now, self.outages + 1);
                }
                self.peers.insert(peer, hearsay);
                if !can_wait {
                    self.ask(peer, &self.longest());
                }
            }
        }
    }

    /// Asks a peer for what follows a chain, unless it is asked already or its last answer is not judged yet.
    fn ask(&mut self, peer: SocketAddr, chain: &HeaderChain) {
        if self.peers.get(&peer).is_some_and(|hearsay| !hearsay.is_busy()) {
            self.send(peer, chain.tip_hash(), chain.locator());
        }
    }

    fn send(&mut self, peer: SocketAddr, about: BlockHash, locator: Vec<BlockHash>) {
        let exchange = self.exchange;
        if let Some(hearsay) = self.peers.get_mut(&peer).filter(|hearsay| !hearsay.is_asked) {
            (hearsay.is_asked, hearsay.is_polled, hearsay.has_announced) = (true, false, false);
            (hearsay.asked_at, hearsay.asked_about) = (Instant::now(), about);
            self.questions.push(exchange.ask_peer(peer, locator).boxed());
        }
    }

    /// Asks a peer for what follows the best chain, unless it has brought nothing lately.
    fn ask_if_fruitful(&mut self, peer: SocketAddr) {
        if self.exchange.peers.header_wait(&peer).is_none() {
            self.ask(peer, &self.best());
        }
    }

    /// Asks those again whose question failed or who have not shown the best chain's tip, and everybody when there were no
    /// news for long.
    fn ask_again(&mut self) {
        let now = Instant::now();
        if now >= self.next_poll {
            self.next_poll = now + self.patience.poll;
            self.tips.reconsider();
            let is_idle = |hearsay: &Hearsay| !hearsay.is_busy() && hearsay.said != Said::Unasked;
            let idle = self.peers.iter().filter(|(_, hearsay)| is_idle(hearsay)).map(|(peer, _)| *peer);
            for peer in idle.collect::<Vec<_>>() {
                self.ask(peer, &self.best());
                if let Some(hearsay) = self.peers.get_mut(&peer) {
                    hearsay.is_polled = true;
                }
            }
        }
        let is_due = |peer: &&SocketAddr| self.asked_again_at(peer).is_some_and(|at| at <= now);
        for peer in self.peers.keys().filter(is_due).copied().collect::<Vec<_>>() {
            self.ask_if_fruitful(peer);
        }
    }

    /// When a peer is asked again; `None` where there is no need.
    fn asked_again_at(&self, peer: &SocketAddr) -> Option<Instant> {
        let is_idle =
            |hearsay: &&Hearsay| !hearsay.is_busy() && matches!(hearsay.said, Said::Nothing | Said::All);
        let hearsay = self.peers.get(peer).filter(is_idle)?;
        let best = self.best();
        let has_tip = self
            .exchange
            .peers
            .heard_of(peer)
            .is_some_and(|heard| heard.chain.hash(best.tip_height()) == Some(best.tip_hash()));
        let is_wanted =
            hearsay.said == Said::Nothing || hearsay.has_announced || !has_tip || self.claims_more(peer);
        let wait = self.exchange.peers.header_wait(peer).map(|wait| Instant::now() + wait);
        is_wanted.then(|| wait.map_or(hearsay.retry_at, |until| until.max(hearsay.retry_at)))
    }

    /// Whether the peer claims a greater height than it has shown, and than the best chain has.
    fn claims_more(&self, peer: &SocketAddr) -> bool {
        let shown = self.exchange.peers.heard_of(peer).map_or(0, |heard| heard.chain.tip_height());
        self.exchange.peers.claimed_by([peer]) > shown.max(self.best().tip_height())
    }

    /// Whether the peer, as it says itself, has not even the block from which this sync starts.
    fn claims_too_little(&self, peer: &SocketAddr) -> bool {
        self.exchange.peers.heard_of(peer).is_none()
            && self.exchange.peers.claimed_by([peer]) < self.own.start_height()
    }

    /// Stores headers in the background, so that they need not be downloaded again.
    fn save_if_due(&mut self, longest: Arc<HeaderChain>) {
        if self.saving.is_none() && longest.tip_height() >= self.saved_to + SAVED_AT_A_TIME {
            self.saved_to = longest.tip_height();
            self.saving = Some(self.ahead.save(longest).boxed());
        }
    }

    /// Notes what a peer has shown, to be offered if it is new.
    fn shown(&mut self, peer: SocketAddr, chain: Arc<HeaderChain>, is_complete: bool, was_asked: bool) {
        if chain.work() > self.best().work() {
            self.next_poll = Instant::now() + self.patience.poll;
        }
        if chain.hash(self.remembered.tip_height()) == Some(self.remembered.tip_hash()) {
            // Chains that nobody needs take memory.
            self.remembered = self.own.clone();
        }
        let contradicted = self.tips.locked_height().filter(|_| self.tips.contradicts_lock(&chain));
        self.exchange.peers.contradicts_lock(peer, contradicted);
        self.has_news |= self.exchange.peers.heard(peer, chain, is_complete, was_asked);
    }

    /// Offers the chains whose end a peer has told, if there are new ones; that of a leader under way is no tip yet. Gives
    /// another start where a chain needs it.
    fn offer(&mut self, needs_lower: impl Fn(&HeaderChain) -> Option<HeaderChain>) -> Option<HeaderChain> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        let heard = self.exchange.peers.all_heard().into_iter().map(|(_, heard)| heard);
        let chains: Vec<Arc<HeaderChain>> = heard
            .filter(|heard| heard.is_complete && heard.chain.has_min_work())
            .map(|heard| heard.chain)
            .collect();
        if chains.is_empty() {
            return None;
        }
        if let Some(lower) = chains.iter().find_map(|chain| needs_lower(chain)) {
            return Some(lower);
        }
        self.tips.offer(chains, &self.own);
        None
    }
}
