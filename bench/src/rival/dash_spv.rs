use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashcore::network::message::NetworkMessage;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use spv_integration::plan::Work;
use tokio::time::Instant;

use super::{GaveUp, Policy, Surroundings};

/// dash-spv of May 2026: one `getqrinfo` at a time, with timeouts of 10, 30 and 60 s; 20 `getmnlistd` at a time over all
/// peers in turn, sent again after 15 s. Nothing is tied to a peer: an answer counts whenever and from whomever it
/// comes, and a lost connection is noticed by the timeout. Where it would give up a `getqrinfo`, it begins anew here.
#[derive(Debug)]
pub(crate) struct DashSpv {
    surroundings: Surroundings,
    turn: usize,
}

const QRINFO_TIMEOUTS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];
const DIFF_TIMEOUT: Duration = Duration::from_secs(15);
const DIFFS_IN_FLIGHT: usize = 20;

enum Event {
    Answered(usize, Bytes),
    /// The connection went; nobody tells the pipeline.
    Lost,
    Proven(usize, bool),
}

impl DashSpv {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self { surroundings, turn: 0 }
    }

    /// Works of one kind, at most `limit` of them at a time.
    async fn pipeline(&mut self, works: &[&Arc<Work>], limit: usize, timeouts: &[Duration]) {
        let surroundings = self.surroundings.clone();
        let mut queue: VecDeque<usize> = (0..works.len()).collect();
        let mut tries = vec![0; works.len()];
        let mut in_flight: BTreeMap<usize, Instant> = BTreeMap::new();
        let mut answered = vec![false; works.len()];
        let mut events: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut proven = 0;
        while proven < works.len() {
            while in_flight.len() < limit
                && let Some(index) = queue.pop_front()
            {
                let peer = surroundings.client.next_connected(self.turn).await;
                self.turn = peer + 1;
                in_flight.insert(index, Instant::now() + timeouts[tries[index] % timeouts.len()]);
                tries[index] += 1;
                if let Ok(answer) = surroundings.client.send(peer, works[index]) {
                    let event = answer.map(move |answer| match answer {
                        Ok(payload) => Event::Answered(index, payload),
                        Err(_) => Event::Lost,
                    });
                    events.push(event.boxed());
                }
            }
            let due = in_flight.values().min().copied();
            let event = tokio::select! {
                biased;
                Some(event) = events.next() => event,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let now = Instant::now();
                    let overdue: Vec<usize> =
                        in_flight.iter().filter(|(_, due)| **due <= now).map(|(index, _)| *index).collect();
                    for index in overdue.into_iter().rev() {
                        in_flight.remove(&index);
                        queue.push_front(index);
                    }
                    continue;
                }
            };
            match event {
                Event::Answered(index, payload) if !answered[index] => {
                    answered[index] = true;
                    in_flight.remove(&index);
                    queue.retain(|queued| *queued != index);
                    let (surroundings, work) = (&surroundings, works[index]);
                    let prove = async move { Event::Proven(index, surroundings.proves(work, payload).await) };
                    events.push(prove.boxed());
                }
                Event::Answered(..) | Event::Lost => {}
                Event::Proven(_, true) => proven += 1,
                Event::Proven(index, false) => {
                    answered[index] = false;
                    queue.push_front(index);
                }
            }
        }
    }
}

impl Policy for DashSpv {
    fn fetch<'a>(&'a mut self, works: &'a [Arc<Work>]) -> BoxFuture<'a, Result<(), GaveUp>> {
        async move {
            let is_qrinfo = |work: &&Arc<Work>| matches!(work.message(), NetworkMessage::GetQRInfo(_));
            let (qrinfos, diffs): (Vec<_>, Vec<_>) = works.iter().partition(is_qrinfo);
            self.pipeline(&qrinfos, 1, &QRINFO_TIMEOUTS).await;
            self.pipeline(&diffs, DIFFS_IN_FLIGHT, &[DIFF_TIMEOUT]).await;
            Ok(())
        }
        .boxed()
    }
}
