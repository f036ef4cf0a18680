//! What a simulated network does on real sockets and, where it is a matter of time or of who comes first, in memory and
//! virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod announcements;
mod claims;
mod client;
mod faults;
mod floods;
mod headers2;
mod junk_chain;
mod lies;
mod protocol;
mod quiet;
mod serving;

use std::sync::{Arc, LazyLock};

use dashcore::BlockHash;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage};
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{GeneratedSpec, InMemoryNetwork, Network, NetworkConfig, PeerConfig, World};

static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| {
    Arc::new(World::generate(&GeneratedSpec {
        masternodes: 12,
        cycles: 6,
        seed: 3,
        ..GeneratedSpec::default()
    }))
});

/// A network of one peer.
async fn start(peer: PeerConfig) -> Network {
    Network::start(Arc::clone(&WORLD), NetworkConfig { peers: vec![peer], ..NetworkConfig::default() })
        .await
        .unwrap()
}

async fn start_faulty(faults: &str) -> Network {
    start(PeerConfig { faults: faults.parse().unwrap(), ..PeerConfig::default() }).await
}

/// The same in memory, for tests in paused time.
fn start_in_memory(peer: PeerConfig) -> InMemoryNetwork {
    InMemoryNetwork::start(&WORLD, NetworkConfig { peers: vec![peer], ..NetworkConfig::default() }).unwrap()
}

fn start_faulty_in_memory(faults: &str) -> InMemoryNetwork {
    start_in_memory(PeerConfig { faults: faults.parse().unwrap(), ..PeerConfig::default() })
}

fn headers_after(height: u32) -> NetworkMessage {
    NetworkMessage::GetHeaders(GetHeadersMessage {
        version: 1,
        locator_hashes: vec![WORLD.block_hash(height).unwrap()],
        stop_hash: BlockHash::all_zeros(),
    })
}

/// Headers of the world's blocks.
fn world_headers(heights: impl Iterator<Item = u32>) -> NetworkMessage {
    NetworkMessage::Headers(HeadersMessage(heights.map(|height| *WORLD.header(height).unwrap()).collect()))
}

fn diff(base: u32, block: u32) -> NetworkMessage {
    NetworkMessage::GetMnListD(GetMnListDiff {
        base_block_hash: WORLD.block_hash(base).unwrap(),
        block_hash: WORLD.block_hash(block).unwrap(),
    })
}

fn rotation(block: u32) -> NetworkMessage {
    NetworkMessage::GetQRInfo(GetQRInfo {
        base_block_hashes: vec![WORLD.block_hash(0).unwrap()],
        block_request_hash: WORLD.block_hash(block).unwrap(),
        extra_share: true,
    })
}

/// What an honest node answers.
fn honest(request: &NetworkMessage) -> NetworkMessage {
    let chain = WORLD.active_chain();
    match request {
        NetworkMessage::GetMnListD(request) => {
            NetworkMessage::MnListDiff(chain.mn_list_diff(request).unwrap())
        }
        NetworkMessage::GetQRInfo(request) => {
            let construction = spv_simnet::QRInfoConstruction::Efficient;
            NetworkMessage::QRInfo(Box::new(chain.qr_info(request, construction).unwrap()))
        }
        NetworkMessage::GetHeaders(request) => NetworkMessage::Headers(chain.headers(request).unwrap()),
        other => panic!("{other:?} asks for nothing"),
    }
}
