//! What eight nodes can make the client hold that do nothing else than fill what it has room for; the sum of the table in
//! docs/threat-model.md is above it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dashcore::consensus::serialize;
use dashcore::network::framing::{Command, DEFAULT_MAX_PAYLOAD, FrameDecoder, encode_frame};
use dashcore::network::message::command;
use dashcore::network::message_blockdata::HeadersMessage;
use spv_integration::Config;
use spv_integration::net::{Connector, Resolver};
use spv_integration::progress::Progress;
use spv_integration::session::{Environment, follow_with};
use spv_integration::store::Store;
use spv_integration::verify::Verification;
use spv_simnet::{GeneratedSpec, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::{allocated, alone};

const MIB: usize = 1024 * 1024;

/// Nodes that do this.
const NODES: usize = 8;

/// What the table adds up to.
const TABLE: usize = 220 * MIB;

/// What these nodes fill of it at least: the room for messages that have not come whole.
const FILLED: usize = 40 * MIB;

/// The same bytes for all nodes.
static JUNK: [u8; MIB] = [0; MIB];

/// Greets, shows the chain, and answers every request for lists with the beginning of the largest message there may be.
async fn fill(world: Arc<World>, mut stream: DuplexStream) -> Option<()> {
    let magic = world.params().magic;
    let decoder = FrameDecoder::new(magic, DEFAULT_MAX_PAYLOAD);
    let headers: Vec<_> = (1..=world.tip()).filter_map(|height| world.header(height).copied()).collect();
    let headers = serialize(&HeadersMessage(headers));
    let mut buffer = BytesMut::new();
    loop {
        while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            match frame.command {
                command::VERSION => {
                    send(&mut stream, magic, command::VERSION, &frame.payload).await?;
                    send(&mut stream, magic, command::VERACK, &[]).await?;
                }
                command::PING => send(&mut stream, magic, command::PONG, &frame.payload).await?,
                command::GETHEADERS => {
                    send(&mut stream, magic, command::HEADERS, &headers).await?;
                    // As much as may come unasked.
                    for _ in 0..20 {
                        send(&mut stream, magic, command::HEADERS, &headers).await?;
                    }
                }
                command::GETQRINFO => return begin(stream, magic, command::QRINFO).await,
                command::GETMNLISTD => return begin(stream, magic, command::MNLISTDIFF).await,
                _ => {}
            }
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// All of the largest message but its end, which never comes, though some bytes do.
async fn begin(mut stream: DuplexStream, magic: [u8; 4], name: Command) -> Option<()> {
    let mut header = Vec::new();
    encode_frame(magic, name, &[], &mut header);
    header[16..20].copy_from_slice(&u32::try_from(DEFAULT_MAX_PAYLOAD).unwrap().to_le_bytes());
    stream.write_all(&header).await.ok()?;
    let (mut reading, mut writing) = tokio::io::split(stream);
    // What is asked meanwhile is read and left alone.
    let swallow = async {
        let mut swallowed = [0; 4_096];
        while reading.read(&mut swallowed).await.is_ok_and(|read| read > 0) {}
    };
    let pour = async {
        for _ in 1..DEFAULT_MAX_PAYLOAD / MIB {
            writing.write_all(&JUNK).await.ok()?;
        }
        for piece in JUNK.chunks(4_096).take(200) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            writing.write_all(piece).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        () = swallow => None,
        poured = pour => poured,
    }
}

async fn send(stream: &mut DuplexStream, magic: [u8; 4], name: Command, payload: &[u8]) -> Option<()> {
    let mut frame = Vec::new();
    encode_frame(magic, name, payload, &mut frame);
    stream.write_all(&frame).await.ok()
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "it keeps other tests out, and no task of this one takes it")]
async fn nodes_that_fill_all_there_is_room_for_do_not_fill_more() {
    let _alone = alone();
    let spec =
        GeneratedSpec { masternodes: 8, cycles: 3, seed: 1, signatures: false, ..GeneratedSpec::default() };
    let world = Arc::new(World::generate(&spec));
    let nodes = world.clone();
    let connector = Connector::new(move |_| {
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        tokio::spawn(fill(nodes.clone(), theirs));
        async move { Ok(ours) }
    });
    let environment = Environment {
        connector,
        resolver: Resolver::none(),
        verification: Verification::Inline,
        seed: Some(1),
    };
    let config = Config {
        network: "regtest".to_owned(),
        peers: (1..=NODES).map(|host| format!("127.0.0.{host}:9999")).collect(),
        ..Config::default()
    };
    let store = Arc::new(Store::in_memory(&world.params().network).unwrap());
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let before = allocated();
    let following = follow_with(&environment, world.params(), &config, store, &progress, |_| {}, &cancel);
    let watching = async {
        let mut most = 0;
        for _ in 0..60_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            most = most.max(allocated().saturating_sub(before));
        }
        cancel.cancel();
        most
    };
    let (followed, most) = tokio::join!(following, watching);
    followed.unwrap();
    assert!(most > FILLED, "{} MiB: nothing was filled", most / MIB);
    assert!(most < TABLE, "{} MiB", most / MIB);
    let left = allocated().saturating_sub(before);
    assert!(left < FILLED, "{} MiB are left when all connections are gone", left / MIB);
}
