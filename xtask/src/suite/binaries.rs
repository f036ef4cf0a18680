use std::cmp::Reverse;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::outcome::End;
use super::{Choice, now};

/// What `cargo test` runs, but for the documentation's examples: a library's, a program's or a file's tests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestBinary {
    /// Package, and where that does not say it, target.
    pub(super) name: String,
    program: PathBuf,
    /// Folder of the package, in which its tests run.
    folder: PathBuf,
}

/// Builds all tests of the workspace. The largest programs come first: they run longest, and should not begin last.
pub(crate) fn build(sh: &Shell) -> Result<Vec<TestBinary>> {
    let build = "--no-run --message-format json-render-diagnostics";
    let build = build.split(' ');
    let messages = cmd!(sh, "cargo test --locked --workspace --tests {build...}").read()?;
    let mut binaries = parse(&messages)?;
    ensure!(!binaries.is_empty(), "cargo built no tests");
    binaries.sort_by_cached_key(|binary| Reverse(fs::metadata(&binary.program).map_or(0, |file| file.len())));
    Ok(binaries)
}

/// Reads cargo's messages, one JSON object each line.
fn parse(messages: &str) -> Result<Vec<TestBinary>> {
    let mut binaries = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).with_context(|| format!("cargo said {line}"))?;
        let is_test = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
        let Some(program) = message["executable"].as_str().filter(|_| is_test) else { continue };
        let manifest = Path::new(message["manifest_path"].as_str().context("no manifest_path")?);
        let folder = manifest.parent().context("a manifest lies in a folder")?.to_path_buf();
        let package = package_name(message["package_id"].as_str().context("no package_id")?);
        let target = message["target"]["name"].as_str().context("no name of the target")?;
        let kind = message["target"]["kind"][0].as_str().context("no kind of target")?;
        let name = match kind {
            "lib" => package.to_owned(),
            "test" => format!("{package}-{target}"),
            _ => format!("{package}-{kind}-{target}"),
        };
        binaries.push(TestBinary { name, program: program.into(), folder });
    }
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(binaries)
}

/// `path+file:///w/crates/a#0.1.0` or, where the folder has another name, `path+file:///w/b#a@0.1.0`.
fn package_name(id: &str) -> &str {
    let (url, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, _)) => name,
        None => url.rsplit('/').next().unwrap_or(url),
    }
}

impl TestBinary {
    /// Runs its tests as cargo would, all of them whatever fails, and writes what they print to `log`, also what tests
    /// print that pass.
    pub(super) fn run(&self, choice: &Choice<'_>, log: &Path, patience: Duration) -> Result<End> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let process = Command::new(&self.program)
            .arg("--show-output")
            .args(choice.only)
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            // The last words of a failed test are its message, and no frames.
            .env("RUST_BACKTRACE", "0")
            .envs(choice.seed.map(|seed| ("PROPTEST_RNG_SEED", seed.to_string())))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        wait(process, patience)
    }
}

#[expect(clippy::disallowed_methods, reason = "another process ends in real time")]
fn wait(mut process: Child, patience: Duration) -> Result<End> {
    let deadline = now() + patience;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(if status.success() { End::Passed } else { End::Failed(status.to_string()) });
        }
        if now() > deadline {
            process.kill()?;
            process.wait()?;
            return Ok(End::Hung(patience));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_binaries_are_found_among_what_cargo_built() {
        let artifact = |id: &str, kind: &str, target: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason": "compiler-artifact", "package_id": "{id}", "manifest_path": "/w/b/Cargo.toml",
                    "target": {{"kind": ["{kind}"], "name": "{target}"}}, "profile": {{"test": {test}}},
                    "executable": {executable}}}"#
            )
            .replace('\n', " ")
        };
        let messages = [
            artifact("path+file:///w/b#a@0.1.0", "test", "it", true, r#""/t/it-1""#),
            artifact("path+file:///w/b#0.1.0", "lib", "b", true, r#""/t/b-1""#),
            artifact("path+file:///w/b#0.1.0", "bin", "b", true, r#""/t/b-2""#),
            artifact("path+file:///w/b#0.1.0", "bin", "b", false, r#""/t/b""#),
            artifact("registry+https://x#c@1.0.0", "lib", "c", false, "null"),
            r#"{"reason": "build-finished", "success": true}"#.to_owned(),
        ];
        let binaries = parse(&messages.join("\n")).unwrap();
        let names: Vec<&str> = binaries.iter().map(|binary| binary.name.as_str()).collect();
        assert_eq!(names, ["a-it", "b", "b-bin-b"]);
        assert_eq!(binaries[1].program, Path::new("/t/b-1"));
        assert_eq!(binaries[1].folder, Path::new("/w/b"));
        parse("warning: no JSON").unwrap_err();
    }
}
