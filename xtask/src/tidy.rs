//! The repository's own rules, for which there is no lint.

mod alerts;
mod crates;
pub(crate) mod dashboards;
mod finding;
mod interface;
mod layers;
mod mentions;
mod metric_names;
mod seeded_faults;
mod sources;
mod texts;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

use crate::{configuration, seeded_faults as faults, workspace};
use finding::Finding;
use interface::Interface;

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let root = sh.current_dir();
    let mut files = Vec::new();
    read(&root, "", &mut files)?;

    let packages = workspace::packages(sh)?;
    let mut findings = crates::check(&packages, &files);
    let list = fs::read_to_string(root.join(faults::LIST))
        .with_context(|| format!("cannot read {}", faults::LIST))?;
    findings.extend(seeded_faults::check(&faults::parse(&list)?, &packages, &files));
    let floors = fs::read_to_string(root.join(layers::LAYERS))
        .with_context(|| format!("cannot read {}", layers::LAYERS))?;
    findings.extend(layers::check(&layers::parse(&floors)?, &packages, &files));
    findings.extend(alerts::check(&files));
    let sources = files.iter().map(|file| (file.path.as_str(), file.text.as_str()));
    if configuration::meanings(sources)? != fs::read_to_string(root.join(configuration::MEANINGS))? {
        let what = "is not what the types say, run `cargo xtask configuration`";
        findings.push(Finding::violation(configuration::MEANINGS, 1, what));
    }
    findings.extend(dashboards::check(&files));
    findings.extend(metric_names::check(&files));
    let interface = Interface::read(&files);
    for file in &files {
        findings.extend(mentions::check(file, &interface));
        findings.extend(sources::check(file));
        findings.extend(texts::check(file, |path| root.join(path).exists()));
    }

    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let violations = findings.iter().filter(|finding| finding.is_violation()).count();
    ensure!(violations == 0, "{violations} violations of the repository's rules");
    Ok(())
}

/// A file that rules look into: source, manifest or text.
struct TextFile {
    /// From the root of the workspace, with slashes.
    path: String,
    text: String,
}

impl TextFile {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

fn read(root: &Path, folder: &str, files: &mut Vec<TextFile>) -> Result<()> {
    let here = root.join(folder);
    for entry in fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.starts_with('.') {
                read(root, &path, files)?;
            }
        } else if is_read(&path, &name) {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("{path} is no readable text"))?;
            files.push(TextFile { path, text });
        }
    }
    Ok(())
}

fn is_read(path: &str, name: &str) -> bool {
    let watches = path.starts_with("observability/") && (name.ends_with(".yml") || name.ends_with(".json"));
    name.ends_with(".rs") || name.ends_with(".md") || name == "Cargo.toml" || watches
}

#[cfg(test)]
fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned() }
}
