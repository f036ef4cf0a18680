//! What is handed to somebody without a Rust toolchain: one archive, and its checksum.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::workspace;

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let target = Target::best(sh)?;
    let binary = build(sh, &target)?;
    let version = workspace::version(sh)?;
    let name = format!("qrsync-{version}-{}", target.triple);
    let output = workspace::target_directory(sh)?.join("dist");
    sh.remove_path(&output)?;
    let content = output.join(&name);
    fill(sh, &content, &binary)?;
    pack(sh, &output, &name)?;
    let _inside = sh.push_dir(&output);
    let archive = format!("{name}.tar.gz");
    let sums = cmd!(sh, "sha256sum {archive}").read()?;
    sh.write_file("SHA256SUMS", sums + "\n")?;
    println!("{}", output.join(archive).display());
    Ok(())
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

fn build(sh: &Shell, target: &Target) -> Result<PathBuf> {
    // Where the sources lie on this machine is nobody's business, and would make every build another one.
    let root = sh.current_dir();
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
    let flags =
        format!("--remap-path-prefix={}=qrsync\u{1f}--remap-path-prefix={home}=cargo", root.display());
    let _flags = sh.push_env("CARGO_ENCODED_RUSTFLAGS", flags);
    let _strip = sh.push_env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    let _debug = sh.push_env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    let triple = &target.triple;
    let selection = if target.is_hosts { Vec::new() } else { vec!["--target", triple] };
    cmd!(sh, "cargo build --locked --release -p qrsync {selection...}").run()?;
    let built = workspace::target_directory(sh)?;
    let built = if target.is_hosts { built } else { built.join(triple) };
    Ok(built.join("release/qrsync"))
}

fn fill(sh: &Shell, content: &Path, binary: &Path) -> Result<()> {
    sh.create_dir(content)?;
    sh.copy_file(binary, content.join("qrsync"))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        sh.copy_file(file, content.join(file))?;
    }
    let completions = content.join("completions");
    sh.create_dir(&completions)?;
    for (shell, file) in [("bash", "qrsync.bash"), ("zsh", "_qrsync"), ("fish", "qrsync.fish")] {
        let script = cmd!(sh, "{binary} completions {shell}").read()?;
        sh.write_file(completions.join(file), script + "\n")?;
    }
    // A binary from before there were man pages can be packed as well.
    if cmd!(sh, "{binary} man --help").quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        let pages = content.join("man");
        sh.create_dir(&pages)?;
        cmd!(sh, "{binary} man {pages}").run()?;
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
