use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use dashcore::network::framing::{Frame, FrameDecoder};
use dashcore::network::message_network::{Address, PROTOCOL_VERSION, VersionMessage};
use spv_integration::net::{Connector, Stream};
use tokio::io::AsyncReadExt;

/// Opens the stream to a node, given with its index.
pub(crate) type Connect = Arc<
    dyn Fn(SocketAddr, usize) -> futures::future::BoxFuture<'static, io::Result<Box<dyn Stream>>>
        + Send
        + Sync,
>;

/// The same for our client, which knows of no index.
pub(crate) fn connector(connect: &Connect, addresses: &[SocketAddr]) -> Connector {
    let (connect, addresses) = (connect.clone(), addresses.to_vec());
    Connector::new(move |address| {
        let index = addresses.iter().position(|known| *known == address).unwrap_or(0);
        connect(address, index)
    })
}

pub(super) async fn next_frame<R: tokio::io::AsyncRead + Unpin>(
    stream: &mut R,
    decoder: &FrameDecoder,
    buffer: &mut BytesMut,
) -> io::Result<Frame> {
    loop {
        match decoder.decode(buffer) {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

pub(super) fn version(receiver: SocketAddr, nonce: u64) -> VersionMessage {
    let unset = SocketAddr::from(([0, 0, 0, 0], 0));
    VersionMessage {
        version: PROTOCOL_VERSION,
        services: 0,
        timestamp: 0,
        receiver: Address { services: 0, address: receiver },
        sender: Address { services: 0, address: unset },
        nonce,
        user_agent: "/bench/".to_owned(),
        start_height: 0,
        relay: false,
        mn_auth_challenge: [0; 32],
        masternode_connection: false,
    }
}

/// Largest message that is accepted.
pub(super) const MAX_PAYLOAD: usize = 32 * 1024 * 1024;
