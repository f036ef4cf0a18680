use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;

/// Downloads one chunk at a time, after the other, from a distance. Now and then a request is lost on the way.
#[derive(Debug)]
pub struct Mirror {
    pub round_trip: Duration,
    pub per_chunk: Duration,
    /// Each request of that number is never answered.
    pub loses_every: Option<u32>,
    requests: AtomicU32,
    busy: Mutex<()>,
}

/// How many chunks are wanted.
pub const CHUNKS: usize = 500;

/// How long anybody waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

impl Mirror {
    /// Six unequal ones: round trip, time per chunk, and how often a request is lost.
    pub fn six() -> Vec<Self> {
        let all = [
            (20, 20, None),
            (40, 25, Some(40)),
            (80, 40, None),
            (150, 60, Some(25)),
            (250, 120, None),
            (400, 600, None),
        ];
        all.into_iter()
            .map(|(round_trip, per_chunk, loses_every)| Self {
                round_trip: Duration::from_millis(round_trip),
                per_chunk: Duration::from_millis(per_chunk),
                loses_every,
                requests: AtomicU32::new(0),
                busy: Mutex::new(()),
            })
            .collect()
    }

    pub async fn chunk(&self, number: usize) -> usize {
        sleep(self.round_trip / 2).await;
        let count = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if self.loses_every.is_some_and(|every| count % every == 0) {
            std::future::pending::<()>().await;
        }
        {
            let _turn = self.busy.lock().await;
            sleep(self.per_chunk).await;
        }
        sleep(self.round_trip / 2).await;
        number
    }
}

/// The shortest time in which all mirrors together could send all chunks, without round trips and losses.
pub fn bound() -> Duration {
    let rate: f64 = Mirror::six().iter().map(|mirror| 1.0 / mirror.per_chunk.as_secs_f64()).sum();
    Duration::from_secs_f64(CHUNKS as f64 / rate)
}
