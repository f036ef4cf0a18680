//! Starts a generated network, asks its first peer for the latest list, and stops.
//!
//! Run with `cargo run -p spv-simnet --example generated_network`.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use dashcore::BlockHash;
use dashcore::network::framing::FrameDecoder;
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_network::{Address, PROTOCOL_VERSION, VersionMessage};
use dashcore::network::message_sml::GetMnListDiff;
use spv_simnet::{GeneratedSpec, Network, NetworkConfig, PeerConfig, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let spec = GeneratedSpec { masternodes: 40, cycles: 10, ..GeneratedSpec::default() };
    let world = Arc::new(World::generate(&spec));
    let peers = vec![PeerConfig::default(); 3];
    let network =
        Network::start(Arc::clone(&world), NetworkConfig { peers, ..NetworkConfig::default() }).await?;
    println!("{spec}, tip {}, is served at {:?}", world.tip(), network.addresses());

    let mut peer = TcpStream::connect(network.addresses()[0]).await?;
    let block_hash = world.block_hash(world.tip()).expect("the tip exists");
    let request = GetMnListDiff { base_block_hash: BlockHash::all_zeros(), block_hash };
    send(&mut peer, &world, &version()).await?;
    let decoder = FrameDecoder::new(world.params().magic, usize::MAX);
    let mut buffer = BytesMut::new();
    loop {
        peer.read_buf(&mut buffer).await?;
        while let Some(frame) = decoder.decode(&mut buffer)? {
            match NetworkMessage::decode(frame.command, &frame.payload)? {
                Some(NetworkMessage::Verack) => {
                    send(&mut peer, &world, &NetworkMessage::Verack).await?;
                    send(&mut peer, &world, &NetworkMessage::GetMnListD(request)).await?;
                }
                Some(NetworkMessage::MnListDiff(diff)) => {
                    let (masternodes, quorums) = (diff.new_masternodes.len(), diff.new_quorums.len());
                    println!("received {masternodes} masternodes and {quorums} quorums");
                    for stats in network.shutdown().await {
                        println!("{} sent {} bytes", stats.address, stats.bytes_sent);
                    }
                    return Ok(());
                }
                _ => println!("received {}", frame.command),
            }
        }
    }
}

async fn send(peer: &mut TcpStream, world: &World, message: &NetworkMessage) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    message.encode_framed(world.params().magic, &mut bytes);
    peer.write_all(&bytes).await
}

fn version() -> NetworkMessage {
    let nobody = Address { services: 0, address: SocketAddr::from(([0; 4], 0)) };
    NetworkMessage::Version(VersionMessage {
        version: PROTOCOL_VERSION,
        services: 0,
        timestamp: 0,
        receiver: nobody,
        sender: nobody,
        nonce: 1,
        user_agent: "/example/".to_owned(),
        start_height: 0,
        relay: false,
        mn_auth_challenge: [0; 32],
        masternode_connection: false,
    })
}
