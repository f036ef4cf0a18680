use dashcore::network::framing::Frame;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_headers2::MAX_HEADERS2;
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::params::WORK_BLOCK_DEPTH;

use crate::chain::{Block, BlockId};
use crate::wire::{Answer, Request, RequestKind};

/// One request and the lists that it is meant to bring. Its answer can be applied once the list at `base` is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Block whose list the first wanted one is based on; genesis stands for the empty list.
    pub(crate) base: Block,
    /// Blocks whose lists are wanted, ascending.
    pub(crate) wanted: Vec<Block>,
    /// Work blocks of the cycles whose snapshots may come with the lists.
    pub(crate) cycles: Vec<Block>,
    /// The newest block that the request names: a node that lacks it refuses.
    pub(crate) newest: BlockId,
    /// What to ask.
    pub(crate) request: Request,
}

impl Work {
    /// Heights of the lists that it brings, ascending.
    pub fn heights(&self) -> impl Iterator<Item = u32> {
        self.wanted.iter().map(|block| block.height)
    }

    /// Base heights of the cycles whose snapshot may come with the lists.
    pub fn snapshots(&self) -> impl Iterator<Item = u32> {
        self.cycles.iter().map(|work_block| work_block.height + WORK_BLOCK_DEPTH)
    }

    /// What to send to a node.
    pub fn message(&self) -> NetworkMessage {
        self.request.to_message()
    }

    /// Whether a message is an answer to this request, by what it says of itself.
    pub fn is_answered_by(&self, frame: &Frame) -> bool {
        let answer = Answer::of(frame.clone(), MAX_HEADERS2);
        answer.is_some_and(|answer| self.request.is_answered_by(&answer))
    }

    /// Height of the lowest wanted list; work is applied in this order.
    pub(crate) fn order(&self) -> u64 {
        self.wanted.first().map_or(0, |block| u64::from(block.height))
    }

    /// Whether it asks for all of a list, by far the largest answer.
    pub(super) fn is_whole(&self) -> bool {
        self.base.height == 0 && self.request.kind() == RequestKind::MnListDiff
    }

    /// The same lists by one `getmnlistd` each; `None` when that is what this work already is.
    pub(crate) fn alternative(&self) -> Option<Vec<Self>> {
        (self.request.kind() == RequestKind::QrInfo).then(|| {
            let bases = std::iter::once(&self.base).chain(&self.wanted);
            bases.zip(&self.wanted).map(|(&base, &block)| list_diff(base, block)).collect()
        })
    }
}

/// One `getmnlistd` for the list of `block`, as a diff from that of `base`.
pub(super) fn list_diff(base: Block, block: Block) -> Work {
    let names = GetMnListDiff { base_block_hash: base.hash, block_hash: block.hash };
    let (wanted, newest) = (vec![block], block.id());
    Work { base, wanted, cycles: Vec::new(), newest, request: Request::ListDiff(names) }
}
