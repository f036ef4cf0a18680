mod start;

use std::sync::Arc;

use dash_num::Arith256;
use dashcore::{BlockHash, ChainParams, Header};

use super::ancestry::Ancestry;
use super::block::BlockId;
use super::blocks::Blocks;
use super::difficulty::work;
use super::header_error::HeaderError;
use super::past::{PAST_BLOCKS, Past};
use super::rules;

/// Most hashes that a locator carries beyond its dense start.
const LOCATOR_DENSE: u32 = 10;

/// A validated chain of headers, from genesis or a checkpoint to a tip. About 160 bytes per header; copies share
/// what they have in common.
///
/// The rules for the first headers above a checkpoint look at headers below it. Until these are supplied, the first are
/// taken provisionally, and none that is much easier than the checkpoint; the last one that is supplied has them checked.
#[derive(Debug, Clone)]
pub struct HeaderChain {
    params: Arc<ChainParams>,
    start_height: u32,
    ancestry: Ancestry,
    blocks: Blocks,
    /// Total work up to the tip, counted from the start block's own total.
    work: Arith256,
    /// Heights at which more was assumed than counted, and how much.
    lifts: Vec<(u32, Arith256)>,
    /// Whether the start block's own total is known, and not only assumed.
    is_start_exact: bool,
}

impl HeaderChain {
    /// The hash of the next header below the start that is to be supplied, whose header any node sends to whoever asks for
    /// that hash; `None` when there are enough of them: 24, or all down to genesis, or no rule looks at them.
    pub(crate) fn missing_below(&self) -> Option<BlockHash> {
        self.ancestry.missing()
    }

    /// Takes the header that is [missing](Self::missing_below); `hash` is its X11 hash. `false` if it is another one, or has
    /// not the work that it claims.
    ///
    /// # Errors
    /// With the last missing header, the first rule that a header above the start turns out to break. It and what came after
    /// it are then gone from the chain.
    pub(crate) fn supply_below(&mut self, header: Header, hash: BlockHash) -> Result<bool, HeaderError> {
        if self.missing_below() != Some(hash) || !rules::has_work(&self.params, &header, hash) {
            return Ok(false);
        }
        let is_taken = self.ancestry.supply(header, hash);
        self.check_first_headers()?;
        Ok(is_taken)
    }

    /// Takes over the headers below the start that a chain with the same start has been supplied with. Whether that is
    /// more than were known.
    ///
    /// # Errors
    /// As for [`supply_below`](Self::supply_below).
    pub(crate) fn adopt_ancestry(&mut self, other: &Self) -> Result<bool, HeaderError> {
        if self.hash(self.start_height) != other.hash(other.start_height)
            || !self.ancestry.adopt(&other.ancestry)
        {
            return Ok(false);
        }
        self.check_first_headers()?;
        Ok(true)
    }

    /// The headers below the start that are known, with their hashes, the start's parent first.
    pub fn below(&self) -> impl Iterator<Item = &(Header, BlockHash)> {
        self.ancestry.newest_first()
    }

    /// Checks what was taken provisionally, once all headers below the start are there.
    fn check_first_headers(&mut self) -> Result<(), HeaderError> {
        if self.missing_below().is_some() {
            return Ok(());
        }
        for height in (self.start_height + 1..=self.tip_height()).take(PAST_BLOCKS) {
            let Some(header) = self.header(height) else { break };
            if let Err(error) = self.check_after(header, height) {
                self.cut(height - 1);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Height of the first header held.
    pub fn start_height(&self) -> u32 {
        self.start_height
    }

    /// Height of the tip.
    pub fn tip_height(&self) -> u32 {
        // A chain never holds 2^32 headers: heights come from `start_height` by adding one.
        self.start_height + u32::try_from(self.blocks.len() - 1).unwrap_or(u32::MAX)
    }

    /// Hash of the tip.
    pub fn tip_hash(&self) -> BlockHash {
        self.tip().1
    }

    /// Which block the tip is.
    pub(crate) fn tip_id(&self) -> BlockId {
        BlockId { height: self.tip_height(), hash: self.tip_hash() }
    }

    fn tip(&self) -> &(Header, BlockHash) {
        self.blocks.get(self.blocks.len() - 1).expect("a chain holds its start at least")
    }

    /// Total work up to the tip. Above a checkpoint whose work is only assumed it is more than there is, by the same for
    /// every chain that has this checkpoint, and more than that of any chain which ends below it; so it is there to compare.
    pub fn work(&self) -> Arith256 {
        self.work
    }

    /// Total work up to the tip without anything assumed; `None` where that is not known, because the chain starts above
    /// the last checkpoint whose own total is.
    pub fn exact_work(&self) -> Option<Arith256> {
        let lifted = |work: Arith256, (_, lift): &(u32, Arith256)| work.wrapping_sub(*lift);
        self.is_start_exact.then(|| self.lifts.iter().fold(self.work, lifted))
    }

    /// Whether the chain has the work that the network's has at least. What has the newest checkpoint is the network's
    /// chain by definition.
    pub(crate) fn has_min_work(&self) -> bool {
        self.exact_work().is_some_and(|work| work >= self.params.minimum_chain_work)
            || self
                .params
                .newest_checkpoint()
                .is_some_and(|newest| self.hash(newest.height) == Some(newest.hash))
    }

    /// The header at `height`, if it is held.
    pub fn header(&self, height: u32) -> Option<&Header> {
        self.blocks.get(self.index(height)?).map(|(header, _)| header)
    }

    /// The hash at `height`, if it is held.
    pub fn hash(&self, height: u32) -> Option<BlockHash> {
        self.blocks.get(self.index(height)?).map(|&(_, hash)| hash)
    }

    /// The height of a block of this chain.
    pub fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        let above_start = u32::try_from(self.blocks.position(hash)?).ok()?;
        self.start_height.checked_add(above_start)
    }

    /// Height of the last block that both chains have; `None` when they hold no block at the same height.
    pub fn last_common(&self, other: &Self) -> Option<u32> {
        let lowest = self.start_height.max(other.start_height);
        let highest = self.tip_height().min(other.tip_height());
        (lowest..=highest).rev().find(|&height| self.hash(height) == other.hash(height))
    }

    /// Whether the chains hold different blocks at `height`, or at the lower of their tips where that is below it.
    pub(crate) fn diverges_by(&self, other: &Self, height: u32) -> bool {
        let height = height.min(self.tip_height()).min(other.tip_height());
        self.hash(height).zip(other.hash(height)).is_some_and(|(own, theirs)| own != theirs)
    }

    /// Hashes for `getheaders`, newest first: ten in a row, then ever wider apart, ending with the start block.
    pub fn locator(&self) -> Vec<BlockHash> {
        let mut locator = Vec::new();
        let mut height = self.tip_height();
        let mut step = 1;
        while height > self.start_height {
            locator.extend(self.hash(height));
            if locator.len() >= LOCATOR_DENSE as usize {
                step *= 2;
            }
            height = height.saturating_sub(step).max(self.start_height);
        }
        locator.extend(self.hash(self.start_height));
        locator
    }

    /// Appends headers that follow the tip. `hashes` are their X11 hashes and `now` is Unix time in seconds.
    ///
    /// # Errors
    /// The first rule that a header breaks; the headers before it have then been appended.
    pub fn extend(&mut self, headers: &[Header], hashes: &[BlockHash], now: u32) -> Result<(), HeaderError> {
        for (header, hash) in headers.iter().zip(hashes) {
            self.check(header, *hash, now)?;
            self.push(*header, *hash);
        }
        Ok(())
    }

    /// Appends a chain that starts at this one's tip and was validated from there on. Its first headers, for which
    /// the history was missing then, are validated again.
    ///
    /// # Errors
    /// When the chains do not meet, or a header breaks a rule that could not be checked before.
    pub fn append(&mut self, segment: &Self, now: u32) -> Result<(), HeaderError> {
        // The segment's first block is our tip, so its second has to link to it.
        let recheck = segment.blocks.len().min(PAST_BLOCKS + 1);
        let (headers, hashes): (Vec<_>, Vec<_>) =
            segment.blocks.iter().take(recheck).skip(1).copied().unzip();
        self.extend(&headers, &hashes, now)?;
        for &(header, hash) in segment.blocks.iter().skip(recheck) {
            self.push_linked(header, hash)?;
        }
        Ok(())
    }

    /// Appends a header that was validated before it was stored. For the store alone; clippy refuses every other call.
    ///
    /// # Errors
    /// When it does not link to the tip.
    pub(crate) fn restore(&mut self, header: Header, hash: BlockHash) -> Result<(), HeaderError> {
        self.push_linked(header, hash)
    }

    /// Appends a header that nobody mined.
    #[cfg(test)]
    pub(crate) fn push_unmined(&mut self, header: Header, hash: BlockHash) {
        self.push_linked(header, hash).expect("made-up headers link");
    }

    /// The chain cut after `height`; `None` when that height is not held.
    pub fn truncated(&self, height: u32) -> Option<Self> {
        self.hash(height)?;
        let mut chain = self.clone();
        chain.cut(height);
        Some(chain)
    }

    /// Drops the headers above `height`, which is held.
    fn cut(&mut self, height: u32) {
        let keep = self.index(height).unwrap_or(0) + 1;
        for header in self.blocks.truncate(keep) {
            self.work = self.work.wrapping_sub(work(header.bits));
        }
        while let Some((_, lift)) = self.lifts.pop_if(|(lifted, _)| *lifted > height) {
            self.work = self.work.wrapping_sub(lift);
        }
    }

    fn push_linked(&mut self, header: Header, hash: BlockHash) -> Result<(), HeaderError> {
        self.check_link(&header)?;
        self.push(header, hash);
        Ok(())
    }

    fn push(&mut self, header: Header, hash: BlockHash) {
        self.work = self.work.wrapping_add(work(header.bits));
        self.blocks.push(header, hash);
        let height = self.tip_height();
        let known = self.params.checkpoint_at(height).filter(|known| known.hash == hash);
        if let Some(assumed) = known.map(|known| known.chain_work).filter(|assumed| *assumed > self.work) {
            self.lifts.push((height, assumed.wrapping_sub(self.work)));
            self.work = assumed;
        }
    }

    fn check(&self, header: &Header, hash: BlockHash, now: u32) -> Result<(), HeaderError> {
        self.check_link(header)?;
        let height = self.tip_height() + 1;
        self.check_after(header, height)?;
        rules::check_alone(&self.params, header, hash, height, now)
    }

    /// The rules that look at what is below `height`, for a header there.
    fn check_after(&self, header: &Header, height: u32) -> Result<(), HeaderError> {
        let past = Past::gather(self.newest_first_below(height).map(|(header, _)| header), height);
        let start_bits = self.header(self.start_height).map_or(0, |start| start.bits);
        rules::check_after(&past, &self.params, header, height, start_bits)
    }

    /// The headers below `height`, of which the highest are held here and the others below the start.
    fn newest_first_below(&self, height: u32) -> impl Iterator<Item = &(Header, BlockHash)> {
        let held = (0..self.index(height).unwrap_or(0)).rev();
        held.filter_map(|index| self.blocks.get(index)).chain(self.ancestry.newest_first())
    }

    fn check_link(&self, header: &Header) -> Result<(), HeaderError> {
        if header.prev_blockhash != self.tip_hash() {
            return Err(HeaderError::NotLinked {
                height: self.tip_height() + 1,
                expected: self.tip_hash(),
                got: header.prev_blockhash,
            });
        }
        Ok(())
    }

    fn index(&self, height: u32) -> Option<usize> {
        usize::try_from(height.checked_sub(self.start_height)?).ok()
    }
}

#[cfg(test)]
mod tests;
