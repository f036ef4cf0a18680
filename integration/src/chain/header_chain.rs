use dash_num::{Arith256, CompactTarget};
use dash_types::Numeric;
use dashcore::{BlockHash, ChainParams, Checkpoint, Header};

use super::blocks::Blocks;
use super::difficulty::{DGW_PAST_BLOCKS, required_bits};

/// Headers whose median time a new block must exceed (Dash Core `nMedianTimeSpan`, chain.h).
const MEDIAN_TIME_SPAN: usize = 11;

/// Seconds that a block may be ahead of our clock (Dash Core `MAX_FUTURE_BLOCK_TIME`, chain.h).
const MAX_FUTURE_BLOCK_TIME: u32 = 2 * 60 * 60;

/// Most hashes that a locator carries beyond its dense start.
const LOCATOR_DENSE: u32 = 10;

/// A validated chain of headers, from genesis or a checkpoint to a tip. About 160 bytes per header; copies share
/// what they have in common.
#[derive(Debug, Clone)]
pub struct HeaderChain {
    params: ChainParams,
    start_height: u32,
    blocks: Blocks,
    /// Total work up to the tip, counted from the start block's own total.
    work: Arith256,
}

impl HeaderChain {
    /// A chain that begins with the last checkpoint at or below `height`, or with genesis.
    pub fn starting_at_or_below(params: &ChainParams, height: u32) -> Self {
        let checkpoint = params.checkpoints.iter().rev().find(|checkpoint| checkpoint.height <= height);
        match checkpoint {
            Some(checkpoint) => Self::from_checkpoint(params, checkpoint),
            None => Self::from_block(params, 0, params.genesis, params.genesis_hash, Arith256::ZERO),
        }
    }

    fn from_checkpoint(params: &ChainParams, checkpoint: &Checkpoint) -> Self {
        Self::from_block(params, checkpoint.height, checkpoint.header, checkpoint.hash, checkpoint.chain_work)
    }

    fn from_block(
        params: &ChainParams,
        height: u32,
        header: Header,
        hash: BlockHash,
        work: Arith256,
    ) -> Self {
        let mut blocks = Blocks::default();
        blocks.push(header, hash);
        Self { params: params.clone(), start_height: height, blocks, work }
    }

    /// A chain that begins with this one's tip, to be extended on its own and appended later.
    pub(crate) fn starting_at_tip(&self) -> Self {
        let (tip, hash) = *self.tip();
        Self::from_block(&self.params, self.tip_height(), tip, hash, self.work)
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

    /// Total work up to the tip.
    pub fn work(&self) -> Arith256 {
        self.work
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
        let recheck = segment.blocks.len().min(DGW_PAST_BLOCKS + 1);
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
        let keep = self.index(height)? + 1;
        let mut chain = self.clone();
        for header in chain.blocks.truncate(keep) {
            chain.work = chain.work.wrapping_sub(CompactTarget::new(header.bits).block_proof());
        }
        Some(chain)
    }

    fn push_linked(&mut self, header: Header, hash: BlockHash) -> Result<(), HeaderError> {
        self.check_link(&header)?;
        self.push(header, hash);
        Ok(())
    }

    fn push(&mut self, header: Header, hash: BlockHash) {
        self.work = self.work.wrapping_add(CompactTarget::new(header.bits).block_proof());
        self.blocks.push(header, hash);
    }

    fn check(&self, header: &Header, hash: BlockHash, now: u32) -> Result<(), HeaderError> {
        self.check_link(header)?;
        let height = self.tip_height() + 1;
        let limit = CompactTarget::new(self.params.pow_limit).expand().value;
        let within_limit = header.target().is_some_and(|target| target <= limit);
        if !within_limit || !header.meets_target(hash) {
            return Err(HeaderError::InsufficientWork { height, hash, bits: header.bits });
        }
        let past = self.blocks.newest(DGW_PAST_BLOCKS);
        let required =
            required_bits(self.params.retargeting, self.params.pow_limit, &past, height, header.time);
        if let Some(expected) = required.filter(|&expected| expected != header.bits) {
            return Err(HeaderError::WrongBits { height, expected, got: header.bits });
        }
        if let Some(median) = self.median_time().filter(|&median| header.time <= median) {
            return Err(HeaderError::TimeTooOld { height, median, got: header.time });
        }
        if header.time > now.saturating_add(MAX_FUTURE_BLOCK_TIME) {
            return Err(HeaderError::TimeTooNew { height, now, got: header.time });
        }
        if let Some(checkpoint) = self.params.checkpoints.iter().find(|known| known.height == height)
            && checkpoint.hash != hash
        {
            return Err(HeaderError::CheckpointMismatch { height, expected: checkpoint.hash, got: hash });
        }
        Ok(())
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

    /// Median time of the last eleven headers; of fewer only when the chain is held from genesis, because after a
    /// checkpoint the missing ones could change it.
    fn median_time(&self) -> Option<u32> {
        let count = self.blocks.len().min(MEDIAN_TIME_SPAN);
        if count < MEDIAN_TIME_SPAN && self.start_height > 0 {
            return None;
        }
        let mut times: Vec<u32> = self.blocks.newest(count).iter().map(|header| header.time).collect();
        times.sort_unstable();
        times.get(count / 2).copied()
    }

    fn index(&self, height: u32) -> Option<usize> {
        usize::try_from(height.checked_sub(self.start_height)?).ok()
    }
}

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The parent is another block than the tip.
    #[error("header {height} has parent {got}, expected {expected}")]
    NotLinked {
        /// Height that the header would have.
        height: u32,
        /// The tip.
        expected: BlockHash,
        /// The parent it names.
        got: BlockHash,
    },
    /// The X11 hash does not meet the target, or the target is easier than the network allows.
    #[error("header {height} ({hash}) does not have the work that its bits {bits:08x} ask for")]
    InsufficientWork {
        /// Height that the header would have.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its claimed target.
        bits: u32,
    },
    /// The target is not what the difficulty rules ask for.
    #[error("header {height} has bits {got:08x}, the difficulty rules ask for {expected:08x}")]
    WrongBits {
        /// Height that the header would have.
        height: u32,
        /// Bits by the rules.
        expected: u32,
        /// Bits of the header.
        got: u32,
    },
    /// The time is not after the median of the last eleven headers.
    #[error("header {height} has time {got}, not after the median {median} of its ancestors")]
    TimeTooOld {
        /// Height that the header would have.
        height: u32,
        /// Median time, Unix seconds.
        median: u32,
        /// Time of the header, Unix seconds.
        got: u32,
    },
    /// The time is more than two hours ahead of ours.
    #[error("header {height} has time {got}, more than two hours after {now}; check this machine's clock")]
    TimeTooNew {
        /// Height that the header would have.
        height: u32,
        /// Our time, Unix seconds.
        now: u32,
        /// Time of the header, Unix seconds.
        got: u32,
    },
    /// Another block is known at this height.
    #[error("header {height} is {got}, but {expected} is known to be there")]
    CheckpointMismatch {
        /// Height of the checkpoint.
        height: u32,
        /// The known block.
        expected: BlockHash,
        /// The block that was sent.
        got: BlockHash,
    },
}

#[cfg(test)]
mod tests {
    use dashcore::Network;
    use dashcore::hash_types::TxMerkleNode;

    use super::*;

    const NOW: u32 = 1_900_000_000;

    /// Regtest headers on top of genesis, each mined.
    fn mine(params: &ChainParams, count: u32) -> Vec<Header> {
        let mut previous = (params.genesis_hash, params.genesis.time);
        (0..count)
            .map(|index| {
                let header = mine_one(previous.0, previous.1 + 1, index);
                previous = (header.block_hash(), header.time);
                header
            })
            .collect()
    }

    fn mine_one(prev_blockhash: BlockHash, time: u32, seed: u32) -> Header {
        let mut header = Header {
            version: 4,
            prev_blockhash,
            merkle_root: TxMerkleNode::from_byte_array([seed.to_le_bytes()[0]; 32]),
            time,
            bits: 0x207f_ffff,
            nonce: 0,
        };
        while !header.meets_target(header.block_hash()) {
            header.nonce += 1;
        }
        header
    }

    fn hashes(headers: &[Header]) -> Vec<BlockHash> {
        headers.iter().map(Header::block_hash).collect()
    }

    #[test]
    fn a_linked_chain_with_work_is_accepted() {
        let params = ChainParams::new(Network::Regtest);
        let mut chain = HeaderChain::starting_at_or_below(&params, 0);
        let headers = mine(&params, 60);
        chain.extend(&headers, &hashes(&headers), NOW).unwrap();
        assert_eq!(chain.tip_height(), 60);
        assert_eq!(chain.height_of(&headers[9].block_hash()), Some(10));
        let locator = chain.locator();
        assert_eq!(locator.first(), Some(&chain.tip_hash()));
        assert_eq!(locator.last(), Some(&params.genesis_hash));
        assert!(locator.len() < 20);

        let cut = chain.truncated(30).unwrap();
        let mut shorter = HeaderChain::starting_at_or_below(&params, 0);
        shorter.extend(&headers[..30], &hashes(&headers[..30]), NOW).unwrap();
        assert_eq!((cut.tip_hash(), cut.work()), (shorter.tip_hash(), shorter.work()));
        assert_eq!(cut.height_of(&headers[30].block_hash()), None);
    }

    #[test]
    fn a_segment_from_the_tip_is_appended() {
        let params = ChainParams::new(Network::Regtest);
        let headers = mine(&params, 90);
        let mut whole = HeaderChain::starting_at_or_below(&params, 0);
        whole.extend(&headers, &hashes(&headers), NOW).unwrap();
        let mut chain = whole.truncated(30).unwrap();
        let mut segment = chain.starting_at_tip();
        segment.extend(&headers[30..], &hashes(&headers[30..]), NOW).unwrap();
        chain.append(&segment, NOW).unwrap();
        assert_eq!((chain.tip_hash(), chain.work()), (whole.tip_hash(), whole.work()));
        assert_eq!(chain.height_of(&headers[59].block_hash()), Some(60));
    }

    #[test]
    fn every_broken_rule_has_its_error() {
        let params = ChainParams::new(Network::Regtest);
        let mut chain = HeaderChain::starting_at_or_below(&params, 0);
        let headers = mine(&params, 20);
        chain.extend(&headers, &hashes(&headers), NOW).unwrap();
        let tip_time = headers[19].time;
        let mut refuse = |header: Header| chain.extend(&[header], &[header.block_hash()], NOW).unwrap_err();

        let orphan = mine_one(BlockHash::all_zeros(), tip_time + 1, 0);
        assert!(matches!(refuse(orphan), HeaderError::NotLinked { height: 21, .. }));

        let linked = headers[19].block_hash();
        let mut lazy = mine_one(linked, tip_time + 1, 0);
        while lazy.meets_target(lazy.block_hash()) {
            lazy.nonce += 1;
        }
        assert!(matches!(refuse(lazy), HeaderError::InsufficientWork { height: 21, .. }));

        let mut harder = mine_one(linked, tip_time + 1, 0);
        harder.bits = 0x207f_fffe;
        while !harder.meets_target(harder.block_hash()) {
            harder.nonce += 1;
        }
        assert!(matches!(refuse(harder), HeaderError::WrongBits { expected: 0x207f_ffff, .. }));

        let median = headers[14].time;
        assert!(matches!(
            refuse(mine_one(linked, median, 0)),
            HeaderError::TimeTooOld { median: found, .. } if found == median
        ));
        assert!(matches!(refuse(mine_one(linked, NOW + 7_201, 0)), HeaderError::TimeTooNew { .. }));
        chain
            .extend(
                &[mine_one(linked, NOW + 7_200, 0)],
                &[mine_one(linked, NOW + 7_200, 0).block_hash()],
                NOW,
            )
            .unwrap();
    }

    #[test]
    fn a_chain_may_start_at_a_checkpoint() {
        let params = ChainParams::new(Network::Dash);
        let chain = HeaderChain::starting_at_or_below(&params, 2_240_504);
        assert_eq!(chain.start_height(), 2_200_000);
        assert!(chain.work() > Arith256::ZERO);
        assert_eq!(chain.locator(), [chain.tip_hash()]);
    }
}
