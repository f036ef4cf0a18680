use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dashcore::sml::llmq_type::LLMQType;
use dashcore::{BlockHash, QuorumHash};
use parking_lot::Mutex;
use serde::Serialize;
use spv_integration::Client;
use spv_integration::client::{At, LookupError, QuorumProof};
use spv_integration::fleet::LivePeer;
use spv_integration::progress::Progress;
use spv_integration::session::Step;
use tokio::sync::{Notify, broadcast};

/// Number of events that are kept for slow readers. A reader that misses more is told how many.
const KEPT: usize = 256;

/// Time between two looks at the peers.
const LOOK: Duration = Duration::from_secs(1);

/// What happens in a service, for any number of readers.
#[derive(Debug)]
pub(crate) struct Events {
    /// The latest of each kind, or of each peer.
    current: Mutex<Current>,
    news: broadcast::Sender<Arc<Numbered>>,
    /// The quorums of a tip can be looked at.
    tip_reached: Notify,
}

#[derive(Debug, Default)]
struct Current {
    count: u64,
    by_subject: BTreeMap<String, Arc<Numbered>>,
}

/// An event and its number.
#[derive(Debug)]
pub(crate) struct Numbered {
    number: u64,
    event: Event,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Event {
    Tip {
        height: u32,
        hash: BlockHash,
        time: u32,
        /// How the sync of this tip ended.
        state: Cow<'static, str>,
        reason: Option<String>,
        rolled_back_to: Option<u32>,
    },
    ChainLock {
        height: u32,
        hash: BlockHash,
    },
    Quorum {
        /// Height of the tip that shows it.
        tip: u32,
        change: &'static str,
        #[serde(rename = "type")]
        llmq_type: LLMQType,
        type_name: Option<&'static str>,
        quorum_hash: QuorumHash,
        verified: bool,
        proof: &'static str,
    },
    Peer {
        address: String,
        state: &'static str,
        reason: String,
    },
    Phase {
        phase: &'static str,
    },
}

impl Event {
    const fn name(&self) -> &'static str {
        match self {
            Self::Tip { .. } => "tip",
            Self::ChainLock { .. } => "chain_lock",
            Self::Quorum { .. } => "quorum",
            Self::Peer { .. } => "peer",
            Self::Phase { .. } => "phase",
        }
    }

    /// The name under which the latest event is kept for new readers; `None` if it is not kept.
    fn subject(&self) -> Option<String> {
        match self {
            Self::Quorum { .. } => None,
            Self::Peer { address, .. } => Some(format!("peer {address}")),
            _ => Some(self.name().to_owned()),
        }
    }
}

impl Numbered {
    pub(super) fn as_sse(&self) -> axum::response::sse::Event {
        let data = serde_json::to_string(&self.event).unwrap_or_default();
        axum::response::sse::Event::default().id(self.number.to_string()).event(self.event.name()).data(data)
    }
}

type Quorums = BTreeMap<(LLMQType, QuorumHash), QuorumProof>;

impl Events {
    pub(crate) fn new() -> Arc<Self> {
        let (news, _) = broadcast::channel(KEPT);
        Arc::new(Self { current: Mutex::default(), news, tip_reached: Notify::new() })
    }

    /// How things are, and what happens from now on, without a gap between the two.
    pub(super) fn subscribe(&self) -> (Vec<Arc<Numbered>>, broadcast::Receiver<Arc<Numbered>>) {
        let current = self.current.lock();
        let mut events: Vec<Arc<Numbered>> = current.by_subject.values().cloned().collect();
        events.sort_by_key(|event| event.number);
        (events, self.news.subscribe())
    }

    fn publish(&self, event: Event) {
        let mut current = self.current.lock();
        let subject = event.subject();
        if subject
            .as_ref()
            .and_then(|subject| current.by_subject.get(subject))
            .is_some_and(|known| known.event == event)
        {
            return;
        }
        current.count += 1;
        let numbered = Arc::new(Numbered { number: current.count, event });
        if let Some(subject) = subject {
            current.by_subject.insert(subject, numbered.clone());
        }
        // Nobody reads, mostly.
        self.news.send(numbered).ok();
    }

    /// Tells what was reached for a tip.
    pub(crate) fn tip(&self, step: &Step) {
        let summary = &step.summary;
        self.publish(Event::Tip {
            height: summary.tip.height,
            hash: summary.tip.hash,
            time: summary.tip.time,
            state: summary.state.as_str().into(),
            reason: summary.reason.clone(),
            rolled_back_to: step.rolled_back_to,
        });
        self.tip_reached.notify_one();
    }

    /// Publishes all other events for as long as it is polled.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn observe(
        &self,
        client: &Client,
        progress: &Progress,
    ) -> Result<Infallible, LookupError> {
        let mut phases = progress.watch();
        phases.mark_changed();
        let mut chain_locks = client.chain_locks().await?;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut quorums = None;
        loop {
            tokio::select! {
                Ok(()) = phases.changed() => {
                    let phase = phases.borrow_and_update().phase.as_str();
                    self.publish(Event::Phase { phase });
                }
                Ok(()) = chain_locks.changed() => {
                    let lock = chain_locks.borrow_and_update().clone();
                    if let Some(lock) = lock {
                        self.publish(Event::ChainLock { height: lock.block_height, hash: lock.block_hash });
                    }
                }
                _ = looks.tick() => self.look_at(&progress.peers()),
                () = self.tip_reached.notified() => self.compare_quorums(client, &mut quorums).await,
            }
        }
    }

    fn look_at(&self, peers: &[LivePeer]) {
        for peer in peers {
            let standing = peer.standing;
            self.publish(Event::Peer {
                address: peer.peer.address.to_string(),
                state: standing.as_str(),
                reason: peer.peer.remark.clone().unwrap_or_default(),
            });
        }
        // Peers that are gone are no longer part of how things are.
        let addresses: Vec<String> = peers.iter().map(|peer| format!("peer {}", peer.peer.address)).collect();
        let is_there = |subject: &String| !subject.starts_with("peer ") || addresses.contains(subject);
        self.current.lock().by_subject.retain(|subject, _| is_there(subject));
    }

    /// Tells which quorums of the newest list are new, have retired, or are proven otherwise than before.
    async fn compare_quorums(&self, client: &Client, known: &mut Option<Quorums>) {
        // A list that cannot be read now is compared at the next tip.
        let Ok(found) = client.quorums(At::Newest).await else { return };
        let Some(tip) = found.first().map(|quorum| quorum.height) else { return };
        let found: Quorums = found
            .iter()
            .map(|quorum| ((quorum.entry.llmq_type, quorum.entry.quorum_hash), quorum.proof()))
            .collect();
        let Some(before) = known.replace(found.clone()) else { return };
        let tell = |(llmq_type, quorum_hash): (LLMQType, QuorumHash), proof: QuorumProof, change| {
            let type_name = llmq_type.name();
            let (verified, proof) = (proof.is_usable(), proof.as_str());
            self.publish(Event::Quorum { tip, change, llmq_type, type_name, quorum_hash, verified, proof });
        };
        for (name, proof) in &found {
            match before.get(name) {
                None => tell(*name, *proof, "active"),
                Some(before) if before != proof => tell(*name, *proof, "proof"),
                Some(_) => {}
            }
        }
        for (name, proof) in before.iter().filter(|(name, _)| !found.contains_key(*name)) {
            tell(*name, *proof, "retired");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(phase: &'static str) -> Event {
        Event::Phase { phase }
    }

    #[test]
    fn who_comes_late_is_told_how_things_are_and_misses_nothing_after() {
        let events = Events::new();
        events.publish(phase("headers"));
        events.publish(phase("lists"));
        events.publish(Event::ChainLock { height: 7, hash: BlockHash::all_zeros() });
        let (current, mut news) = events.subscribe();
        let current: Vec<&Event> = current.iter().map(|event| &event.event).collect();
        assert_eq!(current, [&phase("lists"), &Event::ChainLock { height: 7, hash: BlockHash::all_zeros() }]);
        events.publish(phase("lists"));
        assert!(news.try_recv().is_err(), "that is no news");
        events.publish(phase("done"));
        let event = news.try_recv().unwrap();
        assert_eq!((event.number, &event.event), (4, &phase("done")));
    }

    #[test]
    fn who_reads_too_slowly_is_told_how_many_are_missing() {
        let events = Events::new();
        let (_, mut news) = events.subscribe();
        for height in 0..300 {
            events.publish(Event::ChainLock { height, hash: BlockHash::all_zeros() });
        }
        // The ring rounds its size up to a power of two.
        let missing = 300 - KEPT as u64;
        assert!(
            matches!(news.try_recv(), Err(broadcast::error::TryRecvError::Lagged(count)) if count == missing)
        );
        assert_eq!(news.try_recv().unwrap().number, missing + 1);
    }
}
