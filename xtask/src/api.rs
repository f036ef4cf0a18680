//! The API of a real service, which follows a simulated network, before a schema-driven fuzzer and under load.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use tempfile::TempDir;
use xshell::{Shell, cmd};

use crate::child::Child;
use crate::workspace;

#[derive(Subcommand)]
pub(crate) enum Args {
    /// Run Schemathesis, which is installed from PyPI below the target directory, against the description of the API
    Fuzz {
        /// For how long, in seconds
        #[arg(long, default_value_t = 600)]
        seconds: u32,
        /// Seed of the fuzzer
        #[arg(long, default_value_t = 1)]
        seed: u32,
    },
    /// Ask 1,000 times a second with wrk, while blocks come and 1,000 clients connect and say nothing
    Load {
        /// For how long, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

pub(crate) fn run(sh: &Shell, args: &Args) -> Result<()> {
    match args {
        Args::Fuzz { seconds, seed } => fuzz(sh, *seconds, *seed),
        Args::Load { seconds } => load(sh, *seconds),
    }
}

/// One half of the time with names that the fuzzer invents, the other with some that there are.
fn fuzz(sh: &Shell, seconds: u32, seed: u32) -> Result<()> {
    let target = workspace::target_directory(sh)?;
    let schemathesis = schemathesis(sh, &target)?;
    let service = Service::start(sh)?;
    let url = format!("http://{}/v1/openapi.json", service.address);
    let usual = sh.read_file("xtask/schemathesis.toml")?;
    let config = service.directory.path().join("schemathesis.toml");
    let before = service.memory()?;
    for names in [String::new(), service.existing_names()?] {
        fs::write(&config, format!("{usual}{names}"))?;
        let (time, seed) = ((seconds / 2).max(1).to_string(), seed.to_string());
        // Events never end, and the fuzzer waits for the end of an answer.
        // It writes its cache where it runs.
        let _inside = sh.push_dir(service.directory.path());
        let limits = ["--max-time", &time, "--seed", &seed, "--exclude-path", "/v1/events"];
        cmd!(sh, "{schemathesis} --config-file {config} run {url} {limits...} --continue-on-failure")
            .run()?;
    }
    ensure!(service.ask("/health")?.0 == 200, "the service is no longer healthy");
    println!("memory: {before} KiB before, {} KiB after", service.memory()?);
    Ok(())
}

/// The path of Schemathesis, which is installed if it is not there.
fn schemathesis(sh: &Shell, target: &Path) -> Result<PathBuf> {
    let environment = target.join("schemathesis");
    let program = environment.join("bin/schemathesis");
    if !program.is_file() {
        cmd!(sh, "python3 -m venv {environment}").run().context("Python 3 with venv is needed")?;
        let pip = environment.join("bin/pip");
        cmd!(sh, "{pip} install --quiet schemathesis=={SCHEMATHESIS}").run()?;
    }
    Ok(program)
}

fn load(sh: &Shell, seconds: u32) -> Result<()> {
    cmd!(sh, "wrk --version")
        .quiet()
        .ignore_status()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .context("wrk is needed; on Debian `apt-get install wrk` brings it")?;
    let service = Service::start(sh)?;
    let script = service.directory.path().join("load.lua");
    fs::write(&script, service.lua()?)?;
    let (before, height) = (service.memory()?, service.tip()?);
    let (url, time) = (format!("http://{}", service.address), format!("{seconds}s"));
    let silent = (0..1_000).filter_map(|_| TcpStream::connect(service.address).ok()).collect::<Vec<_>>();
    let asked = now();
    ensure!(service.ask("/health")?.0 == 200, "the service is not healthy");
    println!("/health beside {} half-open connections: {:?}", silent.len(), asked.elapsed());
    drop(silent);
    let report =
        cmd!(sh, "wrk --threads 1 --connections 20 --duration {time} --latency --script {script} {url}")
            .read()?;
    println!("{report}");
    let (after, reached) = (service.memory()?, service.tip()?);
    println!("memory: {before} KiB before, {after} KiB after; tip: {height} before, {reached} after");
    let state = service.ask("/ready")?;
    ensure!(state.0 == 200, "the service is no longer ready: {}", state.1);
    Ok(())
}

/// A service that follows nodes of its own; ends with this value.
struct Service {
    _nodes: Child,
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Service {
    fn start(sh: &Shell) -> Result<Self> {
        cmd!(sh, "cargo build --locked --release -p qrsync").run()?;
        let qrsync = workspace::target_directory(sh)?.join("release/qrsync");
        let directory = tempfile::tempdir()?;
        let world = "generated:masternodes=200,cycles=40,seed=7";
        let simnet = format!("simnet --world {world} --peers 3 --start-height 700 --block-interval 5");
        let mut nodes = Child::start(&qrsync, simnet.split(' '))?;
        let how_to_sync = nodes.line_that_starts_with("  qrsync sync ")?;
        let address = free_address()?;
        let (listen, data) = (address.to_string(), directory.path().join("data").display().to_string());
        let more = ["--follow", "--platform-api", "--metrics-listen", &listen, "--data-dir", &data];
        let process = Child::start(&qrsync, how_to_sync.split_whitespace().skip(1).chain(more))?;
        let service = Self { _nodes: nodes, process, address, directory };
        for _ in 0..PATIENCE_SECONDS * 10 {
            if service.ask("/ready").is_ok_and(|(status, _)| status == 200) {
                return Ok(service);
            }
            pause();
        }
        anyhow::bail!("the service is not ready within {PATIENCE_SECONDS} s")
    }

    /// Status and body.
    fn ask(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
        let status = head.split(' ').nth(1).context("a head has a status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    fn json(&self, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.ask(path)?.1)?)
    }

    fn tip(&self) -> Result<u64> {
        self.json("/v1/status")?["tip"]["height"].as_u64().context("there is a tip")
    }

    /// Resident, in KiB.
    fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("memory is known")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// A part of the fuzzer's configuration with names of what there is.
    fn existing_names(&self) -> Result<String> {
        let (quorums, list) = (self.json("/v1/quorums")?, self.json("/v1/masternodes")?);
        let (platform, status) = (self.json("/quorums")?, self.json("/v1/status")?);
        let (quorum, kind) = (&quorums["quorums"][0]["quorum_hash"], &quorums["quorums"][0]["type"]);
        let (masternode, lowest) = (&list["masternodes"][0]["pro_tx_hash"], &status["lowest_list"]);
        let parts = [
            (
                "/v1/quorums/{type}/{quorum_hash}",
                format!("\"path.type\" = {kind}, \"path.quorum_hash\" = {quorum}"),
            ),
            (
                "/quorums/{quorum_hash}",
                format!("\"path.quorum_hash\" = {}", platform["data"][0]["quorum_hash"]),
            ),
            ("/v1/masternodes/{pro_tx_hash}", format!("\"path.pro_tx_hash\" = {masternode}")),
            ("/v1/masternodes/diff", format!("\"query.from\" = {lowest}")),
        ];
        let part = |(path, names): &(&str, String)| {
            format!("\n[[operations]]\ninclude-name = \"GET {path}\"\nparameters = {{ {names} }}\n")
        };
        Ok(parts.iter().map(part).collect())
    }

    /// What wrk sends: a mix of what wallets ask, at 1,000 a second together.
    fn lua(&self) -> Result<String> {
        let quorums = self.json("/v1/quorums")?;
        let list = self.json("/v1/masternodes")?;
        let name = |list: &serde_json::Value, pointer: &str| {
            list.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        let quorum = name(&quorums, "/quorums/0/quorum_hash");
        let kind = quorums["quorums"][0]["type"].to_string();
        let masternode = name(&list, "/masternodes/0/pro_tx_hash");
        let paths = [
            format!("/v1/quorums/{kind}/{quorum}"),
            "/v1/quorums".to_owned(),
            format!("/v1/masternodes/{masternode}"),
            "/v1/masternodes?evo=true".to_owned(),
            "/v1/status".to_owned(),
            "/v1/chainlock".to_owned(),
            "/quorums".to_owned(),
            "/previous".to_owned(),
            "/health".to_owned(),
            "/status".to_owned(),
        ];
        let paths = paths.map(|path| format!("\"{path}\"")).join(", ");
        // Each of 20 connections waits 20 ms between an answer and the next request.
        Ok(format!(
            "local paths = {{ {paths} }}\nlocal i = 0\nfunction delay() return 19 end\n\
             function request() i = i % #paths + 1; return wrk.format(\"GET\", paths[i]) end\n"
        ))
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes take real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "other processes take real time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// An address that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on the loopback interface")?;
    Ok(listener.local_addr()?)
}

const PATIENCE_SECONDS: u32 = 120;
const SCHEMATHESIS: &str = "4.32.5";
