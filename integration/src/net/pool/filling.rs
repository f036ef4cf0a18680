use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, Fuse, FusedFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Pool, PoolEvent};
use crate::discovery::{Discovery, Heard, Next};
use crate::resolver::LookupFailed;

impl Pool {
    /// Keeps as many connections to nodes that `discovery` chooses as it wants.
    pub(super) async fn fill(
        self: Arc<Self>,
        discovery: Arc<Discovery>,
        mut heard: mpsc::Receiver<Heard>,
        events: mpsc::Sender<PoolEvent>,
    ) {
        let filling = Filling::new(&self, &discovery, &mut heard, &events);
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => {}
            () = filling.run() => {}
        }
        // What has come by now is not to be lost.
        while let Ok(heard) = heard.try_recv() {
            discovery.heard(heard);
        }
        let found: Vec<SocketAddr> = self.connections.iter().map(|entry| *entry.key()).collect();
        found.iter().filter(|address| !discovery.is_fixed(address)).for_each(|address| self.let_go(address));
        discovery.save().await;
    }

    /// One connection to a node that was found, from its beginning to its end.
    async fn attempt(&self, address: SocketAddr, discovery: &Discovery, events: &mpsc::Sender<PoolEvent>) {
        events.send(PoolEvent::Trying { address }).await.ok();
        let end = self.connect(address, events).await;
        self.ended(address, end, None, events).await;
        // On the record by now, so that the next choice knows of it.
        discovery.release(&address);
    }
}

/// What goes on at one time while a pool is filled.
struct Filling<'a> {
    pool: &'a Pool,
    discovery: &'a Discovery,
    heard: &'a mut mpsc::Receiver<Heard>,
    events: &'a mpsc::Sender<PoolEvent>,
    /// Connections to nodes that were found, each from its beginning to its end.
    attempts: FuturesUnordered<BoxFuture<'a, ()>>,
    /// The DNS seeds being asked.
    seeds: Fuse<BoxFuture<'a, Result<(), LookupFailed>>>,
    /// What was learnt being written down. Beside the rest: connections do not wait for the disk.
    saving: Fuse<BoxFuture<'a, ()>>,
    save_at: Instant,
}

impl<'a> Filling<'a> {
    fn new(
        pool: &'a Pool,
        discovery: &'a Discovery,
        heard: &'a mut mpsc::Receiver<Heard>,
        events: &'a mpsc::Sender<PoolEvent>,
    ) -> Self {
        Self {
            pool,
            discovery,
            heard,
            events,
            attempts: FuturesUnordered::new(),
            seeds: Fuse::terminated(),
            saving: Fuse::terminated(),
            save_at: Instant::now() + discovery.save_interval(),
        }
    }

    /// Never ends.
    async fn run(mut self) {
        loop {
            let wait = self.connect_where_wanted();
            if self.discovery.takes_turn_of_seeds() {
                self.seeds = self.discovery.ask_seeds().boxed().fuse();
            }
            if self.discovery.is_urgent() && self.saving.is_terminated() {
                self.save_at = Instant::now();
            }
            self.discovery.report();
            tokio::select! {
                biased;
                Some(()) = self.attempts.next() => {}
                Some(heard) = self.heard.recv() => self.discovery.heard(heard),
                asked = &mut self.seeds, if !self.seeds.is_terminated() => {
                    if let Err(error) = asked {
                        tracing::warn!(%error, "no DNS seed answers");
                    }
                }
                () = &mut self.saving, if !self.saving.is_terminated() => {}
                () = tokio::time::sleep_until(self.save_at), if self.saving.is_terminated() => self.save(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Connects to all that are wanted now; gives after how long to look again.
    fn connect_where_wanted(&self) -> Duration {
        loop {
            match self.discovery.next() {
                Next::Connect(address) => {
                    let attempt = self.pool.attempt(address, self.discovery, self.events);
                    self.attempts.push(attempt.boxed());
                }
                Next::Wait(wait) => return wait,
            }
        }
    }

    fn save(&mut self) {
        self.saving = self.discovery.save().boxed().fuse();
        self.save_at = Instant::now() + self.discovery.save_interval();
    }
}
