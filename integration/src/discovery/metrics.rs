use metrics::{describe_gauge, gauge};

use super::table::Counts;

const KNOWN_ADDRESSES: &str = "qrsync_known_addresses";
const TRIED_ADDRESSES: &str = "qrsync_tried_addresses";
const BANNED_ADDRESSES: &str = "qrsync_banned_addresses";
const CONNECTED_NETWORKS: &str = "qrsync_connected_networks";

/// Describes the metrics of discovery.
pub(crate) fn describe() {
    describe_gauge!(KNOWN_ADDRESSES, "Addresses of nodes that are remembered");
    describe_gauge!(TRIED_ADDRESSES, "Remembered addresses to which a connection was tried at least once");
    describe_gauge!(BANNED_ADDRESSES, "Remembered addresses that are banned at the moment");
    describe_gauge!(CONNECTED_NETWORKS, "Different networks of the connected nodes");
}

#[expect(clippy::cast_precision_loss, reason = "addresses are far fewer than 2^52")]
pub(super) fn known_peers(counts: &Counts, networks: usize) {
    gauge!(KNOWN_ADDRESSES).set(counts.known as f64);
    gauge!(TRIED_ADDRESSES).set(counts.tried as f64);
    gauge!(BANNED_ADDRESSES).set(counts.banned as f64);
    gauge!(CONNECTED_NETWORKS).set(networks as f64);
}
