//! Letters to deliver: express ones first.

use std::time::Duration;

use spv_scheduler::{Config, Priority, Queue};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Letter {
    to: &'static str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Queue::new(&Config::default())?;
    queue.push(Letter { to: "grandmother" }, Priority::Normal, Duration::ZERO)?;
    queue.push(Letter { to: "doctor" }, Priority::Critical, Duration::ZERO)?;
    queue.close();

    let mut delivered = Vec::new();
    while let Some(job) = queue.next().await {
        delivered.push(job.item.to);
        queue.finish(job.ticket);
    }
    assert_eq!(delivered, ["doctor", "grandmother"]);
    println!("scheduler: {delivered:?}");
    Ok(())
}
