use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::BlockHash;
use dashcore::network::message_blockdata::GetHeadersMessage;
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
    network: Arc<InMemoryNetwork>,
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
        let nodes = network.clone();
        let connector = Connector::new(move |address| {
            let nodes = nodes.clone();
            async move { nodes.connect(address).await }
        });
        let mut settings = Settings::default();
        change(&mut settings);
        let sources = PeerSources::of(vec![peer]);
        let rng = fastrand::Rng::with_seed(1);
        let (peers, follow) =
            Peers::start(world.params(), sources, 0, &settings, &connector, rng, None).unwrap();
        tokio::spawn(follow);
        let scene = Self { world, peers, peer, network };
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

    /// Asks for headers from genesis on, of this peer or of whoever is there; the tip of the answer.
    async fn ask_for_headers(&self, of_somebody: bool) -> u32 {
        let locator_hashes = vec![self.world.block_hash(0).unwrap()];
        let stop_hash = BlockHash::all_zeros();
        let request = Request::Headers(GetHeadersMessage { version: 1, locator_hashes, stop_hash });
        let executed = if of_somebody {
            self.peers.ask_somebody_for_headers(request, BTreeSet::new()).await
        } else {
            self.peers.ask_for_headers(&self.peer, request).await
        };
        let (headers, _) = executed.unwrap().response.headers().unwrap().into_headers();
        self.world.height(&headers.last().unwrap().block_hash()).unwrap()
    }

    /// Requests for headers that the node had, plain and compressed ones.
    fn asked_for_headers(&self) -> (u64, u64) {
        let requests = self.network.stats()[0].requests;
        (requests.getheaders, requests.getheaders2)
    }

    /// Sends a request, waits for as long, and then for the answer no more.
    async fn ask_and_leave(&self, wait: Duration) {
        let avoid = Default::default();
        let asked = self.peers.ask_for_lists(self.request(), self.tip(), &avoid, 1);
        assert!(tokio::time::timeout(wait, asked).await.is_err(), "it was answered before");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_come_compressed_from_who_offers_that_and_plain_from_others() {
    for (faults, asked) in [("", (0, 1)), ("no-headers2", (1, 0))] {
        let scene = Scene::with(faults, |_| {}).await;
        assert_eq!(scene.ask_for_headers(false).await, scene.world.tip());
        assert_eq!(scene.asked_for_headers(), asked, "{faults}");
    }
}

#[tokio::test(start_paused = true)]
async fn undecodable_headers_count_once_and_their_sender_is_asked_plainly_at_once() {
    for of_somebody in [false, true] {
        let scene = Scene::with("bad-headers2=1", |_| {}).await;
        let began = Instant::now();
        assert_eq!(scene.ask_for_headers(of_somebody).await, scene.world.tip());
        assert!(began.elapsed() <= 2 * RTT + Duration::from_millis(10), "{:?}", began.elapsed());
        assert_eq!(scene.asked_for_headers(), (1, 1));
        let failures = || {
            let report = &scene.peers.reports()[&scene.peer];
            (report.requests, report.failed, report.invalid)
        };
        assert_eq!(failures(), (2, 1, 0));
        assert_eq!(scene.ask_for_headers(of_somebody).await, scene.world.tip());
        assert_eq!((scene.asked_for_headers(), failures()), ((2, 1), (3, 1, 0)));
    }
}

#[tokio::test(start_paused = true)]
async fn without_fences_undecodable_headers_are_found_out_as_well() {
    let without_fences = |settings: &mut Settings| settings.correlation.fences = false;
    let scene = Scene::with("bad-headers2=1", without_fences).await;
    let request = GetHeadersMessage {
        version: 1,
        locator_hashes: vec![scene.world.block_hash(0).unwrap()],
        stop_hash: BlockHash::all_zeros(),
    };
    let lost = scene.peers.ask_for_headers(&scene.peer, Request::Headers(request)).await;
    assert!(lost.is_err(), "nothing tells which request it was to answer");
    assert_eq!(scene.ask_for_headers(false).await, scene.world.tip());
    assert_eq!(scene.asked_for_headers(), (1, 1));
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
    assert_eq!(trouble().as_deref(), Some("silent: it did not answer a ping"));
}
