use dashcore::Header;

/// Blocks that DarkGravityWave v3 averages over.
pub(super) const PAST_BLOCKS: usize = 24;

/// Headers whose median time a new block must exceed (Dash Core `nMedianTimeSpan`, chain.h).
const MEDIAN_TIME_SPAN: usize = 11;

/// What the rules for a block look at: times and bits of up to [`PAST_BLOCKS`] blocks before it. On the stack, because it is
/// gathered for every header.
#[derive(Debug)]
pub(super) struct Past {
    /// Newest first.
    blocks: [(u32, u32); PAST_BLOCKS],
    count: usize,
    /// Whether there is nothing before those.
    is_whole: bool,
}

impl Past {
    /// The first [`PAST_BLOCKS`] of these headers. `height` is that of the block that comes after them.
    pub(super) fn gather<'a>(newest_first: impl Iterator<Item = &'a Header>, height: u32) -> Self {
        let mut past = Self { blocks: [(0, 0); PAST_BLOCKS], count: 0, is_whole: false };
        for (place, header) in past.blocks.iter_mut().zip(newest_first) {
            *place = (header.time, header.bits);
            past.count += 1;
        }
        past.is_whole = past.count as u64 >= u64::from(height);
        past
    }

    /// Time and bits of the block before.
    pub(super) fn parent(&self) -> Option<(u32, u32)> {
        (self.count > 0).then_some(self.blocks[0])
    }

    /// Times and bits, newest first; `None` where not all are known.
    pub(super) fn window(&self) -> Option<&[(u32, u32); PAST_BLOCKS]> {
        (self.count == PAST_BLOCKS).then_some(&self.blocks)
    }

    /// Median time of the last eleven blocks; of fewer only where there are no more, because those that are missing could
    /// change it.
    pub(super) fn median_time(&self) -> Option<u32> {
        let count = self.count.min(MEDIAN_TIME_SPAN);
        if count == 0 || count < MEDIAN_TIME_SPAN && !self.is_whole {
            return None;
        }
        let mut times = [0; MEDIAN_TIME_SPAN];
        for (place, (time, _)) in times.iter_mut().zip(&self.blocks[..count]) {
            *place = *time;
        }
        let times = &mut times[..count];
        times.sort_unstable();
        times.get(count / 2).copied()
    }
}
