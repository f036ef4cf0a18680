use dashcore::network::message_blockdata::GetHeadersMessage;
use dashcore::{BlockHash, Header};

use super::{ActiveChain, MinedBranch};

/// The headers that a node shows of its chain.
#[derive(Debug)]
pub(crate) struct ShownHeaders<'a> {
    pub(crate) chain: &'a ActiveChain,
    /// What is shown instead of the chain.
    pub(crate) junk: Option<&'a MinedBranch>,
    /// Those above this height are kept back, though the node knows them.
    pub(crate) withheld_above: Option<u32>,
}

impl<'a> ShownHeaders<'a> {
    /// What an honest node shows.
    pub(crate) fn all_of(chain: &'a ActiveChain) -> Self {
        Self { chain, junk: None, withheld_above: None }
    }

    /// Whether all of the chain and nothing else is shown.
    pub(crate) fn is_complete(&self) -> bool {
        self.junk.is_none() && self.withheld_above.is_none_or(|height| self.chain.tip() <= height)
    }

    /// Height of the last block that there seems to be.
    pub(crate) fn tip(&self) -> u32 {
        self.junk.map_or_else(|| self.chain.tip(), MinedBranch::tip)
    }

    fn height(&self, hash: &BlockHash) -> Option<u32> {
        self.junk.map_or_else(|| self.chain.height(hash), |junk| junk.height(hash))
    }

    fn header(&self, height: u32) -> Option<&Header> {
        self.junk.map_or_else(|| self.chain.header(height), |junk| junk.header(height))
    }

    /// Up to `limit` headers that follow the newest known block of the locator, up to the stop hash. With an empty
    /// locator only the header of the stop hash; `None`, silence, if it is unknown.
    pub(crate) fn answer(&self, request: &GetHeadersMessage, limit: usize) -> Option<Vec<Header>> {
        let tip = self.tip();
        let stop = self.height(&request.stop_hash);
        let first = if request.locator_hashes.is_empty() {
            stop?
        } else {
            let known = request.locator_hashes.iter().find_map(|hash| self.height(hash));
            known.unwrap_or(0) + 1
        };
        let last = stop.filter(|&stop| stop >= first).unwrap_or(tip).min(tip);
        let last = self.withheld_above.map_or(last, |height| last.min(height));
        Some((first..=last).take(limit).filter_map(|height| self.header(height)).copied().collect())
    }
}
