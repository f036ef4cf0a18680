use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use spv_integration::config::ApiSettings;
use tokio::sync::Semaphore;

use super::events::Events;
use super::platform::PlatformCache;
use crate::answers::{Data, Problem};
use crate::live::Live;

/// What handlers have at hand.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(super) data: Data,
    pub(super) live: Arc<Live>,
    /// `None` where nobody collects any.
    pub(super) metrics: Option<PrometheusHandle>,
    pub(super) events: Arc<Events>,
    pub(super) settings: ApiSettings,
    pub(super) platform: PlatformCache,
    /// Lookups at one time. They use threads that the sync needs too.
    lookups: Semaphore,
    /// Signatures that are checked at one time, each of which takes a core.
    verifications: Semaphore,
    /// Places of those who read events.
    pub(super) subscribers: Arc<Semaphore>,
}

const LOOKUPS: usize = 16;

impl App {
    pub(super) fn new(
        data: Data,
        live: Arc<Live>,
        metrics: Option<PrometheusHandle>,
        events: Arc<Events>,
        settings: ApiSettings,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self(Arc::new(Shared {
            data,
            live,
            metrics,
            events,
            lookups: Semaphore::new(LOOKUPS),
            verifications: Semaphore::new((cores / 2).max(1)),
            subscribers: Arc::new(Semaphore::new(settings.max_subscribers)),
            settings,
            platform: PlatformCache::default(),
        }))
    }
}

impl Shared {
    /// Does this when there are not too many others.
    pub(super) async fn look_up<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let _place = self.lookups.acquire().await.map_err(|_| stopping())?;
        work.await
    }

    pub(super) async fn verify<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let _place = self.verifications.acquire().await.map_err(|_| stopping())?;
        self.look_up(work).await
    }
}

fn stopping() -> Problem {
    Problem::transient("stopping", "the service is stopping")
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
