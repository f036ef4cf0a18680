use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::hedge::{Hedge, Policy};
use tower::load::{CompleteOnResponse, PeakEwma};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::mirror::{CHUNKS, Mirror, PATIENCE};

/// The load of a mirror that was not measured yet, and how fast measurements are forgotten; both as in tower's own examples.
const DEFAULT_RTT: Duration = Duration::from_millis(30);
const DECAY_NANOSECONDS: f64 = 10e9;

/// Three requests for each mirror.
const IN_FLIGHT: usize = 18;

/// Repeats what is slower than 95 of 100, once ten were measured.
const HEDGE: (u64, f32, Duration) = (10, 0.95, Duration::from_secs(1));

#[derive(Clone)]
struct Repeat;

impl Policy<usize> for Repeat {
    fn clone_request(&self, chunk: &usize) -> Option<usize> {
        Some(*chunk)
    }

    fn can_retry(&self, _: &usize) -> bool {
        true
    }
}

pub async fn download() -> Vec<usize> {
    all_of(balanced()).await
}

pub async fn download_with_hedge() -> Vec<usize> {
    let (data_points, percentile, period) = HEDGE;
    let hedged = Hedge::new(balanced(), Repeat, data_points, percentile, period);
    all_of(Buffer::new(hedged, IN_FLIGHT)).await
}

fn balanced() -> impl Service<usize, Response = usize, Error = BoxError, Future: Send> + Clone {
    let services = Mirror::six().into_iter().map(Arc::new).map(|mirror| {
        let chunk = service_fn(move |chunk| {
            let mirror = mirror.clone();
            async move { Ok::<_, Infallible>(mirror.chunk(chunk).await) }
        });
        let limited = ServiceBuilder::new().concurrency_limit(3).timeout(PATIENCE).service(chunk);
        PeakEwma::new(limited, DEFAULT_RTT, DECAY_NANOSECONDS, CompleteOnResponse::default())
    });
    let balance = Balance::new(ServiceList::new::<usize>(services));
    Buffer::new(balance, IN_FLIGHT)
}

async fn all_of<S>(service: S) -> Vec<usize>
where
    S: Service<usize, Response = usize> + Clone,
    S::Error: Debug,
{
    let chunks = (0..CHUNKS).map(|chunk| {
        let mut service = service.clone();
        async move {
            loop {
                let ready = service.ready().await.expect("the balancer goes on");
                if let Ok(chunk) = ready.call(chunk).await {
                    return chunk;
                }
            }
        }
    });
    join_all(chunks).await
}
