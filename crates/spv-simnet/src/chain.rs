//! What an honest node answers.

mod instant_lock;
mod locks;
mod mined_branch;
mod mn_list_diff;
mod qr_info;
mod refusal;
mod shown_headers;

use std::sync::Arc;

use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, MAX_HEADERS};
use dashcore::network::message_headers2::{Headers2Message, max_headers2};
use dashcore::network::message_qrinfo::{GetQRInfo, QRInfo};
use dashcore::network::message_sml::{GetMnListDiff, MnListDiff};
use dashcore::{BlockHash, Header};

use crate::world::World;

pub use instant_lock::InstantLocker;
pub use qr_info::QRInfoConstruction;
pub use refusal::Refusal;

pub(crate) use locks::AnnouncedLocks;
pub(crate) use mined_branch::MinedBranch;
pub(crate) use shown_headers::ShownHeaders;

/// A world's chain as one node has it, up to the node's own tip. Answers as Dash Core does, byte for byte.
#[derive(Debug, Clone)]
pub struct ActiveChain {
    world: Arc<World>,
    tip: u32,
}

impl ActiveChain {
    /// The world's blocks up to height `tip`, or to the world's own tip if that is lower.
    pub fn new(world: Arc<World>, tip: u32) -> Self {
        let tip = tip.min(world.tip());
        Self { world, tip }
    }

    /// The world.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Height of the node's last block.
    pub fn tip(&self) -> u32 {
        self.tip
    }

    /// Hash of the node's last block.
    pub fn tip_hash(&self) -> BlockHash {
        self.world.hash_at(self.tip)
    }

    /// Header of one of this chain's blocks.
    pub(crate) fn header(&self, height: u32) -> Option<&Header> {
        self.world.header(height).filter(|_| height <= self.tip)
    }

    /// Headers of this chain's blocks that `other` does not have, ascending.
    pub(crate) fn headers_beyond(&self, other: &Self) -> &[Header] {
        let common = self.tip.min(other.tip);
        let is_shared = |&height: &u32| self.world.block_hash(height) == other.world.block_hash(height);
        let first = (0..=common).rev().find(is_shared).map_or(0, |last_shared| last_shared + 1);
        &self.world.headers()[first as usize..=self.tip as usize]
    }

    /// The chain that ends so many blocks lower, at the genesis block at the lowest.
    pub(crate) fn shortened_by(&self, blocks: u32) -> Self {
        Self { world: Arc::clone(&self.world), tip: self.tip.saturating_sub(blocks) }
    }

    /// Up to 2,000 headers that follow the newest known block of the locator, up to the stop hash. With an empty
    /// locator only the header of the stop hash; `None`, silence, if it is unknown.
    pub fn headers(&self, request: &GetHeadersMessage) -> Option<HeadersMessage> {
        ShownHeaders::all_of(self).answer(request, MAX_HEADERS).map(HeadersMessage)
    }

    /// The same for `getheaders2`, between nodes of which the older one speaks `common_version`: up to 8,000 headers, or 2,000
    /// below version 70235.
    pub fn headers2(&self, request: &GetHeadersMessage, common_version: i32) -> Option<Headers2Message> {
        let limit = max_headers2(common_version);
        ShownHeaders::all_of(self).answer(request, limit).map(Headers2Message)
    }

    /// The difference between two blocks' lists.
    ///
    /// # Errors
    /// When a node would refuse: silence, and a point of misbehaviour for the asker.
    pub fn mn_list_diff(&self, request: &GetMnListDiff) -> Result<MnListDiff, Refusal> {
        mn_list_diff::build(self, request)
    }

    /// Quorum rotation info.
    ///
    /// # Errors
    /// When a node would refuse: silence, and a point of misbehaviour for the asker.
    pub fn qr_info(&self, request: &GetQRInfo, construction: QRInfoConstruction) -> Result<QRInfo, Refusal> {
        qr_info::build(self, request, construction)
    }

    /// Height of a block of this chain.
    pub fn height(&self, hash: &BlockHash) -> Option<u32> {
        self.world.height(hash).filter(|&height| height <= self.tip)
    }
}

impl World {
    /// The chain as a node sees it that has all of it.
    pub fn active_chain(self: &Arc<Self>) -> ActiveChain {
        ActiveChain::new(Arc::clone(self), self.tip())
    }
}
