use std::sync::Arc;

use dashcore::params::Retargeting;
use dashcore::{BlockHash, ChainParams, Checkpoint, Header};

use super::past::PAST_BLOCKS;

/// The headers below the start of a chain, as far as they are known. The rules for the first headers of a chain look at them.
/// They are found by walking down: each is named by the one above it, up to a block that is known for certain, so none of
/// them can be a wrong one.
#[derive(Debug, Clone)]
pub(super) struct Ancestry {
    /// The start's parent first. Copies of a chain share them.
    headers: Arc<Vec<(Header, BlockHash)>>,
    /// How many are looked at.
    wanted: usize,
    /// The hash of the next one.
    next: BlockHash,
}

impl Ancestry {
    /// Nothing is known yet below a block at this height.
    pub(super) fn unknown(params: &ChainParams, height: u32, start: &Header) -> Self {
        let wanted = match params.retargeting {
            Retargeting::None => 0,
            // By the time that bits are checked there are headers enough above the start.
            Retargeting::DarkGravityWave { from, .. }
                if u64::from(height) + (PAST_BLOCKS as u64) < u64::from(from) =>
            {
                0
            }
            Retargeting::DarkGravityWave { .. } => {
                PAST_BLOCKS.min(usize::try_from(height).unwrap_or(usize::MAX))
            }
        };
        Self { headers: Arc::default(), wanted, next: start.prev_blockhash }
    }

    /// What is built in beside a known block.
    pub(super) fn below_checkpoint(params: &ChainParams, checkpoint: &Checkpoint, start: &Header) -> Self {
        let mut ancestry = Self::unknown(params, checkpoint.height, start);
        for header in &checkpoint.below {
            // Tests hash them: the links are as good here.
            ancestry.supply(*header, ancestry.next);
        }
        ancestry
    }

    /// What is below a block whose ancestors these are, its parent first.
    pub(super) fn of(
        params: &ChainParams,
        height: u32,
        start: &Header,
        newest_first: impl Iterator<Item = (Header, BlockHash)>,
    ) -> Self {
        let mut ancestry = Self::unknown(params, height, start);
        newest_first.for_each(|(header, hash)| _ = ancestry.supply(header, hash));
        ancestry
    }

    /// The hash of the next header to be found; `None` when all are there.
    pub(super) fn missing(&self) -> Option<BlockHash> {
        (self.headers.len() < self.wanted).then_some(self.next)
    }

    /// Takes the header that is missing. Whether it is that one.
    pub(super) fn supply(&mut self, header: Header, hash: BlockHash) -> bool {
        if self.missing() != Some(hash) {
            return false;
        }
        self.next = header.prev_blockhash;
        Arc::make_mut(&mut self.headers).push((header, hash));
        true
    }

    /// Takes over what is known more of the ancestors of the same block. Whether that is anything.
    pub(super) fn adopt(&mut self, other: &Self) -> bool {
        let is_more = self.missing().is_some() && other.headers.len() > self.headers.len();
        if is_more {
            self.headers = Arc::clone(&other.headers);
            self.next = other.next;
        }
        is_more
    }

    /// Those that are known, the start's parent first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &(Header, BlockHash)> {
        self.headers.iter()
    }
}
