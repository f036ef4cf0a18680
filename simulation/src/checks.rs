use std::sync::Arc;

use dashcore::BlockHash;
use dashcore::network::message_sml::GetMnListDiff;
use spv_integration::session::{EndState, Summary};
use spv_integration::store::Store;
use spv_simnet::{PeerConfig, PeerStats, World};

use crate::failure::Failure;
use crate::gauges::Gauges;

/// A node that counts more is not being asked politely.
const MAX_IN_FLIGHT: u32 = 3;

/// Half of what makes a node discourage us.
const MAX_MISBEHAVIOUR: u32 = 50;

/// Every list that has to be there is, and is what the chain's own state says.
pub(crate) fn lists(world: &Arc<World>, store: &Store, summary: &Summary) -> Result<(), Failure> {
    let chain = world.active_chain();
    let lists = store.lists().map_err(|error| Failure::Error(error.to_string()))?;
    if summary.state == EndState::Synced && lists.len() as u64 != summary.lists.verified {
        return Err(Failure::WrongList { height: 0 });
    }
    for (height, block_hash) in lists {
        let wrong = Failure::WrongList { height };
        let request = GetMnListDiff { base_block_hash: BlockHash::all_zeros(), block_hash };
        let Ok(truth) = chain.mn_list_diff(&request) else { return Err(wrong) };
        let Ok(Some(state)) = store.state(world.params(), height) else { return Err(wrong) };
        let mut entries = truth.new_masternodes;
        entries.sort_unstable_by_key(|entry| entry.pro_reg_tx_hash);
        let same_quorums = state.quorums().iter().map(|quorum| &*quorum.entry).eq(&truth.new_quorums);
        if !state.masternodes().iter().eq(&entries) || !same_quorums {
            return Err(wrong);
        }
    }
    Ok(())
}

/// No node was asked for too much at a time, nor so often in vain that it would soon discourage us. One that floods sends
/// what looks like the answer to a request before it has taken that up, so its own count is too high.
pub(crate) fn peers(stats: &[PeerStats], configs: &[PeerConfig]) -> Result<(), Failure> {
    stats.iter().zip(configs).try_for_each(|(stats, config)| {
        if stats.max_in_flight > MAX_IN_FLIGHT && config.faults.flood.is_none() {
            return Err(Failure::TooManyInFlight { peer: stats.address, in_flight: stats.max_in_flight });
        }
        if stats.max_misbehaviour > MAX_MISBEHAVIOUR {
            return Err(Failure::Misbehaviour { peer: stats.address, score: stats.max_misbehaviour });
        }
        Ok(())
    })
}

/// Every request ended exactly once: each that was sent was seen by a node or lost with a connection, each has one
/// outcome, and none is left anywhere.
pub(crate) fn requests(gauges: &Gauges, stats: &[PeerStats], configs: &[PeerConfig]) -> Result<(), Failure> {
    let sent = gauges.count("qrsync_requests_total");
    let equal = |what, found, expected| {
        let fits = found == expected;
        if fits { Ok(()) } else { Err(Failure::Miscounted { what, expected, found }) }
    };
    equal("outcomes of requests sent", gauges.count("spv_correlation_requests_total"), sent)?;
    for (what, name) in [
        ("requests left in the correlation tables", "spv_correlation_pending_requests"),
        ("slots left in use", "spv_executor_in_flight_requests"),
        ("requests left waiting", "spv_executor_waiting_requests"),
        ("bytes left held", "spv_executor_held_bytes"),
        ("work left queued", "spv_scheduler_queue_length"),
        ("answers left in verification", "qrsync_verifying_answers"),
    ] {
        equal(what, gauges.count(name), 0)?;
    }
    // What was being written when a connection ended is seen by nobody: at most as many as the cap, per connection that
    // ended early, or whose node does not read.
    let received: u64 = stats.iter().map(|peer| peer.requests.total()).sum();
    let unread = |(peer, config): (&PeerStats, &PeerConfig)| {
        peer.connections.saturating_sub(u64::from(!config.faults.never_read))
    };
    let ended_early: u64 = stats.iter().zip(configs).map(unread).sum();
    let lost = sent.saturating_sub(received);
    if received > sent || lost > ended_early * u64::from(MAX_IN_FLIGHT) {
        return Err(Failure::Miscounted {
            what: "requests that nodes received",
            expected: sent,
            found: received,
        });
    }
    Ok(())
}
