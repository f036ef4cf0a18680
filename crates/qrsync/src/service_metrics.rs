//! Metrics of the program itself, beside those that the libraries record.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use metrics::{Unit, describe_gauge, gauge};
use metrics_process::Collector;
use spv_integration::session::Summary;

const BUILD_INFO: &str = "qrsync_build_info";
const READY: &str = "qrsync_ready";
const SYNCED_HEIGHT: &str = "qrsync_synced_height";
const TIP_TIMESTAMP: &str = "qrsync_tip_timestamp_seconds";
const LOCK_TIMESTAMP: &str = "qrsync_chain_lock_timestamp_seconds";
const MASTERNODES: &str = "qrsync_masternodes";
const VALID_MASTERNODES: &str = "qrsync_valid_masternodes";
const EVO_MASTERNODES: &str = "qrsync_evo_masternodes";
const ACTIVE_QUORUMS: &str = "qrsync_active_quorums";
const VERIFIED_QUORUMS: &str = "qrsync_verified_quorums";
const STORE_BYTES: &str = "qrsync_store_bytes";

/// Time between two looks at the process and its file.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Describes them to the installed recorder, with what is known from the start.
pub(crate) fn describe() {
    describe_gauge!(BUILD_INFO, "1; the labels say which build this is");
    describe_gauge!(READY, "1 while GET /ready answers 200, else 0");
    describe_gauge!(SYNCED_HEIGHT, "Height of the tip that was reached last, with its lists proven");
    describe_gauge!(TIP_TIMESTAMP, Unit::Seconds, "When the block of that tip was made, since 1970");
    describe_gauge!(LOCK_TIMESTAMP, Unit::Seconds, "When the highest ChainLock was verified, since 1970");
    describe_gauge!(MASTERNODES, "Masternodes in the list of that tip");
    describe_gauge!(VALID_MASTERNODES, "Masternodes of these that are not banned");
    describe_gauge!(EVO_MASTERNODES, "Masternodes of these that are EvoNodes");
    describe_gauge!(ACTIVE_QUORUMS, "Quorums that are active at that tip, by type");
    describe_gauge!(VERIFIED_QUORUMS, "Quorums of these whose signatures verify, by type");
    describe_gauge!(STORE_BYTES, Unit::Bytes, "Size of the database file");
    gauge!(
        BUILD_INFO,
        "version" => env!("CARGO_PKG_VERSION"),
        "os" => std::env::consts::OS,
        "arch" => std::env::consts::ARCH,
    )
    .set(1.0);
    gauge!(READY).set(0.0);
    Collector::default().describe();
}

pub(crate) fn ready(ready: bool) {
    gauge!(READY).set(f64::from(u8::from(ready)));
}

/// A tip was reached, with this result.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(crate) fn reached(summary: &Summary) {
    gauge!(SYNCED_HEIGHT).set(f64::from(summary.tip.height));
    gauge!(TIP_TIMESTAMP).set(f64::from(summary.tip.time));
    if let Some(masternodes) = summary.masternodes {
        gauge!(MASTERNODES).set(masternodes.count as f64);
        gauge!(VALID_MASTERNODES).set(masternodes.valid as f64);
        gauge!(EVO_MASTERNODES).set(masternodes.evo as f64);
    }
    for (llmq_type, quorums) in &summary.quorums.by_type {
        let llmq_type = llmq_type.to_string();
        gauge!(ACTIVE_QUORUMS, "type" => llmq_type.clone()).set(quorums.proven as f64);
        gauge!(VERIFIED_QUORUMS, "type" => llmq_type).set(quorums.verified as f64);
    }
}

/// A higher ChainLock was verified at this time since 1970.
pub(crate) fn locked(at: Duration) {
    gauge!(LOCK_TIMESTAMP).set(at.as_secs_f64());
}

/// Updates the metrics of the process and of the database's file for as long as it is polled.
#[expect(clippy::cast_precision_loss, reason = "no file is near 2^52 bytes")]
pub(crate) async fn look_at(database: &Path) -> Infallible {
    let process = Collector::default();
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    loop {
        looks.tick().await;
        process.collect();
        if let Ok(file) = std::fs::metadata(database) {
            gauge!(STORE_BYTES).set(file.len() as f64);
        }
    }
}
