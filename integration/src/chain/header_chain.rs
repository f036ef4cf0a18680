use std::sync::Arc;

use dash_num::{Arith256, CompactTarget};
use dashcore::params::{Activation, Retargeting};
use dashcore::{BlockHash, ChainParams, Checkpoint, Header};

use super::ancestry::Ancestry;
use super::blocks::Blocks;
use super::difficulty::{Required, required, target};
use super::header_error::HeaderError;
use super::past::{PAST_BLOCKS, Past};

/// Seconds that a block may be ahead of our clock (Dash Core `MAX_FUTURE_BLOCK_TIME`, chain.h).
const MAX_FUTURE_BLOCK_TIME: u32 = 2 * 60 * 60;

/// While headers below the start are missing, those above it may have targets easier than the start's by this factor, on a
/// network without easy blocks. Within 24 blocks the main network's target was seen to grow 2.7-fold.
const EASIER_UNSEEN: u64 = 6;

/// The same where late blocks may be easy, which weigh in with those that follow. 20-fold was seen on the test network.
const EASIER_UNSEEN_WITH_EASY_BLOCKS: u64 = 32;

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
    /// A chain that begins with the last checkpoint at or below `height` whose header is known, or with genesis.
    pub fn starting_at_or_below(params: &ChainParams, height: u32) -> Self {
        let below = params.checkpoints.iter().rev().filter(|checkpoint| checkpoint.height <= height);
        let mut known = below.filter_map(|checkpoint| Some((checkpoint, checkpoint.header?)));
        match known.next() {
            Some((checkpoint, header)) => Self::from_checkpoint(params, checkpoint, header),
            None => {
                let work = CompactTarget::new(params.genesis.bits).block_proof();
                let ancestry = Ancestry::unknown(params, 0, &params.genesis);
                Self::from_block(params.clone(), 0, ancestry, (params.genesis, params.genesis_hash), work)
            }
        }
    }

    /// Height and hash of the last checkpoint at or below `height`, where its header is to be fetched before a chain can
    /// start there.
    #[cfg_attr(not(test), expect(dead_code, reason = "asked by whoever fetches headers"))]
    pub(crate) fn incomplete_checkpoint(params: &ChainParams, height: u32) -> Option<(u32, BlockHash)> {
        let last = params.checkpoints.iter().rev().find(|checkpoint| checkpoint.height <= height)?;
        last.header.is_none().then_some((last.height, last.hash))
    }

    /// A chain that begins with the checkpoint at `height`, whose header this is. Hashes it.
    ///
    /// # Errors
    /// [`HeaderError::NoCheckpoint`], and [`HeaderError::CheckpointMismatch`] if it is another block's header.
    pub(crate) fn from_hash_checkpoint(
        params: &ChainParams,
        height: u32,
        header: Header,
    ) -> Result<Self, HeaderError> {
        let checkpoint = params.checkpoint_at(height).ok_or(HeaderError::NoCheckpoint { height })?;
        let (expected, got) = (checkpoint.hash, header.block_hash());
        if expected != got {
            return Err(HeaderError::CheckpointMismatch { height, expected, got });
        }
        Ok(Self::from_checkpoint(params, checkpoint, header))
    }

    fn from_checkpoint(params: &ChainParams, checkpoint: &Checkpoint, header: Header) -> Self {
        let ancestry = Ancestry::below_checkpoint(params, checkpoint, &header);
        let start = (header, checkpoint.hash);
        let chain =
            Self::from_block(params.clone(), checkpoint.height, ancestry, start, checkpoint.chain_work);
        Self { is_start_exact: !checkpoint.is_work_assumed, ..chain }
    }

    fn from_block(
        params: impl Into<Arc<ChainParams>>,
        height: u32,
        ancestry: Ancestry,
        (header, hash): (Header, BlockHash),
        work: Arith256,
    ) -> Self {
        let mut blocks = Blocks::default();
        blocks.push(header, hash);
        Self {
            params: params.into(),
            start_height: height,
            ancestry,
            blocks,
            work,
            lifts: Vec::new(),
            is_start_exact: true,
        }
    }

    /// A chain that begins with this one's tip, to be extended on its own and appended later.
    pub(crate) fn starting_at_tip(&self) -> Self {
        let (height, start) = (self.tip_height(), *self.tip());
        let ancestry = Ancestry::of(&self.params, height, &start.0, self.newest_first_below(height).copied());
        let segment = Self::from_block(Arc::clone(&self.params), height, ancestry, start, self.work);
        Self { is_start_exact: self.exact_work().is_some() && self.lifts.is_empty(), ..segment }
    }

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
        if self.missing_below() != Some(hash) || !self.has_work(&header, hash) {
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
    #[cfg_attr(not(test), expect(dead_code, reason = "asked by whoever fetches headers"))]
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
        let last = self.tip_height().min(self.start_height.saturating_add(PAST_BLOCKS as u32));
        for height in self.start_height + 1..=last {
            let Some(header) = self.header(height) else { break };
            if let Err(error) = self.check_past(header, height, &self.past_before(height)) {
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
    #[cfg_attr(not(test), expect(dead_code, reason = "asked by whoever chooses a tip"))]
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
            self.work = self.work.wrapping_sub(CompactTarget::new(header.bits).block_proof());
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
        self.work = self.work.wrapping_add(CompactTarget::new(header.bits).block_proof());
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
        self.check_past(header, height, &self.past_before(height))?;
        if !self.has_work(header, hash) {
            return Err(HeaderError::InsufficientWork { height, hash, bits: header.bits });
        }
        let Activation { bip34, bip66, bip65, .. } = self.params.activation;
        let versions = [(bip34, 2), (bip66, 3), (bip65, 4)];
        let least = versions.into_iter().filter(|(from, _)| height >= *from).map(|(_, least)| least).max();
        if let Some(least) = least.filter(|&least| header.version < least) {
            return Err(HeaderError::VersionTooOld { height, least, got: header.version });
        }
        if header.time > now.saturating_add(MAX_FUTURE_BLOCK_TIME) {
            return Err(HeaderError::TimeTooNew { height, now, got: header.time });
        }
        if let Some(checkpoint) = self.params.checkpoint_at(height)
            && checkpoint.hash != hash
        {
            return Err(HeaderError::CheckpointMismatch { height, expected: checkpoint.hash, got: hash });
        }
        Ok(())
    }

    /// The rules that look at the blocks before.
    fn check_past(&self, header: &Header, height: u32, past: &Past) -> Result<(), HeaderError> {
        let required = required(&self.params, past, height, header.time);
        if let Some(expected) = required.instead_of(header.bits) {
            return Err(HeaderError::WrongBits { height, expected, got: header.bits });
        }
        if required == Required::Unknown && self.is_too_easy_unseen(header) {
            return Err(HeaderError::AwaitsAncestry { height, bits: header.bits });
        }
        if let Some(median) = past.median_time().filter(|&median| header.time <= median) {
            return Err(HeaderError::TimeTooOld { height, median, got: header.time });
        }
        Ok(())
    }

    /// Whether a header has to wait until its ancestors below the start are known.
    fn is_too_easy_unseen(&self, header: &Header) -> bool {
        let has_easy_blocks = matches!(
            self.params.retargeting,
            Retargeting::DarkGravityWave { allow_min_difficulty: true, .. }
        );
        let factor = if has_easy_blocks { EASIER_UNSEEN_WITH_EASY_BLOCKS } else { EASIER_UNSEEN };
        let start = self.header(self.start_height).map_or(0, |start| start.bits);
        let (bound, is_beyond_all) = target(start).mul_u64(factor);
        !is_beyond_all && target(header.bits) > bound
    }

    /// Whether a header has the work that it claims, and claims enough.
    fn has_work(&self, header: &Header, hash: BlockHash) -> bool {
        let limit = target(self.params.pow_limit);
        header.target().is_some_and(|target| target <= limit) && header.meets_target(hash)
    }

    fn past_before(&self, height: u32) -> Past {
        Past::gather(self.newest_first_below(height).map(|(header, _)| header), height)
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
