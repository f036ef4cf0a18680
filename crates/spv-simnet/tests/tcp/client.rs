//! A client that speaks as little as the tests need, and sees every message.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use dashcore::consensus::serialize;
use dashcore::network::framing::{Command, Frame, FrameDecoder, HEADER_SIZE, encode_frame};
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_network::{Address, PROTOCOL_VERSION, VersionMessage};
use dashcore::{ChainParams, Network};
use spv_simnet::InMemoryNetwork;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

/// Nothing here takes as long; a test that would wait for ever fails instead.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client<S = TcpStream> {
    stream: S,
    buffer: BytesMut,
    magic: [u8; 4],
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Connects and completes the handshake; nothing that belongs to it is left to be received.
    pub(crate) async fn ready(address: SocketAddr) -> Self {
        Self::connect(address).await.greeted().await
    }

    /// The same as one who relays transactions.
    pub(crate) async fn ready_to_relay(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.greet_with(version_of_relay()).await;
        client
    }
}

impl Client<DuplexStream> {
    pub(crate) async fn connect_in_memory(network: &InMemoryNetwork) -> Self {
        Self::over(network.connect(network.addresses()[0]).await.unwrap())
    }

    /// The same with the first peer of a network in memory.
    pub(crate) async fn ready_in_memory(network: &InMemoryNetwork) -> Self {
        Self::connect_in_memory(network).await.greeted().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn over(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new(), magic: ChainParams::new(Network::Regtest).magic }
    }

    async fn greeted(mut self) -> Self {
        self.greet().await;
        self
    }

    /// Completes the handshake; what the node says of itself.
    pub(crate) async fn greet(&mut self) -> VersionMessage {
        self.greet_with(version(PROTOCOL_VERSION)).await
    }

    async fn greet_with(&mut self, version: NetworkMessage) -> VersionMessage {
        self.send(&version).await;
        let NetworkMessage::Version(theirs) = self.receive_message().await else { panic!("no version") };
        self.expect(&["sendaddrv2", "verack"]).await;
        self.send(&NetworkMessage::Verack).await;
        self.expect(&["sendheaders", "sendcmpct", "ping"]).await;
        theirs
    }

    pub(crate) async fn send(&mut self, message: &NetworkMessage) {
        self.send_all(std::slice::from_ref(message)).await;
    }

    /// Sends everything in one piece.
    pub(crate) async fn send_all(&mut self, messages: &[NetworkMessage]) {
        let mut bytes = Vec::new();
        for message in messages {
            message.encode_framed(self.magic, &mut bytes);
        }
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_raw(&mut self, name: &str, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode_frame(self.magic, Command::new(name), payload, &mut bytes);
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` when the node has closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.receive_frame()).await.expect("a message or the end in time")
    }

    async fn receive_frame(&mut self) -> Option<Frame> {
        let decoder = FrameDecoder::new(self.magic, usize::MAX);
        loop {
            if let Some(frame) = decoder.decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The payload of the next message, however large it is, which is to have this name and a frame without fault.
    pub(crate) async fn receive_oversized(&mut self, name: &str) -> Vec<u8> {
        let length = loop {
            if let Some(payload) = self.buffer.get(16..20) {
                let length = HEADER_SIZE + u32::from_le_bytes(payload.try_into().unwrap()) as usize;
                if self.buffer.len() >= length {
                    break length;
                }
            }
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "closed instead of {name}");
        };
        let (received, mut expected) = (self.buffer.split_to(length), Vec::new());
        encode_frame(self.magic, Command::new(name), &received[HEADER_SIZE..], &mut expected);
        assert!(received == expected[..], "{name} in a frame of its own");
        received[HEADER_SIZE..].to_vec()
    }

    pub(crate) async fn receive_message(&mut self) -> NetworkMessage {
        let frame = self.receive().await.expect("the connection is open");
        assert!(frame.checksum_valid);
        NetworkMessage::decode(frame.command, &frame.payload).unwrap().expect("a message of interest")
    }

    pub(crate) async fn expect(&mut self, names: &[&str]) {
        for name in names {
            let frame = self.receive().await.unwrap_or_else(|| panic!("closed instead of {name}"));
            assert_eq!(frame.command.as_str(), *name);
        }
    }

    pub(crate) async fn expect_pong(&mut self, nonce: u64) {
        assert_eq!(self.receive_message().await, NetworkMessage::Pong(nonce));
    }

    /// Fails on a message within a time that is long for this machine; and when the node closes the connection.
    pub(crate) async fn expect_nothing(&mut self) {
        let received = tokio::time::timeout(Duration::from_millis(100), self.receive_frame()).await;
        assert!(received.is_err(), "nothing was expected, not {received:?}");
    }

    pub(crate) async fn expect_end(&mut self) {
        let frame = self.receive().await;
        assert!(frame.is_none(), "the end was expected, not {frame:?}");
    }
}

fn version_of_relay() -> NetworkMessage {
    let NetworkMessage::Version(version) = version(PROTOCOL_VERSION) else { unreachable!("it is one") };
    NetworkMessage::Version(VersionMessage { relay: true, ..version })
}

pub(crate) fn version(version: i32) -> NetworkMessage {
    let nobody = Address { services: 0, address: SocketAddr::from(([0; 4], 0)) };
    NetworkMessage::Version(VersionMessage {
        version,
        services: 0,
        timestamp: 0,
        receiver: nobody,
        sender: nobody,
        nonce: 7,
        user_agent: "/test/".to_owned(),
        start_height: 0,
        relay: false,
        mn_auth_challenge: [0; 32],
        masternode_connection: false,
    })
}

/// Payload of a version message with a flag that the client would not set.
pub(crate) fn version_as_masternode() -> Vec<u8> {
    let mut payload = serialize(&version(PROTOCOL_VERSION));
    *payload.last_mut().unwrap() = 1;
    payload
}
