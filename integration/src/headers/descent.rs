use std::collections::BTreeSet;

use dashcore::network::message_blockdata::GetHeadersMessage;
use dashcore::{BlockHash, Header};

use super::exchange::{BatchError, HeaderExchange, MAX_ATTEMPTS, RETRY_DELAY};
use crate::chain::HeaderChain;
use crate::wire::Request;

/// Headers that are asked for by their hash: nodes answer an empty locator with the one header of the stop hash (Dash Core
/// `getheaders`, net_processing.cpp).
impl HeaderExchange {
    /// The header of this block, from any peer; `None` when nobody serves it.
    pub(super) async fn header_of(&self, hash: BlockHash) -> Option<Header> {
        let mut exclude = BTreeSet::new();
        for _ in 0..MAX_ATTEMPTS {
            let by_hash = GetHeadersMessage { version: 1, locator_hashes: Vec::new(), stop_hash: hash };
            match self.ask(Request::Headers(by_hash), exclude.clone()).await {
                Some(batch) => {
                    let (headers, _) = batch.answered.into_headers();
                    match headers.first() {
                        Some(header) if header.block_hash() == hash => return Some(*header),
                        Some(_) => self.reject(batch.peer, &BatchError::OtherBlock { asked: hash }),
                        None => {}
                    }
                    exclude.insert(batch.peer);
                }
                None if self.peers.none_expected() => return None,
                None => {}
            }
            self.next_round(&mut exclude).await;
        }
        None
    }

    /// The start of a chain with all headers below it that rules look at: each names the next, so that takes a round trip
    /// each. Goes on for as long as it is polled.
    pub(super) async fn descend(&self, mut start: HeaderChain) -> HeaderChain {
        while let Some(missing) = start.missing_below() {
            match self.header_of(missing).await {
                // There is nothing above the start that could turn out to be wrong.
                Some(header) => _ = start.supply_below(header, missing),
                None => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
        start
    }
}
