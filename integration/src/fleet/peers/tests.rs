use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};

use super::*;
use crate::chain::BlockId;
use crate::fleet::Outcome;
use crate::wire::Request;

const RTT: Duration = Duration::from_millis(100);

/// A client of one node.
pub(crate) struct Scene {
    pub(crate) world: Arc<World>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) peer: SocketAddr,
}

impl Scene {
    /// Starts the node with these faults, and waits until it may be asked.
    pub(crate) async fn with(faults: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let spec = GeneratedSpec { masternodes: 4, cycles: 3, seed: 1, ..GeneratedSpec::default() };
        let world = Arc::new(World::generate(&spec));
        let node = PeerConfig { rtt: RTT, faults: faults.parse().unwrap(), ..PeerConfig::default() };
        let config = NetworkConfig { peers: vec![node], ..NetworkConfig::default() };
        let network = Arc::new(InMemoryNetwork::start(&world, config).unwrap());
        let peer = network.addresses()[0];
        let connector = Connector::new(move |address| {
            let network = network.clone();
            async move { network.connect(address).await }
        });
        let mut settings = Settings::default();
        change(&mut settings);
        let sources = PeerSources::of(vec![peer]);
        let rng = fastrand::Rng::with_seed(1);
        let (peers, follow) =
            Peers::start(world.params(), sources, 0, &settings, &connector, rng, None).unwrap();
        tokio::spawn(follow);
        let scene = Self { world, peers, peer };
        while scene.standing() != Standing::Ready {
            tokio::time::sleep(RTT).await;
        }
        scene
    }

    fn standing(&self) -> Standing {
        self.peers.live()[0].standing
    }

    /// Answers to this kind of request that were accepted.
    pub(crate) fn accepted(&self, kind: RequestKind) -> u64 {
        let health = self.peers.pool.monitor().health(&self.peer).unwrap();
        health.kinds.get(&kind).map_or(0, |of_kind| of_kind.accepted)
    }

    fn tip(&self) -> BlockId {
        let height = self.world.tip();
        BlockId { height, hash: self.world.block_hash(height).unwrap() }
    }

    /// A request for a list.
    fn request(&self) -> Request {
        let hash = |height| self.world.block_hash(height).unwrap();
        let tip = self.world.tip();
        Request::ListDiff(GetMnListDiff { base_block_hash: hash(tip - 1), block_hash: hash(tip) })
    }

    /// Sends a request, waits for as long, and then for the answer no more.
    async fn ask_and_leave(&self, wait: Duration) {
        let avoid = Default::default();
        let asked = self.peers.ask_for_lists(self.request(), self.tip(), &avoid, 1);
        assert!(tokio::time::timeout(wait, asked).await.is_err(), "it was answered before");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_nobody_waits_for_is_charged() {
    let scene = Scene::with("refuse-all", |settings| settings.recovery.ledger_limit = 1).await;
    scene.ask_and_leave(RTT / 4).await;
    assert_eq!(scene.standing(), Standing::Ready, "its pong is under way");
    tokio::time::sleep(2 * RTT).await;
    assert_eq!(scene.standing(), Standing::Spent);
    assert!(scene.peers.credit_spent() && scene.peers.capacity() == 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_earns_nothing() {
    let scene = Scene::with("", |_| {}).await;
    scene.ask_and_leave(RTT / 4).await;
    tokio::time::sleep(5 * RTT).await;
    let health = scene.peers.pool.monitor().health(&scene.peer).unwrap();
    assert_eq!((health.accepted, health.reliability.samples), (0, 0));
    assert_eq!(scene.peers.slots().borrow().succeeded, 0);
}

#[tokio::test(start_paused = true)]
async fn with_liars_alone_everything_has_failed() {
    let scene = Scene::with("", |_| {}).await;
    for _ in 0..5 {
        let avoid = Default::default();
        let answer = scene.peers.ask_for_lists(scene.request(), scene.tip(), &avoid, 1).await.unwrap();
        answer.permit.reject();
        scene.peers.record(scene.peer, Outcome::Invalid(RequestKind::MnListDiff));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let health = scene.peers.pool.monitor().health(&scene.peer).unwrap();
    assert_eq!(health.reliability.ratio, 0.0);
    let progress = *scene.peers.slots().borrow();
    assert_eq!((progress.succeeded, progress.failed), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_while_it_is_asked_is_replaced_after_the_ping_timeout() {
    // version, verack and the first ping are answered.
    let scene = Scene::with("mute-after=3", |_| {}).await;
    scene.ask_and_leave(RTT).await;
    let trouble = || scene.peers.reports()[&scene.peer].trouble.clone();
    let Settings { ping_timeout, ping_interval, .. } = Settings::default();
    tokio::time::sleep(ping_timeout - RTT).await;
    assert_eq!(trouble(), None, "a large answer takes its time");
    tokio::time::sleep(ping_interval + RTT).await;
    assert_eq!(trouble().as_deref(), Some("silent"));
}
