use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashcore::BlockHash;
use spv_integration::progress::{Phase, Progress};
use spv_integration::session::{Environment, Summary, sync_with};
use spv_integration::store::Store;
use spv_integration::{Config, Settings};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::distance::Distance;

/// What a sync of ours came to.
#[derive(Debug, Clone)]
pub(crate) struct Synced {
    /// Until a peer had greeted.
    pub(crate) connected: Option<Duration>,
    /// Until the header phase had ended with the chain's tip reached.
    pub(crate) headers: Duration,
    /// Tip of the chain that the sync ended with.
    pub(crate) tip: BlockHash,
    /// Until the sync had ended.
    pub(crate) total: Duration,
    /// Syncs that ended before the tip was reached; each was followed by another one over the same store.
    pub(crate) begun_anew: u32,
}

/// Syncs to the end, and again where that ended without the tip, as its user would.
pub(crate) async fn sync(
    environment: &Environment,
    distance: &Distance,
    addresses: &[SocketAddr],
    store: &Arc<Store>,
    on_progress: impl Fn(u32),
) -> Synced {
    let began = Instant::now();
    let config = Config {
        network: distance.params().network.to_string(),
        peers: addresses.iter().map(SocketAddr::to_string).collect(),
        // Quorums of these chains are not signed.
        sync: Settings { verify_quorums: false, ..Settings::default() },
        ..Config::default()
    };
    let tip = distance.world().tip();
    let (mut connected, mut headers) = (None, None);
    let mut begun_anew = 0;
    loop {
        let environment = Environment {
            seed: environment.seed.map(|seed| seed + u64::from(begun_anew)),
            ..environment.clone()
        };
        let progress = Progress::default();
        let cancel = CancellationToken::new();
        let run = sync_with(&environment, distance.params(), &config, store.clone(), &progress, &cancel);
        let summary: Option<Summary> = tokio::select! {
            biased;
            summary = run => summary.ok(),
            () = async {
                let mut states = progress.watch();
                loop {
                    let state = *states.borrow_and_update();
                    if !matches!(state.phase, Phase::Connecting | Phase::Done) {
                        connected.get_or_insert_with(|| began.elapsed());
                    }
                    on_progress(state.header_height);
                    let has_ended = matches!(state.phase, Phase::Lists | Phase::Quorums);
                    if has_ended && state.header_height == tip {
                        headers.get_or_insert_with(|| began.elapsed());
                    }
                    // Cannot fail: the sender is here.
                    states.changed().await.ok();
                }
            } => unreachable!("it watches for ever"),
        };
        if let (Some(headers), Some(summary)) = (headers, &summary) {
            return Synced { connected, headers, tip: summary.tip.hash, total: began.elapsed(), begun_anew };
        }
        begun_anew += 1;
        let said = summary.and_then(|summary| summary.next_retry_seconds);
        tokio::time::sleep(said.map_or(PAUSE, Duration::from_secs_f64)).await;
    }
}

/// Before a sync that failed is begun anew, where it does not say when that makes sense: the longest wait of the settings
/// between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(30);
