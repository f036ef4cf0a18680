//! The table of bounds in docs/threat-model.md: each of its rows is filled by a test, here or beside what it is about, its sum
//! is right, and eight nodes that do nothing else than fill what the client has room for stay below it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dashcore::consensus::serialize;
use dashcore::network::framing::{Command, DEFAULT_MAX_PAYLOAD, FrameDecoder, encode_frame};
use dashcore::network::message::command;
use dashcore::network::message_blockdata::HeadersMessage;
use spv_correlation::{Expectation, PendingTable};
use spv_integration::net::{Connector, Resolver};
use spv_integration::progress::Progress;
use spv_integration::session::{Environment, follow_with};
use spv_integration::store::Store;
use spv_integration::verify::Verification;
use spv_integration::{Config, Settings};
use spv_netmon::Monitor;
use spv_recovery::{Attempt, FailureKind, History, Recovery};
use spv_scheduler::{Priority, Scheduler, TokenBuckets};
use spv_simnet::{GeneratedSpec, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::{allocated, alone};

const MIB: usize = 1024 * 1024;

/// Nodes that do this.
const NODES: usize = 8;

/// Peers that the table counts with.
const CONNECTIONS: usize = 8;

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

/// What fills a row of the table.
enum Filled {
    /// The nodes below, all at once.
    ByNodes,
    /// What this makes; its bytes are measured.
    By(fn() -> Box<dyn Any>),
    /// The test of this name in this file, which shows that the bound holds.
    In(&'static str, &'static str),
    /// These words of this file are what bounds it, and no more can be filled in.
    UpTo(&'static str, &'static str),
}

const ANSWERS: &str = "crates/spv-executor/tests/executor/answers.rs";
const CONNECTION: &str = "integration/src/net/connection.rs";
const ABUSE: &str = "integration/src/net/connection/tests/abuse.rs";
const ANNOUNCEMENT: &str = "integration/src/net/announcement.rs";
const GOSSIP: &str = "integration/src/net/gossip.rs";
const SERVICE: &str = "crates/qrsync/tests/end_to_end/service.rs";

/// The rows by their first words, in order.
const ROWS: &[(&str, Filled)] = &[
    (
        "answers that are expected",
        Filled::In(ANSWERS, "an_answer_holds_its_bytes_until_its_permit_is_dropped"),
    ),
    ("incomplete messages", Filled::ByNodes),
    ("requests to be written", Filled::UpTo(CONNECTION, "mpsc::channel(OUTGOING_CAPACITY)")),
    ("pongs", Filled::In("integration/src/net/liveness.rs", "pings_that_are_remembered_are_bounded")),
    ("requests that wait for an answer", Filled::By(correlation)),
    ("fences", Filled::In(ABUSE, "fences_of_a_node_that_sends_no_pongs_are_bounded")),
    ("announcements", Filled::In(ANNOUNCEMENT, "what_waits_is_bounded_and_ends_with_the_peers")),
    (
        "ChainLocks",
        Filled::In("integration/src/net/wanted_locks.rs", "each_is_asked_for_once_and_few_at_a_time"),
    ),
    (
        "InstantSend locks that wait",
        Filled::In(
            "integration/src/net/lock_inbox.rs",
            "what_waits_is_bounded_and_only_its_own_locks_make_room_for_a_node",
        ),
    ),
    ("headers that wait", Filled::ByNodes),
    ("disconnected peers", Filled::UpTo("integration/src/headers/hearing.rs", "MAX_GONE.saturating_sub(")),
    ("branches that peers are on", Filled::ByNodes),
    (
        "branches that no peer serves",
        Filled::In("integration/src/headers/tips.rs", "only_so_many_branches_are_set_aside"),
    ),
    (
        "received addresses",
        Filled::In(GOSSIP, "addresses_are_taken_when_asked_for_and_no_more_than_an_answer_holds"),
    ),
    ("remembered addresses", Filled::In("integration/src/discovery/table.rs", "the_table_keeps_its_bounds")),
    (
        "records of peers",
        Filled::UpTo("integration/src/fleet/peers/conduct.rs", "saturating_sub(MAX_REPORTS)"),
    ),
    ("measurements", Filled::By(measurements)),
    ("events of connections", Filled::UpTo("integration/src/net/pool.rs", "mpsc::channel(EVENT_CAPACITY)")),
    ("work that is queued", Filled::By(queue)),
    (
        "peers that log lines",
        Filled::In("integration/src/log/seldom.rs", "only_so_many_peers_are_remembered"),
    ),
    ("pages of the database", Filled::UpTo("integration/src/store/opening.rs", "set_cache_size(CACHE_SIZE)")),
    (
        "lists that lookups keep",
        Filled::In("integration/src/client/lists.rs", "lookups_beyond_the_bound_are_refused"),
    ),
    ("HTTP", Filled::In(SERVICE, "who_talks_too_much_or_not_at_all_holds_up_nobody")),
];

/// A request for headers, the largest there is: with a locator of 101 hashes.
struct Asked(Vec<[u8; 32]>);

impl Expectation for Asked {
    type Response = usize;
    type Content = usize;
    type Key = usize;

    fn content(response: &usize) -> usize {
        *response
    }

    fn accepts(&self, content: &usize) -> bool {
        self.0.len() == *content
    }

    fn key(&self) -> usize {
        self.0.len()
    }
}

/// The correlation tables of all connections, with as many requests as they take and remember.
fn correlation() -> Box<dyn Any> {
    let config = Settings::default().correlation;
    let now = start();
    let table = |seed| {
        let mut table = PendingTable::new(&config, seed).unwrap();
        let register = |table: &mut PendingTable<Asked>| table.register(Asked(vec![[7; 32]; 101]), now);
        for _ in 0..config.max_history {
            let fence = register(&mut table).unwrap().fence;
            let _refused = table.on_fence(fence, now);
        }
        while register(&mut table).is_ok() {}
        table
    };
    Box::new((0..CONNECTIONS as u64).map(table).collect::<Vec<_>>())
}

/// What is measured of as many peers as are remembered.
fn measurements() -> Box<dyn Any> {
    let settings = Settings::default();
    let now = start();
    let peers = |count: usize| {
        (0..u32::try_from(count).unwrap()).map(|host| SocketAddr::from((host.to_be_bytes(), 9999)))
    };
    let monitor = Monitor::<SocketAddr, &str>::new(settings.netmon.clone()).unwrap();
    for peer in peers(settings.netmon.max_peers * 2) {
        for kind in ["qrinfo", "mnlistdiff", "getheaders"] {
            for _ in 0..settings.netmon.reliability_window {
                monitor.on_rtt(&peer, Duration::from_millis(50), now);
                monitor.on_answer(&peer, kind, 100_000, Duration::from_millis(200), now);
                monitor.on_accepted(&peer, &kind, now);
            }
        }
    }
    let mut buckets = TokenBuckets::new(&settings.peer_rate).unwrap();
    for peer in peers(settings.peer_rate.max_keys * 2) {
        buckets.try_take(&peer, now).ok();
    }
    let mut recovery = Recovery::new(settings.recovery.clone(), 1).unwrap();
    for peer in peers(settings.recovery.max_peers * 2) {
        recovery.on_refusal(&peer);
        let mut history = History::new();
        history.record(Attempt::new(peer, &FailureKind::Timeout, now));
        let _decision = recovery.on_failure(&history, &[peer], now);
    }
    Box::new((monitor, buckets, recovery))
}

/// As much work as is queued.
fn queue() -> Box<dyn Any> {
    let now = start();
    let mut scheduler = Scheduler::new(&Settings::default().scheduler, now).unwrap();
    while scheduler.push(0_u64, Priority::Normal, now, now).is_ok() {}
    Box::new(scheduler)
}

#[expect(clippy::disallowed_methods, reason = "where time begins does not matter")]
fn start() -> Instant {
    Instant::now()
}

/// A row of the table: its content, and its bytes, which are none where the chain decides.
struct Row {
    content: String,
    bytes: usize,
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn table() -> (Vec<Row>, String) {
    let text = fs::read_to_string(repository().join("docs/threat-model.md")).unwrap();
    let (_, section) = text.split_once("## Bounds of memory").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [content, _, _, bytes] = cells[..] else { panic!("{line}") };
        Row { content: content.to_owned(), bytes: bytes_of(bytes) }
    });
    (rows.collect(), section.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Bytes as the table writes them: `1 MiB + 0.5 MB`, `16 MB, 1 MB`.
fn bytes_of(text: &str) -> usize {
    if text.ends_with("a block") {
        return 0;
    }
    let part = |part: &str| {
        let (number, unit) = part.trim().split_once(' ').unwrap();
        let unit = BTreeMap::from([("MiB", 1_048_576.0), ("MB", 1e6), ("kB", 1e3)])[unit];
        number.parse::<f64>().unwrap() * unit
    };
    let sum: f64 = text.split(['+', ',']).map(part).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred megabytes")]
    let whole = sum as usize;
    whole
}

fn sum() -> usize {
    table().0.iter().map(|row| row.bytes).sum()
}

#[test]
fn each_row_of_the_table_is_filled_by_a_test() {
    let _alone = alone();
    let (rows, text) = table();
    for (row, (words, filled)) in rows.iter().zip(ROWS) {
        assert!(row.content.starts_with(words), "{:?} is not what is filled by {words:?}", row.content);
        match filled {
            Filled::ByNodes => {}
            Filled::By(fill) => {
                let before = allocated();
                let kept = fill();
                let filled = allocated().saturating_sub(before);
                drop(kept);
                assert!(filled <= row.bytes, "{}: {filled} bytes", row.content);
                assert!(filled > row.bytes / 10, "{}: {filled} bytes of {}", row.content, row.bytes);
            }
            Filled::In(file, name) => {
                let source = fs::read_to_string(repository().join(file)).unwrap();
                assert!(source.contains(&format!("fn {name}(")), "{}: no {name} in {file}", row.content);
            }
            Filled::UpTo(file, words) => {
                let source = fs::read_to_string(repository().join(file)).unwrap();
                assert!(source.contains(words), "{}: no {words} in {file}", row.content);
            }
        }
    }
    assert_eq!(rows.len(), ROWS.len(), "a row is not filled");
    let sum = sum() / 1_000_000;
    let said = format!("The bounds add up to about {} MB", (sum + 5) / 10 * 10);
    assert!(text.contains(&said), "{said:?} is not what the text says; it is {sum} MB");
}

#[test]
fn nodes_that_fill_all_there_is_room_for_do_not_fill_more() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(fill_all());
}

async fn fill_all() {
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
        for _ in 0..12_000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            most = most.max(allocated().saturating_sub(before));
        }
        cancel.cancel();
        most
    };
    let (followed, most) = tokio::join!(following, watching);
    followed.unwrap();
    assert!(most > FILLED, "{} MiB: nothing was filled", most / MIB);
    assert!(most < sum(), "{} MiB", most / MIB);
    let left = allocated().saturating_sub(before);
    assert!(left < FILLED, "{} MiB are left when all connections are gone", left / MIB);
}
