use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dashcore::network::framing::{Command, DEFAULT_MAX_PAYLOAD, Frame, FrameDecoder, encode_frame};
use dashcore::network::message::{NetworkMessage, command};
use dashcore::network::message_network::PROTOCOL_VERSION;
use dashcore::network::message_sml::GetMnListDiff;
use dashcore::{BlockHash, ChainParams, Network};
use parking_lot::Mutex;
use spv_netmon::Monitor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::task::TaskTracker;

use crate::config::Settings;
use crate::net::announcement::Announcements;
use crate::net::connection::{Connection, ConnectionConfig, ConnectionSetup};
use crate::net::connector::Connector;
use crate::net::disconnect_reason::DisconnectReason;
use crate::net::on_refusal::OnRefusal;
use crate::net::room::Room;
use crate::wire::Request;

/// Bytes that may be on the way in each direction.
pub(in crate::net) const ON_THE_WAY: usize = 4_096;

/// The other end of a connection: does what the test says.
pub(in crate::net) struct Node {
    magic: [u8; 4],
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Node {
    /// A connection to a node that has greeted and answered the first ping.
    pub(super) async fn connected(room: &Room) -> (Connection, Self, Announcements) {
        Self::connected_to(0, PROTOCOL_VERSION, room).await
    }

    /// The same to a node with these services and that version.
    pub(super) async fn connected_to(
        services: u64,
        version: i32,
        room: &Room,
    ) -> (Connection, Self, Announcements) {
        let (ours, theirs) = tokio::io::duplex(ON_THE_WAY);
        let ours = Arc::new(Mutex::new(Some(ours)));
        let connector = Connector::new(move |_| {
            let ours = ours.lock().take();
            async move { ours.ok_or_else(|| std::io::ErrorKind::ConnectionRefused.into()) }
        });
        let (announcer, announcements) = crate::net::announcements(None);
        let setup =
            ConnectionSetup { announcer: Some(announcer), room: room.clone(), ..Self::setup(connector) };
        let address: SocketAddr = "1.2.3.4:9999".parse().unwrap();
        let (tracker, rng) = (TaskTracker::new(), fastrand::Rng::with_seed(1));
        let (connection, mut node) = tokio::join!(
            Connection::open(address, 0, rng, &setup, &tracker),
            Self::greeting_as(services, version, theirs)
        );
        let connection = connection.unwrap();
        assert!(node.answer_ping().await);
        connection.proven().await.unwrap();
        (connection, node, announcements)
    }

    /// What connections need to know that are opened in this way.
    pub(in crate::net) fn setup(connector: Connector) -> ConnectionSetup {
        let settings = Settings::default();
        ConnectionSetup {
            params: ChainParams::new(Network::Regtest),
            start_height: 0,
            config: ConnectionConfig::of(&settings),
            connector,
            monitor: Monitor::new(settings.netmon).unwrap(),
            on_refusal: OnRefusal(Arc::new(|_| {})),
            announcer: None,
            gossip: None,
            room: Room::default(),
        }
    }

    /// Greets at the other end of a stream.
    pub(in crate::net) async fn greeting(stream: DuplexStream) -> Self {
        Self::greeting_as(0, PROTOCOL_VERSION, stream).await
    }

    async fn greeting_as(services: u64, version: i32, stream: DuplexStream) -> Self {
        let magic = ChainParams::new(Network::Regtest).magic;
        let mut node = Self { magic, stream, buffer: BytesMut::new() };
        // What the client says of itself does for a node, too, but for the first two fields.
        let mut greeting = node.receive().await.payload.to_vec();
        greeting[..4].copy_from_slice(&version.to_le_bytes());
        greeting[4..12].copy_from_slice(&services.to_le_bytes());
        node.send(command::VERSION, &greeting).await;
        node.send(command::VERACK, &[]).await;
        node
    }

    /// The next message; never resolves once the connection has ended.
    pub(in crate::net) async fn receive(&mut self) -> Frame {
        loop {
            let decoder = FrameDecoder::new(self.magic, DEFAULT_MAX_PAYLOAD);
            if let Some(frame) = decoder.decode(&mut self.buffer).unwrap() {
                return frame;
            }
            if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The bytes alone.
    pub(super) fn stream(self) -> DuplexStream {
        self.stream
    }

    /// Reads up to the next ping and answers it; whether that could be written.
    pub(in crate::net) async fn answer_ping(&mut self) -> bool {
        loop {
            let frame = self.receive().await;
            if let Ok(Some(NetworkMessage::Ping(nonce))) =
                NetworkMessage::decode(frame.command, &frame.payload)
            {
                return self.send(command::PONG, &nonce.to_le_bytes()).await;
            }
        }
    }

    /// Whether it could be written.
    pub(in crate::net) async fn send(&mut self, name: Command, payload: &[u8]) -> bool {
        let bytes = self.framed(name, payload);
        self.send_bytes(&bytes).await
    }

    pub(in crate::net) async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(super) fn framed(&self, name: Command, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_frame(self.magic, name, payload, &mut bytes);
        bytes
    }

    /// The header of a message that claims such a length.
    pub(in crate::net) fn header(&self, name: Command, length: u32) -> Vec<u8> {
        let mut bytes = self.framed(name, &[]);
        bytes[16..20].copy_from_slice(&length.to_le_bytes());
        bytes
    }
}

/// Why the connection ends, if it does within that time.
pub(super) async fn ends_within(connection: &Connection, time: Duration) -> Option<DisconnectReason> {
    tokio::time::timeout(time, connection.closed()).await.ok()
}

const NAMES: GetMnListDiff = GetMnListDiff {
    base_block_hash: BlockHash::from_byte_array([1; 32]),
    block_hash: BlockHash::from_byte_array([2; 32]),
};

/// A request for a list.
pub(super) fn request() -> Request {
    Request::ListDiff(NAMES)
}

/// A payload of that length that says it is the answer to [`request`].
pub(super) fn answer(length: usize) -> Vec<u8> {
    let mut payload = vec![1, 0];
    payload.extend(dashcore::consensus::serialize(&NAMES));
    payload.resize(length.max(payload.len()), 0);
    payload
}
