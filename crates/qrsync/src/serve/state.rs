use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use spv_integration::config::ApiSettings;
use tokio::sync::Semaphore;

use super::events::Events;
use super::platform_quorums::PlatformCache;
use crate::answers::{Data, Problem};
use crate::live::Live;

/// What handlers have at hand.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(super) data: Data,
    pub(super) live: Arc<Live>,
    /// `None` if metrics are not collected.
    pub(super) metrics: Option<PrometheusHandle>,
    pub(super) events: Arc<Events>,
    pub(super) settings: ApiSettings,
    pub(super) platform: PlatformCache,
    /// Lookups at one time. They use threads that the sync needs too.
    lookups: Arc<Semaphore>,
    /// Signatures that are checked at one time, each of which takes a core.
    verifications: Arc<Semaphore>,
    /// Places of the readers of events.
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
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            verifications: Arc::new(Semaphore::new((cores / 2).max(1))),
            subscribers: Arc::new(Semaphore::new(settings.max_subscribers)),
            settings,
            platform: PlatformCache::default(),
        }))
    }
}

impl Shared {
    /// Runs a lookup once there is a place for it. A lookup that has begun runs to its end, also when its client is gone,
    /// so clients that come and go do not cause more lookups at one time.
    pub(super) async fn look_up<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.lookups.clone().acquire_owned().await.map_err(|_| stopping())?;
        finish(work, place).await
    }

    pub(super) async fn verify<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.verifications.clone().acquire_owned().await.map_err(|_| stopping())?;
        let of_lookup = self.lookups.clone().acquire_owned().await.map_err(|_| stopping())?;
        finish(work, (place, of_lookup)).await
    }
}

async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    places: impl Send + 'static,
) -> Result<T, Problem> {
    let task = tokio::spawn(async move {
        let done = work.await;
        drop(places);
        done
    });
    task.await.unwrap_or_else(|error| Err(Problem::new("internal", format!("internal error: {error}"))))
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
