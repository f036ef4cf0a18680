//! What can be switched off for the sake of measuring it: the client does worse, and as it says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulation::surroundings;
use spv_integration::Settings;
use spv_integration::chain::HeaderChain;
use spv_integration::config::Selector;
use spv_integration::plan::{Plan, Work};
use spv_integration::progress::Progress;
use spv_integration::session::{Download, EndState, Session};
use spv_integration::store::Store;
use spv_simnet::{GeneratedSpec, InMemoryNetwork, NetworkConfig, PeerConfig, World};
use tokio::time::Instant;

const RTT: Duration = Duration::from_millis(100);

/// A session with the nodes of a network, and lists to ask for.
struct Connected {
    world: Arc<World>,
    chain: HeaderChain,
    network: Arc<InMemoryNetwork>,
    session: Session,
}

impl Connected {
    async fn to(peers: Vec<PeerConfig>, mut settings: Settings) -> Self {
        let spec =
            GeneratedSpec { masternodes: 12, cycles: 4, signatures: false, ..GeneratedSpec::default() };
        let world = Arc::new(World::generate(&spec));
        let config = NetworkConfig { peers, ..NetworkConfig::default() };
        let network = Arc::new(InMemoryNetwork::start(&world, config).unwrap());
        let mut chain = HeaderChain::starting_at_or_below(world.params(), 0);
        let headers =
            (1..=world.tip()).filter_map(|height| Some((*world.header(height)?, world.block_hash(height)?)));
        let (headers, hashes): (Vec<_>, Vec<_>) = headers.unzip();
        chain.extend(&headers, &hashes, u32::MAX).unwrap();
        let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
        store.save_chain(&chain, None).unwrap();
        // A copy to a second node would hide whom the first request went to.
        settings.executor.hedge_budget = 0;
        let environment = surroundings(&network, 1);
        let addresses = network.addresses();
        let session = Session::open(&environment, world.params(), &addresses, store, settings).await.unwrap();
        Self { world, chain, network, session }
    }

    /// Downloads the `number`th list, alone; returns how long that took too.
    async fn download(&mut self, number: u32) -> (Download, Duration) {
        let began = Instant::now();
        let work = Work::list(self.world.params(), &self.chain, 0, self.world.tip() - number).unwrap();
        let download = self.session.download(Plan::of(vec![work]), &Progress::default()).await.unwrap();
        assert_eq!(download.state, EndState::Synced);
        (download, began.elapsed())
    }

    /// Whom requests went to, in order.
    fn asked(&self, since: Instant) -> Vec<SocketAddr> {
        self.network.arrivals(since.into_std()).iter().map(|arrival| arrival.peer).collect()
    }

    fn pings(&self, peer: usize) -> u64 {
        self.network.stats()[peer].pings
    }
}

fn peer(rtt: Duration) -> PeerConfig {
    PeerConfig { rtt, ..PeerConfig::default() }
}

/// The first of two refuses everything, and is asked first.
async fn refused_first(fences: bool) -> Connected {
    let mut settings = Settings { selector: Selector::RoundRobin, ..Settings::default() };
    settings.correlation.fences = fences;
    settings.executor.adaptive_timeouts = false;
    let mut peers = vec![peer(RTT), peer(RTT)];
    peers[0].faults.refuse_all = true;
    Connected::to(peers, settings).await
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_known_by_the_fence_and_without_fences_at_the_soft_timeout_only() {
    let soft_timeout = Settings::default().executor.soft_timeout;
    let mut fenced = refused_first(true).await;
    let (download, took) = fenced.download(0).await;
    assert!(download.slowest_refusal.unwrap() < RTT.mul_f64(1.5), "{download:?}");
    assert!(took < RTT * 10, "{took:?}");

    let mut unfenced = refused_first(false).await;
    let (download, took) = unfenced.download(0).await;
    assert_eq!((download.slowest_refusal, download.retried), (None, 1));
    assert!(took >= soft_timeout + RTT && took < soft_timeout + RTT * 10, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_fences_there_are_the_usual_pings_and_no_others() {
    let mut unfenced = refused_first(false).await;
    let opened = Instant::now();
    for number in 0..6 {
        unfenced.download(number).await;
    }
    // One to greet, one each ten seconds; on a connection with a request that never ends too.
    let due = 1 + opened.elapsed().as_secs() / 10;
    let before = [0, 1].map(|peer| unfenced.pings(peer));
    tokio::time::sleep(Duration::from_secs(60)).await;
    for (peer, before) in before.into_iter().enumerate() {
        assert!((due..=due + 1).contains(&before), "{before} pings to peer {peer}, {due} due");
        assert_eq!(unfenced.pings(peer) - before, 6, "peer {peer}");
    }
    // Once the request has expired, the connection is as good as ever.
    tokio::time::sleep(Duration::from_secs(120)).await;
    let (_, took) = unfenced.download(6).await;
    assert!(took < Duration::from_secs(11), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn round_robin_asks_everybody_in_turn_and_the_default_asks_the_quick() {
    for (selector, in_turn) in [(Selector::RoundRobin, true), (Selector::ExpectedCompletion, false)] {
        let mut settings = Settings { selector, ..Settings::default() };
        // Else there would be nothing to select from: one at a time, the quickest does all.
        settings.executor.spares_slow_peers = false;
        let mut connected = Connected::to([1, 4, 8].map(|times| peer(RTT * times)).into(), settings).await;
        // The far ones greet after that of the others.
        tokio::time::sleep(RTT * 30).await;
        let began = Instant::now();
        for number in 0..30 {
            connected.download(number).await;
        }
        let asked = connected.asked(began);
        let addresses = connected.network.addresses();
        assert_eq!(asked.len(), 30);
        let turns = asked.chunks(3).all(|turn| addresses.iter().all(|address| turn.contains(address)));
        assert_eq!(turns, in_turn, "{selector:?}: {asked:?}");
        let to_the_quick = asked.iter().filter(|&&peer| peer == addresses[0]).count();
        assert!(in_turn || to_the_quick >= 20, "{to_the_quick} of 30 to the quick one");
    }
}

#[tokio::test(start_paused = true)]
async fn every_selector_brings_the_lists() {
    for selector in
        [Selector::ExpectedCompletion, Selector::LeastLoaded, Selector::LowestLatency, Selector::RoundRobin]
    {
        let settings = Settings { selector, ..Settings::default() };
        let mut connected = Connected::to(vec![peer(RTT), peer(RTT)], settings).await;
        for number in 0..4 {
            connected.download(number).await;
        }
    }
}
