use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, MAX_HEADERS};

use super::ActiveChain;

/// The headers that a node shows of its chain.
#[derive(Debug)]
pub(crate) struct ShownHeaders<'a> {
    pub(crate) chain: &'a ActiveChain,
    /// Those above this height are kept back, though the node knows them.
    pub(crate) withheld_above: Option<u32>,
}

impl<'a> ShownHeaders<'a> {
    /// What an honest node shows.
    pub(crate) fn all_of(chain: &'a ActiveChain) -> Self {
        Self { chain, withheld_above: None }
    }

    /// Whether nothing up to the chain's end is kept back.
    pub(crate) fn is_complete(&self) -> bool {
        self.withheld_above.is_none_or(|height| self.chain.tip() <= height)
    }

    /// Up to 2,000 headers that follow the newest known block of the locator, up to the stop hash. With an empty
    /// locator only the header of the stop hash; `None`, silence, if it is unknown.
    pub(crate) fn answer(&self, request: &GetHeadersMessage) -> Option<HeadersMessage> {
        let tip = self.chain.tip();
        let stop = self.chain.height(&request.stop_hash);
        let first = if request.locator_hashes.is_empty() {
            stop?
        } else {
            let known = request.locator_hashes.iter().find_map(|hash| self.chain.height(hash));
            known.unwrap_or(0) + 1
        };
        let last = stop.filter(|&stop| stop >= first).unwrap_or(tip).min(tip);
        let last = self.withheld_above.map_or(last, |height| last.min(height));
        let headers = self.chain.world().headers().iter().take(last as usize + 1).skip(first as usize);
        Some(HeadersMessage(headers.take(MAX_HEADERS).copied().collect()))
    }
}
