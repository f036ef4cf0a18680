use std::collections::BTreeSet;
use std::sync::Arc;

use dashcore::{ChainParams, Checkpoint};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, OptionFuture};

use super::ahead::Ahead;
use super::error::HeaderDownloadError;
use super::exchange::{HeaderExchange, Judged, MAX_ATTEMPTS, headers_after};
use crate::chain::HeaderChain;
use crate::clock;

/// Segments, from one checkpoint to the next, that are downloaded at one time.
const SEGMENTS_IN_FLIGHT: usize = 16;

impl HeaderExchange {
    /// Downloads the stretches between checkpoints in parallel, each from any peer, and keeps them in order.
    pub(super) async fn fill_to_last_checkpoint(
        &self,
        params: &ChainParams,
        mut chain: HeaderChain,
        ahead: &Ahead,
        on_progress: &impl Fn(u32),
    ) -> Result<HeaderChain, HeaderDownloadError> {
        let tip = chain.tip_height();
        let ends: Vec<&Checkpoint> = params
            .checkpoints
            .iter()
            .filter(|checkpoint| checkpoint.height > tip && checkpoint.header.is_some())
            .collect();
        let checkpoints =
            ends.iter().map(|checkpoint| HeaderChain::starting_at_or_below(params, checkpoint.height));
        let starts = std::iter::once(chain.starting_at_tip()).chain(checkpoints);
        let segments: Vec<(HeaderChain, u32)> =
            starts.zip(&ends).map(|(start, end)| (start, end.height)).collect();
        let mut segments = futures::stream::iter(segments)
            .map(|(start, end)| self.fill_segment(start, end))
            .buffered(SEGMENTS_IN_FLIGHT);
        let mut saving: Option<BoxFuture<'_, ()>> = None;
        loop {
            tokio::select! {
                biased;
                Some(()) = OptionFuture::from(saving.as_mut()) => saving = None,
                segment = segments.next() => {
                    let Some(segment) = segment else { break };
                    chain.append(&segment?, clock::unix_seconds())?;
                    on_progress(chain.tip_height());
                    saving.get_or_insert_with(|| ahead.save(Arc::new(chain.clone())).boxed());
                }
            }
        }
        OptionFuture::from(saving).await;
        ahead.save(Arc::new(chain.clone())).await;
        Ok(chain)
    }

    /// Extends a chain up to a height, each batch from any peer.
    async fn fill_segment(&self, start: HeaderChain, end: u32) -> Result<HeaderChain, HeaderDownloadError> {
        let mut chain = Arc::new(start);
        let mut exclude = BTreeSet::new();
        let mut attempts = 0;
        while chain.tip_height() < end {
            let missing = usize::try_from(end - chain.tip_height()).unwrap_or(usize::MAX);
            let progressed = match self.ask(headers_after(vec![chain.tip_hash()]), exclude.clone()).await {
                Some(mut batch) => {
                    batch.answered.truncate(missing);
                    let peer = batch.peer;
                    exclude.insert(peer);
                    match self.judge(std::slice::from_ref(&chain), batch).await {
                        Judged::New(extended) if extended.work() > chain.work() => {
                            chain = extended;
                            true
                        }
                        _ => {
                            self.peers.heard_nothing(peer);
                            false
                        }
                    }
                }
                None => false,
            };
            if progressed {
                exclude.clear();
                attempts = 0;
                continue;
            }
            attempts += 1;
            if attempts == MAX_ATTEMPTS || self.peers.none_expected() {
                let nothing = HeaderDownloadError::NoUsableAnswer { height: chain.tip_height() };
                return Err(self.clock_error().unwrap_or(nothing));
            }
            self.next_round(&mut exclude).await;
        }
        Ok(Arc::unwrap_or_clone(chain))
    }
}
