//! What a header has to be like (Dash Core `CheckBlockHeader` and `ContextualCheckBlockHeader`, validation.cpp).

use dashcore::params::{Activation, Retargeting};
use dashcore::{BlockHash, ChainParams, Header};

use super::difficulty::{Required, required, target};
use super::header_error::HeaderError;
use super::past::Past;

/// Seconds that a block may be ahead of our clock (Dash Core `MAX_FUTURE_BLOCK_TIME`, chain.h).
const MAX_FUTURE_BLOCK_TIME: u32 = 2 * 60 * 60;

/// While headers below the start are missing, those above it may have targets easier than the start's by this factor, on a
/// network without easy blocks. Within 24 blocks the main network's target was seen to grow 2.7-fold.
const EASIER_UNSEEN: u64 = 6;

/// The same where late blocks may be easy, which weigh in with those that follow. 20-fold was seen on the test network.
const EASIER_UNSEEN_WITH_EASY_BLOCKS: u64 = 32;

/// The rules that look at the blocks before. `start_bits` are those of the block where the chain starts.
pub(super) fn check_after(
    past: &Past,
    params: &ChainParams,
    header: &Header,
    height: u32,
    start_bits: u32,
) -> Result<(), HeaderError> {
    let required = required(params, past, height, header.time);
    if let Some(expected) = required.instead_of(header.bits) {
        return Err(HeaderError::WrongBits { height, expected, got: header.bits });
    }
    if required == Required::Unknown && is_too_easy_unseen(params, header, start_bits) {
        return Err(HeaderError::AwaitsAncestry { height, bits: header.bits });
    }
    if let Some(median) = past.median_time().filter(|&median| header.time <= median) {
        return Err(HeaderError::TimeTooOld { height, median, got: header.time });
    }
    Ok(())
}

/// The rules that look at nothing but the header; `now` is Unix time in seconds.
pub(super) fn check_alone(
    params: &ChainParams,
    header: &Header,
    hash: BlockHash,
    height: u32,
    now: u32,
) -> Result<(), HeaderError> {
    if !has_work(params, header, hash) {
        return Err(HeaderError::InsufficientWork { height, hash, bits: header.bits });
    }
    let Activation { bip34, bip66, bip65, .. } = params.activation;
    let versions = [(bip34, 2), (bip66, 3), (bip65, 4)];
    let least = versions.into_iter().filter(|(from, _)| height >= *from).map(|(_, least)| least).max();
    if let Some(least) = least.filter(|&least| header.version < least) {
        return Err(HeaderError::VersionTooOld { height, least, got: header.version });
    }
    if header.time > now.saturating_add(MAX_FUTURE_BLOCK_TIME) {
        return Err(HeaderError::TimeTooNew { height, now, got: header.time });
    }
    if let Some(first) = params.devnet_block.filter(|first| height == 1 && first != header) {
        let (network, expected) = (params.network.clone(), first.block_hash());
        return Err(HeaderError::OtherDevnet { network, expected, got: hash });
    }
    if let Some(checkpoint) = params.checkpoint_at(height).filter(|checkpoint| checkpoint.hash != hash) {
        return Err(HeaderError::CheckpointMismatch { height, expected: checkpoint.hash, got: hash });
    }
    Ok(())
}

/// Whether a header has the work that it claims, and claims enough.
pub(super) fn has_work(params: &ChainParams, header: &Header, hash: BlockHash) -> bool {
    let limit = target(params.pow_limit);
    header.target().is_some_and(|target| target <= limit) && header.meets_target(hash)
}

/// Whether a header has to wait until its ancestors below the start are known.
fn is_too_easy_unseen(params: &ChainParams, header: &Header, start_bits: u32) -> bool {
    let has_easy_blocks =
        matches!(params.retargeting, Retargeting::DarkGravityWave { allow_min_difficulty: true, .. });
    let factor = if has_easy_blocks { EASIER_UNSEEN_WITH_EASY_BLOCKS } else { EASIER_UNSEEN };
    let (bound, is_beyond_all) = target(start_bits).mul_u64(factor);
    !is_beyond_all && target(header.bits) > bound
}
