use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Node;
use super::clock::now;
use super::event::{Event, Message, Sender};
use super::flooder::Flooder;
use super::inboxes::{Inboxes, Next};
use super::outbox::{Action, Outgoing};
use super::reply::Reply;
use super::session::Session;
use super::uplink::Uplink;
use crate::faults::FaultPlan;
use crate::luck::{Attempts, Luck};

/// The node's only message handler: one message at a time, whatever connection it comes from.
#[derive(Debug)]
pub(super) struct Handler {
    faults: FaultPlan,
    attempts: Attempts,
    flooder: Option<Flooder>,
    uplink: Uplink,
    inboxes: Inboxes<Message>,
    lanes: BTreeMap<u64, Lane>,
    node: Arc<Node>,
}

/// The handler's side of a connection.
#[derive(Debug)]
struct Lane {
    session: Session,
    sender: Sender,
    /// When the last of what has been sent in order is due.
    last_due: Option<Instant>,
    held: Option<Held>,
    /// When the next message is due that nobody asked for.
    next_flood: Option<Instant>,
}

/// An answer that is to come after the next one, and what belongs behind it.
#[derive(Debug)]
struct Held {
    replies: Vec<Reply>,
    /// It goes out then at the latest, or as soon as the handler is free.
    until: Instant,
}

/// Longest that an answer waits for the next one. Far below every timeout, so that order is all that goes wrong.
const MAX_HOLD: Duration = Duration::from_millis(300);
/// How far behind a flood may be to be made up for.
const CATCH_UP: Duration = Duration::from_secs(1);

impl Handler {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            faults: FaultPlan::new(node.config.faults.clone(), node.config.seed),
            attempts: Attempts::default(),
            flooder: node.config.faults.flood.map(|flood| Flooder::new(flood, node.config.seed)),
            uplink: Uplink::new(node.config.bandwidth),
            inboxes: Inboxes::new(),
            lanes: BTreeMap::new(),
            node,
        }
    }

    pub(super) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>, stop: CancellationToken) {
        let work = async {
            loop {
                while let Ok(event) = events.try_recv() {
                    self.take_in(event);
                }
                self.release_overdue(now());
                self.flood(now());
                match self.next(now()) {
                    Next::Handle(id, message) => self.handle(id, message).await,
                    Next::WaitUntil(time) => tokio::select! {
                        biased;
                        Some(event) = events.recv() => self.take_in(event),
                        () = sleep_until(time.into()) => {}
                    },
                    Next::Idle => match events.recv().await {
                        Some(event) => self.take_in(event),
                        None => return,
                    },
                }
            }
        };
        tokio::select! {
            biased;
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Opened { id, address, sender } => {
                self.inboxes.open(id);
                self.lanes.insert(id, Lane::new(address, sender, &self.node));
            }
            Event::Received { id, due, message } => self.inboxes.push(id, due, message),
            Event::Closed { id } => {
                self.inboxes.close(id);
                self.lanes.remove(&id);
            }
            // Which connection it is shows when the next message is chosen.
            Event::Drained => {}
            Event::NewTip { before } => self.announce(|session, node| session.announce(&before, node)),
            Event::NewLock { lock } => {
                self.announce(|session, node| {
                    session.announce_instant_lock(&lock, node).into_iter().collect()
                });
            }
        }
    }

    fn announce(&mut self, news: impl Fn(&Session, &Node) -> Vec<Reply>) {
        let now = now();
        for lane in self.lanes.values_mut() {
            for reply in news(&lane.session, &self.node) {
                lane.dispatch(reply, &mut self.uplink, self.node.one_way(), now);
            }
        }
    }

    fn next(&mut self, now: Instant) -> Next<Message> {
        if let Some(time) = self.uplink.accepts_at().filter(|&time| time > now) {
            return Next::WaitUntil(time);
        }
        let next = self.inboxes.next(now, |id| self.lanes.get(&id).is_none_or(|lane| lane.sender.is_full()));
        let deadlines = |lane: &Lane| [lane.held.as_ref().map(|held| held.until), lane.next_flood];
        let overdue = self.lanes.values().flat_map(deadlines).flatten().min();
        match (next, overdue) {
            (Next::WaitUntil(time), Some(overdue)) => Next::WaitUntil(time.min(overdue)),
            (Next::Idle, Some(overdue)) => Next::WaitUntil(overdue),
            (next, _) => next,
        }
    }

    fn release_overdue(&mut self, now: Instant) {
        for lane in self.lanes.values_mut() {
            if let Some(held) = lane.held.take_if(|held| held.until <= now) {
                lane.release(held, &mut self.uplink, self.node.one_way(), now);
            }
        }
    }

    /// Sends what nobody asked for as it becomes due. What a connection or the line has no room for is left out, and so is
    /// what came due more than [`CATCH_UP`] ago, while the node was serving a request.
    fn flood(&mut self, now: Instant) {
        let Some(flooder) = &mut self.flooder else { return };
        for lane in self.lanes.values_mut() {
            while let Some(due) = lane.next_flood.filter(|due| *due <= now) {
                if lane.sender.is_full() || self.uplink.accepts_at().is_some_and(|time| time > now) {
                    lane.next_flood = Some(now + flooder.period());
                } else {
                    let frame = flooder.next(&lane.session, &self.node);
                    lane.send_aside(frame, &mut self.uplink, self.node.one_way(), now);
                    let due = due.max(now.checked_sub(CATCH_UP).unwrap_or(due));
                    lane.next_flood = Some(due + flooder.period());
                }
            }
        }
    }

    async fn handle(&mut self, id: u64, message: Message) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.session.is_served(message.frame.command) {
            let config = &self.node.config;
            if config.luck == Luck::ByRequest {
                self.faults.reseed(self.attempts.next_seed(config.seed, &message.frame.payload));
            }
            let service_time = config.service_time + self.faults.time_below(config.service_jitter);
            if !service_time.is_zero() {
                sleep(service_time).await;
            }
        }
        let was_established = lane.session.is_established();
        let replies = lane.session.receive(&message.frame, &self.node, &mut self.faults);
        let now = now();
        for reply in replies {
            lane.reply(reply, &mut self.uplink, self.node.one_way(), now);
        }
        if !was_established && lane.session.is_established() {
            lane.establish(now);
            lane.next_flood = self.flooder.is_some().then_some(now);
        }
    }
}

impl Lane {
    fn new(address: SocketAddr, sender: Sender, node: &Node) -> Self {
        Self { session: Session::new(address, node), sender, last_due: None, held: None, next_flood: None }
    }

    /// Tells the writer, behind the node's part of the handshake, that this is done.
    fn establish(&mut self, now: Instant) {
        let due = self.last_due.unwrap_or(now);
        self.sender.send(Outgoing { due, completes_request: false, action: Action::Establish });
    }

    /// Dispatches a reply, or keeps it behind an answer that is held back.
    fn reply(&mut self, reply: Reply, uplink: &mut Uplink, one_way: Duration, now: Instant) {
        let ends_hold = reply.ends_request() || reply == Reply::Close;
        match &mut self.held {
            None if matches!(reply, Reply::HeldAnswer { .. }) => {
                self.held = Some(Held { replies: vec![reply], until: now + MAX_HOLD });
            }
            Some(held) if !ends_hold => held.replies.push(reply),
            _ => {
                self.dispatch(reply, uplink, one_way, now);
                if let Some(held) = self.held.take() {
                    self.release(held, uplink, one_way, now);
                }
            }
        }
    }

    fn release(&mut self, held: Held, uplink: &mut Uplink, one_way: Duration, now: Instant) {
        for reply in held.replies {
            self.dispatch(reply, uplink, one_way, now);
        }
    }

    /// Puts a reply on its way: first over the node's line, then half a round trip, and never before what was sent
    /// earlier on the connection.
    fn dispatch(&mut self, reply: Reply, uplink: &mut Uplink, one_way: Duration, now: Instant) {
        let completes_request = reply.ends_request();
        let (action, delay) = match reply {
            Reply::Send(frame) => (Action::Send(frame), Duration::ZERO),
            Reply::Answer { frame, delay } => (Action::Send(frame), delay),
            Reply::HeldAnswer { frame } => (Action::Send(frame), Duration::ZERO),
            Reply::NoAnswer => (Action::Nothing, Duration::ZERO),
            Reply::Close => (Action::Close, Duration::ZERO),
            Reply::StrayAnswer { frame, by } => {
                return self.send_aside(frame, uplink, one_way + by, now);
            }
        };
        let left = match &action {
            Action::Send(frame) => uplink.send(frame.len(), now),
            Action::Nothing | Action::Close | Action::Establish => now,
        };
        let due = left + one_way + delay;
        let due = self.last_due.map_or(due, |last_due| due.max(last_due));
        self.last_due = Some(due);
        self.sender.send(Outgoing { due, completes_request, action });
    }

    /// Puts a message on its way that waits for nothing sent earlier, and for which nothing waits but the line.
    fn send_aside(&self, frame: Bytes, uplink: &mut Uplink, delay: Duration, now: Instant) {
        let due = uplink.send(frame.len(), now) + delay;
        self.sender.send(Outgoing { due, completes_request: false, action: Action::Send(frame) });
    }
}
