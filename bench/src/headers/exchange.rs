use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashcore::consensus::deserialize;
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, MAX_HEADERS};
use dashcore::network::message_headers2::{CompressedHeaders, MAX_HEADERS2};
use dashcore::{BlockHash, Header};
use spv_integration::chain::HeaderChain;
use spv_integration::store::Store;
use spv_simnet::World;
use tokio::time::Instant;

use super::contestant::Asker;
use super::distance::Distance;
use crate::client::Client;

/// One request at a time to one peer, to the next one after a timeout, an answer that is of no use, or the end of the
/// connection. The peer that greets first is the first to be asked.
#[derive(Debug)]
pub(crate) struct OneAtATime<'a> {
    pub(crate) client: &'a Client,
    pub(crate) distance: &'a Distance,
    pub(crate) is_compressed: bool,
    /// Where headers are stored before the next request; `None` where time is virtual and storing takes none.
    pub(crate) store: Option<Arc<Store>>,
    /// Where time is virtual, headers that are the chain's are not hashed but looked up.
    pub(crate) looks_up: bool,
    pub(crate) spent: Spent,
}

/// What time went into.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// Until a peer had greeted.
    pub(crate) connecting: Duration,
    /// From requests to their answers.
    pub(crate) waiting: Duration,
    /// Decoding, hashing and rules.
    pub(crate) validating: Duration,
    /// The store.
    pub(crate) storing: Duration,
}

/// How long one answer is waited for: the first step of dash-spv's ladder. Nothing was tuned.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer that is of no use.
struct Useless;

impl OneAtATime<'_> {
    /// Whether headers are asked for in compressed form.
    pub(crate) const fn is_compressed(asker: Asker) -> bool {
        matches!(asker, Asker::StoreFirst)
    }

    /// The chain up to where somebody says that it ends.
    pub(crate) async fn fetch(&mut self, on_progress: impl Fn(&HeaderChain)) -> HeaderChain {
        let began = Instant::now();
        let mut chain = self.distance.start().clone();
        let mut peer = self.client.next_connected(0).await;
        self.spent.connecting = began.elapsed();
        on_progress(&chain);
        loop {
            peer = self.client.next_connected(peer).await;
            let request = GetHeadersMessage {
                version: 1,
                locator_hashes: chain.locator(),
                stop_hash: BlockHash::all_zeros(),
            };
            let asked = Instant::now();
            let answer = self.client.ask_headers_within(peer, request, self.is_compressed, TIMEOUT).await;
            self.spent.waiting += asked.elapsed();
            let Ok(payload) = answer else {
                peer += 1;
                continue;
            };
            let before = chain.tip_height();
            let received = Instant::now();
            match self.extended(&chain, &payload) {
                Ok((extended, is_last)) => {
                    chain = extended;
                    self.spent.validating += received.elapsed();
                    let validated = Instant::now();
                    if let Some(store) = &self.store {
                        store.save_chain(&chain, Some(before)).expect("memory can be written");
                    }
                    self.spent.storing += validated.elapsed();
                    on_progress(&chain);
                    if is_last {
                        return chain;
                    }
                }
                Err(Useless) => peer += 1,
            }
        }
    }

    /// The chain with an answer's headers, and whether there are no more.
    fn extended(&self, chain: &HeaderChain, payload: &Bytes) -> Result<(HeaderChain, bool), Useless> {
        let (parent, count, answer) = if self.is_compressed {
            let headers = CompressedHeaders::decode(payload, MAX_HEADERS2).map_err(|_| Useless)?;
            (headers.parent(), headers.len(), Answer::Compressed(headers))
        } else {
            let HeadersMessage(headers) = deserialize(payload).map_err(|_| Useless)?;
            (headers.first().map(|first| first.prev_blockhash), headers.len(), Answer::Plain(headers))
        };
        let Some(parent) = parent else { return Ok((chain.clone(), true)) };
        let fork = chain.height_of(&parent).ok_or(Useless)?;
        let world = self.looks_up.then(|| &**self.distance.world());
        let (headers, hashes) = answer.hashed(fork, world).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let mut extended = chain.truncated(fork).ok_or(Useless)?;
        extended.extend(&headers, &hashes, u32::MAX).map_err(|_| Useless)?;
        if extended.work() <= chain.work() {
            return Err(Useless);
        }
        let limit = if self.is_compressed { MAX_HEADERS2 } else { MAX_HEADERS };
        Ok((extended, count < limit))
    }
}

enum Answer {
    Plain(Vec<Header>),
    Compressed(CompressedHeaders),
}

impl Answer {
    /// The headers, each with its hash; as a look-up where they are those that follow this height in a world.
    fn hashed(self, fork: u32, world: Option<&World>) -> Vec<(Header, BlockHash)> {
        if let Some(world) = world {
            let known = (fork + 1..).map_while(|height| world.header(height));
            let (count, equal) = match &self {
                Self::Plain(headers) => {
                    let equal =
                        headers.iter().zip(known).take_while(|(header, known)| header == known).count();
                    (headers.len(), equal)
                }
                Self::Compressed(headers) => (headers.len(), headers.count_equal(known)),
            };
            if equal == count {
                let heights = (fork + 1..).take(count);
                return heights
                    .filter_map(|height| Some((*world.header(height)?, world.block_hash(height)?)))
                    .collect();
            }
        }
        match self {
            Self::Plain(headers) => headers.into_iter().map(|header| (header, header.block_hash())).collect(),
            Self::Compressed(headers) => headers.into_hashed().collect(),
        }
    }
}
