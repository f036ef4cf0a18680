use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use dashcore::consensus::serialize;
use dashcore::network::message::NetworkMessage;
use spv_integration::chain::HeaderChain;
use spv_integration::plan::Work;
use spv_simnet::{GeneratedSpec, QRInfoConstruction, QuorumProfile, World};

/// What is to be fetched. All contestants send the same requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Workload {
    /// The lists of 60 cycles, by one `getqrinfo` each.
    W1,
    /// A cold start: one `getqrinfo`, and 48 `getmnlistd` of which clients learn from its answer, unless they plan from
    /// headers.
    W2,
    /// 600 `getmnlistd`.
    W3,
    /// Following the tip for a day: one `getmnlistd` every 150 s.
    W4,
}

/// A request with what the harness knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The request, and what its answer must prove.
    pub(crate) work: Arc<Work>,
    /// Payload of the request.
    pub(crate) request: Bytes,
    /// Payload of the honest answer.
    pub(crate) answer: Bytes,
}

/// Name of the workload of headers, which has contestants of its own.
pub(crate) const HEADERS: &str = "W0";

/// Name of the message in front of it, checksum and all.
pub(crate) const FRAME_HEADER: usize = 24;

impl Workload {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::W1, Self::W2, Self::W3, Self::W4];

    /// Name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::W4 => "W4",
        }
    }

    /// What it is.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::W1 => "60 cycles of history, one getqrinfo each",
            Self::W2 => "cold start: 1 getqrinfo, then 48 getmnlistd",
            Self::W3 => "600 getmnlistd",
            Self::W4 => "following the tip: one getmnlistd per 150 s for a day",
        }
    }

    /// Time from one request to the next, where they come one by one.
    pub(crate) const fn interval(self) -> Option<Duration> {
        match self {
            Self::W4 => Some(Duration::from_secs(150)),
            _ => None,
        }
    }

    /// How many requests it has.
    pub(crate) fn count(self) -> u32 {
        u32::try_from(self.items().len()).unwrap_or(u32::MAX)
    }

    /// Whether clients that do not plan from headers learn from the first answer what else to ask.
    pub(crate) const fn discovers(self) -> bool {
        matches!(self, Self::W2)
    }

    /// Time that a node takes for one of its requests, without jitter.
    pub(crate) const fn service_time(self) -> Duration {
        match self {
            // Five lists and as many snapshots are computed for it.
            Self::W1 => Duration::from_millis(50),
            Self::W2 | Self::W3 | Self::W4 => Duration::from_millis(10),
        }
    }

    /// The requests, in order of application.
    pub(crate) fn items(self) -> &'static [Item] {
        static ITEMS: OnceLock<Vec<Vec<Item>>> = OnceLock::new();
        let all = ITEMS.get_or_init(|| Self::ALL.iter().map(|workload| workload.make()).collect());
        &all[self as usize]
    }

    /// The list that must be there before.
    pub(crate) fn base(self) -> &'static Item {
        static BASES: OnceLock<Vec<Item>> = OnceLock::new();
        let bases = BASES.get_or_init(|| {
            let base =
                |workload: &Self| item(Work::list(world().params(), chain(), 0, workload.base_height()));
            Self::ALL.iter().map(base).collect()
        });
        &bases[self as usize]
    }

    fn base_height(self) -> u32 {
        FIRST_CYCLE - WORK_BLOCK_DEPTH
    }

    fn make(self) -> Vec<Item> {
        let (params, chain, base) = (world().params(), chain(), self.base_height());
        let cycle = |number: u32| base + number * CYCLE;
        let steps = |count: u32, step: u32, from: u32| {
            (0..count).map(move |number| {
                let height = from + number * step;
                item(Work::list(params, chain, height, height + step))
            })
        };
        match self {
            Self::W1 => (0..60)
                .map(|number| item(Work::cycles(params, chain, cycle(number), &[cycle(number + 1)])))
                .collect(),
            Self::W2 => {
                let lists: Vec<u32> = (1..=4).map(cycle).collect();
                let first = item(Work::cycles(params, chain, base, &lists));
                std::iter::once(first).chain(steps(48, CYCLE, cycle(4))).collect()
            }
            Self::W3 => steps(600, 2, base).collect(),
            Self::W4 => steps(576, 1, base).collect(),
        }
    }
}

/// Length of a cycle of rotated quorums on regtest.
const CYCLE: u32 = 24;
/// The first cycle whose four predecessors have snapshots.
const FIRST_CYCLE: u32 = 216 + CYCLE;
/// Blocks from a work block to the base block of its quorums (DIP 24).
pub(crate) const WORK_BLOCK_DEPTH: u32 = 8;

/// The chain that all workloads are about.
pub(crate) fn world() -> &'static Arc<World> {
    static WORLD: OnceLock<Arc<World>> = OnceLock::new();
    WORLD.get_or_init(|| {
        Arc::new(World::generate(&GeneratedSpec {
            masternodes: 100,
            cycles: 70,
            seed: 5,
            quorums: Some(QuorumProfile::Small),
            signatures: false,
            ..GeneratedSpec::DEFAULT
        }))
    })
}

/// Its headers, as a client holds them.
pub(crate) fn chain() -> &'static HeaderChain {
    static CHAIN: OnceLock<HeaderChain> = OnceLock::new();
    CHAIN.get_or_init(|| headers_of(world()))
}

/// The headers of a chain, as a client holds them.
pub(crate) fn headers_of(world: &World) -> HeaderChain {
    let mut chain = HeaderChain::starting_at_or_below(world.params(), 0);
    let headers =
        (1..=world.tip()).filter_map(|height| Some((*world.header(height)?, world.block_hash(height)?)));
    let (headers, hashes): (Vec<_>, Vec<_>) = headers.unzip();
    chain.extend(&headers, &hashes, u32::MAX).expect("the world's headers are mined");
    chain
}

fn item(work: Option<Work>) -> Item {
    let work = work.expect("the world is long enough for the workloads");
    let active = world().active_chain();
    let (request, answer) = match work.message() {
        NetworkMessage::GetQRInfo(request) => {
            let answer = active.qr_info(&request, QRInfoConstruction::Efficient);
            (serialize(&request), serialize(&answer.expect("nodes serve what the workloads ask")))
        }
        NetworkMessage::GetMnListD(request) => {
            let answer = active.mn_list_diff(&request);
            (serialize(&request), serialize(&answer.expect("nodes serve what the workloads ask")))
        }
        other => unreachable!("no work is done by {other:?}"),
    };
    Item { work: Arc::new(work), request: request.into(), answer: answer.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_its_requests_each_once() {
        for (workload, count) in
            [(Workload::W1, 60), (Workload::W2, 49), (Workload::W3, 600), (Workload::W4, 576)]
        {
            let items = workload.items();
            assert_eq!(items.len(), count);
            let distinct: std::collections::BTreeSet<_> = items.iter().map(|item| &item.request).collect();
            assert_eq!(distinct.len(), count);
        }
    }
}
