//! Every command that a text or a help shows, run as it is written.

mod collect;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use xshell::{Shell, cmd};

use crate::child::Child;
use crate::workspace;
use collect::Example;
use plan::{NETWORK, Plan};

pub(crate) fn run(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo build --locked -p qrsync").run()?;
    let qrsync = workspace::target_directory(sh)?.join("debug/qrsync");
    let mut examples = collect::from_texts(sh)?;
    examples.extend(collect::from_help(sh, &qrsync)?);
    ensure!(examples.iter().any(|example| example.command == NETWORK), "no text shows `{NETWORK}`");

    let bench = Workbench::set_up(sh, &qrsync)?;
    let (mut ran, mut left_out, mut failed) = (0, BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for Example { command, place } in &examples {
        match plan::of(command, &bench.placeholders) {
            Plan::Run { command: adapted, seconds } => {
                println!("{place}: {command}");
                match bench.run(sh, &adapted, seconds) {
                    Ok(()) => ran += 1,
                    Err(error) => failed.push(format!("{place}: `{command}`: {error:#}")),
                }
            }
            Plan::LeaveOut(reason) => {
                left_out.entry(reason).or_default().push(format!("{place}: {command}"));
            }
        }
    }
    for (reason, commands) in &left_out {
        println!("\nNOT RUN, {reason}:");
        commands.iter().for_each(|command| println!("  {command}"));
    }
    let skipped: usize = left_out.values().map(Vec::len).sum();
    println!("\n{ran} commands ran, {skipped} were not run, {} failed", failed.len());
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    verify_unit(sh, &qrsync)
}

/// Where commands run: a home directory of their own, with data from a simulated network.
struct Workbench {
    home: TempDir,
    environment: Vec<(String, String)>,
    /// What stands for a hash or a height in an example.
    placeholders: Vec<(&'static str, String)>,
    _network: Child,
    service: Option<Child>,
}

impl Workbench {
    fn set_up(sh: &Shell, qrsync: &Path) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let programs = home.path().join("bin");
        for directory in [&programs, &home.path().join(".local/share/bash-completion/completions")] {
            std::fs::create_dir_all(directory)?;
        }
        std::os::unix::fs::symlink(qrsync, programs.join("qrsync"))?;
        let mut network = Child::start(qrsync, NETWORK.split(' ').skip(1))?;
        let how_to_sync = network.line_that_starts_with("  qrsync sync ")?;
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut environment = vec![
            ("HOME".to_owned(), home.path().display().to_string()),
            ("PATH".to_owned(), path),
            ("QRSYNC_LOG_LEVEL".to_owned(), "warn".to_owned()),
        ];
        // What the flags say that `sync` needs: so it may be left out, as on the public network.
        let words: Vec<&str> = how_to_sync.split_whitespace().skip(2).collect();
        for pair in words.chunks_exact(2) {
            let key = match pair[0] {
                "--peer" => "peers".to_owned(),
                flag => flag.trim_start_matches("--").replace('-', "_"),
            };
            environment.push((format!("QRSYNC_{}", key.to_uppercase()), pair[1].to_owned()));
        }
        let mut bench =
            Self { home, environment, placeholders: Vec::new(), _network: network, service: None };
        bench.run(sh, "qrsync sync --from 1", PATIENCE_SECONDS)?;
        bench.start_service(sh)?;
        bench.placeholders = bench.find_placeholders(sh)?;
        bench.copy_recordings(sh)?;
        Ok(bench)
    }

    /// A service with data of its own, as [`plan::SERVICE_DIRECTORY`] and [`plan::SERVICE`] say.
    fn start_service(&mut self, sh: &Shell) -> Result<()> {
        let qrsync = self.home.path().join("bin/qrsync");
        let data = self.home.path().join(plan::SERVICE_DIRECTORY);
        let data = data.to_str().context("a path is text")?;
        let arguments = ["sync", "--follow", "--metrics-listen", plan::SERVICE, "--data-dir", data];
        self.service = Some(Child::start_with(&qrsync, arguments.into_iter(), &self.environment)?);
        let ready = format!("http://{}/ready", plan::SERVICE);
        let retry = ["--retry", "30", "--retry-delay", "1", "--retry-all-errors"];
        Ok(cmd!(sh, "curl --silent --fail {retry...} {ready}").quiet().ignore_stdout().run()?)
    }

    fn run(&self, sh: &Shell, command: &str, seconds: u32) -> Result<()> {
        let _inside = sh.push_dir(self.home.path());
        let limit = seconds.to_string();
        let mut command =
            cmd!(sh, "timeout --preserve-status --signal=INT {limit} sh -ec {command}").env_clear();
        for (name, value) in &self.environment {
            command = command.env(name, value);
        }
        Ok(command.quiet().ignore_stdout().run()?)
    }

    fn ask(&self, sh: &Shell, arguments: &[&str]) -> Result<Value> {
        let program = self.home.path().join("bin/qrsync");
        let mut command = cmd!(sh, "{program} {arguments...} --json").env_clear();
        for (name, value) in &self.environment {
            command = command.env(name, value);
        }
        Ok(serde_json::from_str(&command.quiet().read()?)?)
    }

    fn find_placeholders(&self, sh: &Shell) -> Result<Vec<(&'static str, String)>> {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a hash is text");
        let masternodes = self.ask(sh, &["masternodes"])?;
        let height = masternodes["height"].to_string();
        let quorums = self.ask(sh, &["quorums"])?;
        let quorums = quorums["quorums"].as_array().context("quorums are a list")?;
        let first = quorums.first().context("there are quorums")?;
        let of_platform = quorums.iter().find(|quorum| quorum["type"] == PLATFORM).unwrap_or(first);
        // The first quorum of a rotated type has the first block of its cycle as base.
        let rotated = quorums.iter().find(|quorum| quorum["index"] == 1).unwrap_or(first);
        let of_cycle = |quorum: &&Value| quorum["type"] == rotated["type"] && quorum["index"] == 0;
        let cycle = quorums.iter().find(of_cycle).unwrap_or(first);
        let (first_type, first_hash) = (first["type"].to_string(), text(&first["quorum_hash"])?);
        let lowest = self.ask(sh, &["status"])?["lowest_list"].to_string();
        let service = format!("http://{}/v1/chainlock", plan::SERVICE);
        let lock: Value = serde_json::from_str(&cmd!(sh, "curl --silent --fail {service}").quiet().read()?)?;
        Ok(vec![
            ("quorum 2 HASH", format!("quorum {first_type} {first_hash}")),
            ("quorum llmq_400_60 HASH", format!("quorum {first_type} {first_hash}")),
            ("quorums/llmq_400_60/HASH", format!("quorums/{first_type}/{first_hash}")),
            ("--type llmq_400_60", format!("--type {first_type}")),
            ("chainlock HEX", format!("chainlock {}", message_of(&lock)?)),
            ("2240216", lowest),
            ("--quorum-hash HASH", format!("--quorum-hash {}", text(&of_platform["quorum_hash"])?)),
            ("--cycle-hash HASH", format!("--cycle-hash {}", text(&cycle["quorum_hash"])?)),
            ("PROTXHASH", text(&masternodes["masternodes"][0]["pro_tx_hash"])?),
            ("--request-id ID", format!("--request-id {}", "07".repeat(32))),
            ("2240504", height),
            ("2200000", "1".to_owned()),
            ("/var/lib/qrsync", self.home.path().join(".local/share/qrsync/regtest").display().to_string()),
        ])
    }

    /// The files that `decode` is shown with, from recorded answers where there are any.
    fn copy_recordings(&self, sh: &Shell) -> Result<()> {
        let recorded: PathBuf = sh.current_dir().join("../shared/data/mainnet-2240504");
        for (from, to) in [("qrinfo.bin", "qrinfo.bin"), ("mnlistdiff_0_2227096.bin", "diff.bin")] {
            if sh.path_exists(recorded.join(from)) {
                sh.copy_file(recorded.join(from), self.home.path().join(to))?;
            }
        }
        Ok(())
    }
}

/// The payload of the `clsig` message of a lock, in hexadecimal.
fn message_of(lock: &Value) -> Result<String> {
    let height: u32 = lock["height"].as_u64().context("a lock has a height")?.try_into()?;
    let hash = lock["block_hash"].as_str().context("a lock has a block")?;
    let mut bytes: Vec<&[u8]> = hash.as_bytes().chunks(2).collect();
    bytes.reverse();
    let hash = String::from_utf8(bytes.concat())?;
    let signature = lock["signature"].as_str().context("a lock has a signature")?;
    Ok(format!("{:08x}{hash}{signature}", height.swap_bytes()))
}

/// The unit file as it would be installed, with the binary that was built.
fn verify_unit(sh: &Shell, qrsync: &Path) -> Result<()> {
    if cmd!(sh, "systemd-analyze --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        println!("NOT RUN, there is no systemd here: systemd-analyze verify packaging/qrsync.service");
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let unit = directory.path().join("qrsync.service");
    let text = sh.read_file("packaging/qrsync.service")?;
    sh.write_file(&unit, text.replace("/usr/local/bin/qrsync", &qrsync.display().to_string()))?;
    Ok(cmd!(sh, "systemd-analyze verify --man=no {unit}").run()?)
}

/// Platform's type of quorum in a small generated world.
const PLATFORM: u8 = 106;

/// The longest that a command may take.
const PATIENCE_SECONDS: u32 = 180;
