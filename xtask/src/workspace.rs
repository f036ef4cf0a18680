//! What cargo knows about the workspace.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

/// The crates that must be usable alone, by anybody, without Dash.
pub(crate) const MECHANISM_CRATES: [&str; 5] =
    ["spv-correlation", "spv-executor", "spv-netmon", "spv-recovery", "spv-scheduler"];

/// A crate of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Path of its Cargo.toml from the root of the workspace.
    pub(crate) manifest: String,
    pub(crate) has_description: bool,
    pub(crate) has_license: bool,
    /// Names of all direct dependencies, those for tests and build scripts included.
    pub(crate) dependencies: Vec<String>,
    pub(crate) examples: Vec<String>,
}

pub(crate) fn packages(sh: &Shell) -> Result<Vec<Package>> {
    let json = cmd!(sh, "cargo metadata --locked --no-deps --format-version 1").quiet().read()?;
    parse(&json).context("cargo metadata printed something unexpected")
}

fn parse(json: &str) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(json)?;
    let root = Path::new(metadata["workspace_root"].as_str().context("no workspace_root")?);
    array(&metadata["packages"]).map(|package| parse_package(package, root)).collect()
}

fn parse_package(package: &Value, root: &Path) -> Result<Package> {
    let manifest = Path::new(package["manifest_path"].as_str().context("no manifest_path")?);
    let examples = array(&package["targets"]).filter(|target| target["kind"][0] == "example");
    Ok(Package {
        name: package["name"].as_str().context("no name")?.to_owned(),
        manifest: manifest.strip_prefix(root)?.to_string_lossy().replace('\\', "/"),
        has_description: package["description"].is_string(),
        has_license: package["license"].is_string() || package["license_file"].is_string(),
        dependencies: names(array(&package["dependencies"])),
        examples: names(examples),
    })
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn names<'a>(items: impl Iterator<Item = &'a Value>) -> Vec<String> {
    items.filter_map(|item| item["name"].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_every_kind_are_seen_under_their_real_name() {
        let packages = parse(
            r#"{"workspace_root": "/w", "packages": [{
                "name": "a", "manifest_path": "/w/crates/a/Cargo.toml", "description": null, "license": "MIT",
                "dependencies": [{"name": "x", "kind": null, "rename": "y"}, {"name": "z", "kind": "dev"}],
                "targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["example"], "name": "shown"}]
            }]}"#,
        )
        .unwrap();
        let [a] = &packages[..] else { panic!("{packages:?}") };
        assert_eq!((a.name.as_str(), a.manifest.as_str()), ("a", "crates/a/Cargo.toml"));
        assert_eq!((a.has_description, a.has_license), (false, true));
        assert_eq!(
            (&a.dependencies[..], &a.examples[..]),
            (&["x".into(), "z".into()][..], &["shown".into()][..])
        );
    }
}
