use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use spv_executor::{Config, Depth, Executor, Transport};

use crate::mirror::{CHUNKS, Mirror, PATIENCE};

struct Mirrors(Vec<Mirror>);

impl Transport for Mirrors {
    type Peer = usize;
    type Request = usize;
    type Response = usize;
    type Error = Infallible;

    async fn send(&self, peer: &usize, chunk: usize) -> Result<usize, Infallible> {
        Ok(self.0[*peer].chunk(chunk).await)
    }

    fn duplicate(&self, chunk: &usize) -> Option<usize> {
        Some(*chunk)
    }

    fn rtt(&self, peer: &usize) -> Option<Duration> {
        Some(self.0[*peer].round_trip)
    }
}

pub async fn download() -> Vec<usize> {
    let config = Config { soft_timeout: PATIENCE, hard_timeout: PATIENCE, ..Config::default() };
    let executor = Executor::new(Mirrors(Mirror::six()), config).expect("a configuration in range");
    (0..6).for_each(|peer| _ = executor.add_peer(peer, Depth::THREE));
    let chunks = (0..CHUNKS).map(async |chunk| {
        loop {
            if let Ok(answered) = executor.execute_in_order(chunk, |_| true, chunk as u64).await {
                answered.permit.accept();
                return answered.response;
            }
        }
    });
    join_all(chunks).await
}
