//! What is handed to somebody without a Rust toolchain: an archive for every processor, one that is quicker on newer ones,
//! and their checksums.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::workspace;

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let target = Target::best(sh)?;
    let version = workspace::version(sh)?;
    let output = workspace::target_directory(sh)?.join("dist");
    sh.remove_path(&output)?;
    let mut archives = Vec::new();
    // What is written by the binary is the same for all; only this one is sure to run here.
    let portable = build(sh, &target, &Processor::ANY)?;
    for processor in Processor::worth_a_build(&target.triple) {
        let binary =
            if processor.suffix.is_empty() { portable.clone() } else { build(sh, &target, &processor)? };
        let name = format!("qrsync-{version}-{}{}", target.triple, processor.suffix);
        fill(sh, &output.join(&name), &binary, &portable)?;
        pack(sh, &output, &name)?;
        archives.push(format!("{name}.tar.gz"));
    }
    let _inside = sh.push_dir(&output);
    let sums = cmd!(sh, "sha256sum").args(&archives).read()?;
    sh.write_file("SHA256SUMS", sums + "\n")?;
    for archive in archives {
        println!("{}", output.join(archive).display());
    }
    Ok(())
}

/// Which processors a binary is for.
struct Processor {
    /// What the name of its archive ends with.
    suffix: &'static str,
    flags: &'static [&'static str],
}

impl Processor {
    const ANY: Self = Self { suffix: "", flags: &[] };

    /// Hashes of block headers take half the time with AES of the processor (Intel Broadwell, AMD Zen, or newer).
    const NEWER_X86_64: Self =
        Self { suffix: "-v3", flags: &["-Ctarget-cpu=x86-64-v3", "-Ctarget-feature=+aes"] };

    fn worth_a_build(triple: &str) -> Vec<Self> {
        let mut processors = vec![Self::ANY];
        if triple.starts_with("x86_64-") {
            processors.push(Self::NEWER_X86_64);
        }
        processors
    }
}

struct Target {
    triple: String,
    is_hosts: bool,
}

impl Target {
    /// A static binary runs on every Linux; it can be built where the target is installed.
    fn best(sh: &Shell) -> Result<Self> {
        let version = cmd!(sh, "rustc --version --verbose").quiet().read()?;
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc has no host")?;
        let sysroot = PathBuf::from(cmd!(sh, "rustc --print sysroot").quiet().read()?);
        if sysroot.join("lib/rustlib").join(STATIC).is_dir() {
            return Ok(Self { triple: STATIC.to_owned(), is_hosts: false });
        }
        eprintln!("note: target {STATIC} is not installed (`rustup target add {STATIC}`),");
        eprintln!("      so this binary for {host} needs the C library of a system like this one, or newer");
        Ok(Self { triple: host.to_owned(), is_hosts: true })
    }
}

fn build(sh: &Shell, target: &Target, processor: &Processor) -> Result<PathBuf> {
    // Where the sources lie on this machine is nobody's business, and would make every build another one.
    let root = sh.current_dir();
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
    let mut flags = vec![
        format!("--remap-path-prefix={}=qrsync", root.display()),
        format!("--remap-path-prefix={home}=cargo"),
    ];
    flags.extend(processor.flags.iter().map(|&flag| flag.to_owned()));
    let _flags = sh.push_env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let triple = &target.triple;
    // With a target named, the flags are not for what runs while it builds: that has to run here.
    let is_here = target.is_hosts && processor.flags.is_empty();
    let selection = if is_here { Vec::new() } else { vec!["--target", triple] };
    cmd!(sh, "cargo build --locked --release -p qrsync {selection...}").run()?;
    let built = workspace::target_directory(sh)?;
    let built = if is_here { built } else { built.join(triple) };
    // The next build may write to the same place.
    let kept = built.join(format!("release/qrsync{}", processor.suffix));
    if !processor.suffix.is_empty() {
        sh.copy_file(built.join("release/qrsync"), &kept)?;
    }
    Ok(kept)
}

/// `runs` is a binary of the same sources that runs on this machine.
fn fill(sh: &Shell, content: &Path, binary: &Path, runs: &Path) -> Result<()> {
    sh.create_dir(content)?;
    sh.copy_file(binary, content.join("qrsync"))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        sh.copy_file(file, content.join(file))?;
    }
    let completions = content.join("completions");
    sh.create_dir(&completions)?;
    for (shell, file) in [("bash", "qrsync.bash"), ("zsh", "_qrsync"), ("fish", "qrsync.fish")] {
        let script = cmd!(sh, "{runs} completions {shell}").read()?;
        sh.write_file(completions.join(file), script + "\n")?;
    }
    // A binary from before there were man pages can be packed as well.
    if cmd!(sh, "{runs} man --help").quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        let pages = content.join("man");
        sh.create_dir(&pages)?;
        cmd!(sh, "{runs} man {pages}").run()?;
    } else {
        eprintln!("note: this qrsync writes no man pages");
    }
    Ok(())
}

/// The same bytes for the same content: sorted, without owners, dated like the commit, without the time of packing.
fn pack(sh: &Shell, output: &Path, name: &str) -> Result<()> {
    let date = cmd!(sh, "git log -1 --format=%ct").read()?;
    let _inside = sh.push_dir(output);
    let archive = format!("{name}.tar");
    cmd!(sh, "tar --create --file {archive} --sort=name --mtime=@{date} --owner=0 --group=0 --numeric-owner --mode=go-w --format=ustar {name}")
        .run()?;
    Ok(cmd!(sh, "gzip --no-name --best --force {archive}").run()?)
}

const STATIC: &str = "x86_64-unknown-linux-musl";
