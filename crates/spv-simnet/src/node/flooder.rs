//! Messages that nobody asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashcore::blockdata::transaction::OutPoint;
use dashcore::bls_sig_utils::BLSSignature;
use dashcore::consensus::serialize;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::network::framing::{Command, DEFAULT_MAX_PAYLOAD};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_blockdata::{HeadersMessage, Inventory, MAX_HEADERS};
use dashcore::{BlockHash, Txid};

use super::Node;
use super::delivery::framed;
use super::session::{MAX_ADDRESSES, Session};
use crate::chain::{ActiveChain, MinedBranch};
use crate::faults::{Flood, FloodKind};

/// Makes the messages of one node's flood.
#[derive(Debug)]
pub(super) struct Flooder {
    flood: Flood,
    random: fastrand::Rng,
    /// What is the same each time and for all connections.
    prepared: Option<Bytes>,
}

impl Flooder {
    pub(super) fn new(flood: Flood, seed: u64) -> Self {
        Self { flood, random: fastrand::Rng::with_seed(seed), prepared: None }
    }

    /// Time from one message to the next.
    pub(super) fn period(&self) -> Duration {
        self.flood.period()
    }

    /// The next message for a connection, framed.
    pub(super) fn next(&mut self, session: &Session, node: &Node) -> Bytes {
        let message = match self.flood.kind {
            FloodKind::KnownHeaders
            | FloodKind::ForkHeaders
            | FloodKind::BigHeaders
            | FloodKind::BigLists => {
                return self.unchanging(node);
            }
            FloodKind::Inv => {
                let blocks = (0..INVENTED).map(|_| Inventory::Block(BlockHash::from_byte_array(self.hash())));
                NetworkMessage::Inv(blocks.collect())
            }
            FloodKind::LockInv => {
                let names = (0..INVENTED).map(|index| match index % 2 {
                    0 => Inventory::ChainLock(self.hash()),
                    _ => Inventory::InstantLock(self.hash()),
                });
                NetworkMessage::Inv(names.collect())
            }
            FloodKind::Locks => NetworkMessage::IsdLock(InstantLock {
                version: 1,
                inputs: vec![OutPoint { txid: Txid::from_byte_array(self.hash()), vout: 0 }],
                txid: Txid::from_byte_array(self.hash()),
                cyclehash: BlockHash::from_byte_array(self.hash()),
                signature: BLSSignature::default(),
            }),
            FloodKind::Addr => {
                let port = node.chain().world().params().default_port;
                let addresses = (0..MAX_ADDRESSES).map(|_| loopback_address(&mut self.random, port));
                session.list(addresses, node)
            }
            FloodKind::Ping => NetworkMessage::Ping(self.random.u64(..)),
        };
        framed(node, message.command(), &serialize(&message))
    }

    fn hash(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        bytes
    }

    fn unchanging(&mut self, node: &Node) -> Bytes {
        let Self { flood, random, prepared } = self;
        let frame = prepared.get_or_insert_with(|| match flood.kind {
            FloodKind::BigHeaders => junk(command::HEADERS, random, node),
            FloodKind::BigLists => junk(command::QRINFO, random, node),
            FloodKind::ForkHeaders => {
                let headers = lighter_fork(&node.chain(), node.config.seed).mined().to_vec();
                framed(node, command::HEADERS, &serialize(&HeadersMessage(headers)))
            }
            _ => {
                let chain = node.chain();
                let headers = (1..=chain.tip()).take(MAX_HEADERS).filter_map(|height| chain.header(height));
                framed(node, command::HEADERS, &serialize(&HeadersMessage(headers.copied().collect())))
            }
        });
        frame.clone()
    }
}

/// As large a message as Dash's framing allows.
fn junk(name: Command, random: &mut fastrand::Rng, node: &Node) -> Bytes {
    let mut payload = vec![0; DEFAULT_MAX_PAYLOAD];
    random.fill(&mut payload);
    framed(node, name, &payload)
}

/// A branch that begins a tenth up the chain and ends below its tip.
fn lighter_fork(chain: &ActiveChain, seed: u64) -> MinedBranch {
    let fork = chain.tip() / 10;
    let blocks = (chain.tip() - fork).saturating_sub(1).min(MAX_FORK_BLOCKS);
    MinedBranch::mine(ActiveChain::new(Arc::clone(chain.world()), fork), blocks, seed)
}

/// An address of this machine, so that a client which connects to it disturbs nobody.
fn loopback_address(random: &mut fastrand::Rng, port: u16) -> SocketAddr {
    let [b, c, d, _] = random.u32(..).to_le_bytes();
    (Ipv4Addr::new(127, b, c, d), port).into()
}

const MAX_FORK_BLOCKS: u32 = 300;
const INVENTED: usize = 100;
