//! The live page of a real qrsync in a real browser.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::child::Child;
use crate::workspace;

/// Looks at the page during a sync, at the tip, and without peers; one peer lies. Checks what it shows, and leaves pictures
/// of each in both colour schemes, for a telephone and for a screen.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let browser = Browser::find(sh)?;
    cmd!(sh, "cargo build --locked -p qrsync").run()?;
    let target = workspace::target_directory(sh)?;
    let qrsync = target.join("debug/qrsync");
    let directory = tempfile::tempdir()?;

    // Slow enough to be looked at.
    let world = "generated:masternodes=60,cycles=40,seed=7";
    let simnet = format!("simnet --world {world} --peers 4 --rtt 50 --service-time 5000 --faults 3:forge=1");
    let mut nodes = Child::start(&qrsync, simnet.split(' '))?;
    let how_to_sync = nodes.line_that_starts_with("  qrsync sync ")?;
    let peers = how_to_sync.split(' ').next_back().context("peers come last")?.split(',');

    let address = free_address()?;
    let (listen, data) = (address.to_string(), directory.path().join("data").display().to_string());
    let more = ["--follow", "--metrics-listen", &listen, "--data-dir", &data];
    let _client = Child::start(&qrsync, how_to_sync.split_whitespace().skip(1).chain(more))?;

    wait_for(address, "/status", "\"phase\":\"lists\"")?;
    let busy = browser.visit(sh, address, &target, "busy")?;
    ensure!(busy.contains(">not ready<"), "the page does not say that the sync is under way: {busy}");
    wait_for(address, "/ready", "ready\n")?;
    let done = browser.visit(sh, address, &target, "tip")?;
    let shown = [">ready<", ">synced<", ">following<", ">regtest, version ", " ready – qrsync</title>"];
    for expected in shown.into_iter().chain(peers) {
        ensure!(done.contains(expected), "the page at the tip does not show {expected:?}: {done}");
    }
    let first = done.split("<tr").nth(2).unwrap_or_default();
    ensure!(first.contains("bad-peer") && first.contains("wrong answer"), "the liar is not first: {done}");

    drop(nodes);
    wait_for(address, "/status", "Connection refused")?;
    let alone = browser.visit(sh, address, &target, "no-peers")?;
    ensure!(alone.contains(">no usable peer<") && !alone.contains(">ready<"), "it seems well: {alone}");
    Ok(())
}

struct Browser {
    program: PathBuf,
    options: Vec<&'static str>,
}

impl Browser {
    fn find(sh: &Shell) -> Result<Self> {
        let directories: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let programs = ["chromium", "chromium-browser", "google-chrome"];
        let mut found = programs.iter().flat_map(|name| directories.iter().map(move |path| path.join(name)));
        let program = found
            .find(|path| path.is_file())
            .context("there is no Chromium; on Debian `apt-get install chromium` brings it")?;
        let mut options = vec!["--headless", "--disable-gpu", "--hide-scrollbars"];
        if cmd!(sh, "id -u").quiet().read()? == "0" {
            // Its sandbox refuses to be root's, as in a container.
            options.push("--no-sandbox");
        }
        Ok(Self { program, options })
    }

    /// What the page has become after its script has run for a while; pictures of it go below the target directory.
    fn visit(&self, sh: &Shell, address: SocketAddr, target: &Path, name: &str) -> Result<String> {
        let Self { program, options } = self;
        let page = format!("http://{address}/");
        let budget = "--virtual-time-budget=2500";
        // Before the pictures, which take a while.
        let content =
            cmd!(sh, "{program} {options...} {budget} --dump-dom {page}").quiet().ignore_stderr().read()?;
        for ((scheme, number), size) in
            SCHEMES.into_iter().flat_map(|scheme| SIZES.map(|size| (scheme, size)))
        {
            let width = size.split(',').next().unwrap_or_default();
            let picture = target.join(format!("page-{name}-{width}-{scheme}.png"));
            let more = [
                format!("--screenshot={}", picture.display()),
                format!("--window-size={size}"),
                format!("--blink-settings=preferredColorScheme={number}"),
            ];
            cmd!(sh, "{program} {options...} {budget} {more...} {page}").quiet().ignore_stderr().run()?;
            println!("{}", picture.display());
        }
        Ok(content)
    }
}

fn wait_for(address: SocketAddr, path: &str, text: &str) -> Result<()> {
    for _ in 0..PATIENCE_SECONDS * 10 {
        if get(address, path).is_ok_and(|answer| answer.contains(text)) {
            return Ok(());
        }
        pause();
    }
    anyhow::bail!("{path} does not answer {text:?} within {PATIENCE_SECONDS} s")
}

fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer)
}

#[expect(clippy::disallowed_methods, reason = "other processes take real time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// One that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on the loopback interface")?;
    Ok(listener.local_addr()?)
}

/// Colour schemes, with their numbers in Chromium.
const SCHEMES: [(&str, u8); 2] = [("dark", 0), ("light", 1)];

/// Of the window, in CSS pixels: a telephone's width and a screen's.
const SIZES: [&str; 2] = ["400,2400", "1280,1300"];

const PATIENCE_SECONDS: u32 = 240;
