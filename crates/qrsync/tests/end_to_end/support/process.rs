use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use spv_integration::{Config, Settings};
use tokio::net::TcpSocket;
use tokio::sync::watch;

/// The longest that anything outside of this process may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The binary, untouched by the environment of whoever runs the tests.
pub(crate) fn qrsync() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qrsync"));
    // Lines at level info, which are on by default, say when what happened: another thing each time.
    let quiet = [("QRSYNC_LOG_LEVEL", "warn"), ("HOME", "/nonexistent")];
    command.env_clear().envs(quiet).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
#[track_caller]
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Finished {
    Running::start(qrsync().args(args)).finish()
}

/// A run of the binary that has ended.
pub(crate) struct Finished(pub(crate) Output);

impl Finished {
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    /// Asserts that it ended well and said nothing on stderr.
    #[track_caller]
    pub(crate) fn ok(&self) -> &str {
        assert_eq!((self.code(), self.stderr()), (Some(0), ""), "{}", self.stdout());
        self.stdout()
    }

    /// The one object that was printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = self.ok();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(text).unwrap()
    }

    /// Asserts that it ended with this code, said why in one line that has all these words, and printed no result.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        let error = self.stderr();
        assert_eq!(self.code(), Some(code), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("error: "), "{error}");
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
        assert_eq!(self.stdout(), "");
    }

    /// Asserts that it ended as wrong usage, which the command-line parser explains in its own way.
    #[track_caller]
    pub(crate) fn is_usage_error(&self, words: &[&str]) {
        assert_eq!(self.code(), Some(2), "{}", self.stderr());
        for word in words {
            assert!(self.stderr().contains(word), "{word:?} is not in: {}", self.stderr());
        }
        assert_eq!(self.stdout(), "");
    }
}

/// A run of the binary that goes on; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// SIGKILL: the process has no say in it. Returns whether it was still running.
    pub(crate) fn kill(mut self) -> bool {
        let running = self.0.try_wait().unwrap().is_none();
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        running
    }

    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Sends a signal by its name with a dash.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// What it printed, once it has ended.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        // Read while it runs: it would wait for a reader when its pipes are full.
        let stdout = self.0.stdout.take().map(read_to_end);
        let stderr = self.0.stderr.take().map(read_to_end);
        wait_until("the process ends", || self.has_ended());
        let status = self.0.wait().unwrap();
        let read = |reader: Option<JoinHandle<Vec<u8>>>| {
            reader.map_or_else(Vec::new, |reader| reader.join().unwrap())
        };
        Finished(Output { status, stdout: read(stdout), stderr: read(stderr) })
    }
}

fn read_to_end(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone, mostly.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Looks until something outside of this process has happened.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "no process obeys this one's paused time")]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// `qrsync sync --json` of a generated world from these peers, whole, into this directory.
pub(crate) fn sync_command(peers: &[SocketAddr], data_dir: &Path) -> Command {
    let mut command = qrsync();
    command.args(["sync", "--network", "regtest", "--llmq-params", "100=4:4,104=4:4,106=4:4"]);
    command.args(["--activation", "dip3=2,v20=100,mn_rr=100", "--from", "1", "--json"]);
    for peer in peers {
        command.args(["--peer", &peer.to_string()]);
    }
    command.arg("--data-dir").arg(data_dir);
    command
}

/// A configuration file with these settings.
pub(crate) fn write_config(path: &Path, settings: Settings) {
    let config = Config { sync: settings, ..Config::default() };
    std::fs::write(path, toml::to_string(&config).unwrap()).unwrap();
}

/// An address at which nobody listens, unless it is given to somebody to listen at: it stays taken from all who ask the
/// system for any free port.
pub(crate) fn closed_port() -> SocketAddr {
    static TAKEN: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    // Whoever sets the same, as listeners do, may listen there beside a socket that does not.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    TAKEN.lock().unwrap().push(socket);
    address
}

/// Stands before a node: whoever connects reaches it once the gate is open.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(crate) async fn before(node: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(false));
        let (count, opened) = (connections.clone(), open.subscribe());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut opened = opened.clone();
                tokio::spawn(async move {
                    // Whoever gives up meanwhile, or the test's end, ends this too.
                    opened.wait_for(|open| *open).await.ok()?;
                    let mut node = tokio::net::TcpStream::connect(node).await.ok()?;
                    tokio::io::copy_bidirectional(&mut client, &mut node).await.ok()
                });
            }
        });
        Self { address, connections, open }
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

/// The body of `GET /metrics`; `None` while nobody serves it.
pub(crate) fn scrape(address: SocketAddr) -> Option<String> {
    let response = Response::to(address, &get("/metrics"))?;
    assert_eq!(response.status, 200, "{}", response.head);
    Some(response.body)
}

/// The head of a request for this path.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// The answer to these bytes; `None` while nobody serves any.
    pub(crate) fn to(address: SocketAddr, request: &str) -> Option<Self> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_lowercase(), body: body.to_owned() })
    }
}
