use std::collections::VecDeque;

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::mirror::{CHUNKS, Mirror, PATIENCE};

pub async fn download() -> Vec<usize> {
    let mirrors = Mirror::six();
    let queue = Mutex::new(VecDeque::from_iter(0..CHUNKS));
    let done = Mutex::new(Vec::new());
    let tasks = mirrors.iter().flat_map(|mirror| [mirror; 3]).map(async |mirror| {
        while done.lock().await.len() < CHUNKS {
            let Some(chunk) = queue.lock().await.pop_front() else {
                // What others wait for may come back.
                sleep(PATIENCE / 100).await;
                continue;
            };
            match timeout(PATIENCE, mirror.chunk(chunk)).await {
                Ok(chunk) => done.lock().await.push(chunk),
                Err(_) => queue.lock().await.push_front(chunk),
            }
        }
    });
    join_all(tasks).await;
    done.into_inner()
}
