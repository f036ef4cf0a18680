use std::collections::BTreeMap;
use std::sync::Arc;

use dashcore::consensus::serialize;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_headers2::{Headers2Message, MAX_HEADERS2};
use dashcore::{ChainParams, Checkpoint, Header};
use parking_lot::Mutex;
use spv_integration::chain::HeaderChain;
use spv_integration::plan::Work;
use spv_integration::store::Store;
use spv_integration::verify::{Prover, Verification};
use spv_simnet::{GeneratedSpec, QuorumProfile, World};

use crate::workload::{FRAME_HEADER, headers_of};

/// A chain, and a client that lacks its last so many headers.
#[derive(Debug)]
pub(crate) struct Distance {
    behind: u32,
    world: Arc<World>,
    params: ChainParams,
    start: HeaderChain,
}

impl Distance {
    /// The client that is so many headers behind; the chain is made once in a process.
    ///
    /// # Panics
    /// When that is more than can be generated.
    pub(crate) fn of(behind: u32) -> Arc<Self> {
        static MADE: Mutex<BTreeMap<u32, Arc<Distance>>> = Mutex::new(BTreeMap::new());
        MADE.lock().entry(behind).or_insert_with(|| Arc::new(Self::make(behind))).clone()
    }

    fn make(behind: u32) -> Self {
        // The blocks in which nothing happens are all between the client and the tip, but for a few.
        let spec = GeneratedSpec {
            masternodes: 20,
            cycles: 1,
            seed: 17,
            quorums: Some(QuorumProfile::Small),
            signatures: false,
            quiet: behind,
            ..GeneratedSpec::DEFAULT
        };
        let world = Arc::new(World::generate(&spec));
        let mut params = world.params().clone();
        let all = headers_of(&world);
        let height = world.tip() - behind;
        let start = match behind {
            // The tip of a client that was there before: a checkpoint there would leave no room for the lists below.
            0 => all,
            _ => {
                let below = all.truncated(height).expect("the chain is longer than the client is behind");
                params.checkpoints.push(Checkpoint {
                    height,
                    hash: below.tip_hash(),
                    header: below.header(height).copied(),
                    chain_work: below.work(),
                    is_work_assumed: false,
                    below: Vec::new(),
                });
                HeaderChain::starting_at_or_below(&params, height)
            }
        };
        Self { behind, world, params, start }
    }

    /// How many headers are missing.
    pub(crate) fn behind(&self) -> u32 {
        self.behind
    }

    /// The chain as nodes have it.
    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The network's parameters as the client has them, with the checkpoint that it starts from.
    pub(crate) fn params(&self) -> &ChainParams {
        &self.params
    }

    /// The chain that the client has.
    pub(crate) fn start(&self) -> &HeaderChain {
        &self.start
    }

    /// The headers that are missing.
    pub(crate) fn missing(&self) -> Vec<Header> {
        (self.start.tip_height() + 1..=self.world.tip())
            .filter_map(|height| self.world.header(height).copied())
            .collect()
    }

    /// Bytes of the answers that are needed at least, one `headers2` each.
    pub(crate) fn answers(&self) -> Vec<usize> {
        let size = |headers: &[Header]| Headers2Message::encode_chain(headers).len() + FRAME_HEADER;
        let mut sizes: Vec<usize> = self.missing().chunks(MAX_HEADERS2).map(size).collect();
        if self.missing().len().is_multiple_of(MAX_HEADERS2) {
            // Only an answer that is not full says that there is no more.
            sizes.push(size(&[]));
        }
        sizes
    }

    /// The store that the client has: what it proved before, or nothing.
    pub(crate) async fn store(&self) -> Arc<Store> {
        let store = Arc::new(Store::in_memory(&self.params.network).expect("memory can be written"));
        if self.behind == 0 {
            store.save_chain(&self.start, None).expect("memory can be written");
            let work = Work::list(&self.params, &self.start, 0, self.world.tip()).expect("tips have lists");
            let NetworkMessage::GetMnListD(request) = work.message() else {
                unreachable!("a list is asked for by getmnlistd")
            };
            let answer =
                self.world.active_chain().mn_list_diff(&request).expect("nodes serve their tip's list");
            let prover = Prover::new(&self.params, store.clone(), 1, Verification::Inline)
                .expect("inline verification starts no threads");
            let proven = prover.prove(Arc::new(work), serialize(&answer).into()).await;
            proven.expect("the world's lists are right");
        }
        store
    }
}
