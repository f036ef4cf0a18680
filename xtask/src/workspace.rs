//! What cargo knows about the workspace.

use std::path::{Path, PathBuf};

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
    /// Those of them that whoever uses the crate has to build.
    pub(crate) inherited: Vec<String>,
    /// Whether other crates can use it; otherwise it is a program.
    pub(crate) has_library: bool,
    pub(crate) examples: Vec<String>,
    /// Its library and its programs.
    pub(crate) crates: Vec<Crate>,
    pub(crate) version: String,
    pub(crate) features: Vec<String>,
    /// Whether it may go to a registry.
    pub(crate) is_published: bool,
    /// Direct dependencies that a registry would not accept: from git, or by a path alone. Those for tests may be.
    pub(crate) unpublishable: Vec<String>,
}

impl Package {
    /// Whether strangers may depend on it.
    pub(crate) fn is_published_library(&self) -> bool {
        self.is_published && self.has_library
    }
}

/// A library or program of a package.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Crate {
    /// That of the package, if this is its library.
    pub(crate) name: String,
    /// Path of its lib.rs or main.rs from the root of the workspace.
    pub(crate) root: String,
}

pub(crate) fn packages(sh: &Shell) -> Result<Vec<Package>> {
    let json = cmd!(sh, "cargo metadata --locked --no-deps --format-version 1").quiet().read()?;
    parse(&json).context("cargo metadata printed something unexpected")
}

/// Where cargo builds.
pub(crate) fn target_directory(sh: &Shell) -> Result<PathBuf> {
    let json = cmd!(sh, "cargo metadata --locked --no-deps --format-version 1").quiet().read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    Ok(metadata["target_directory"].as_str().context("no target_directory")?.into())
}

/// All crates have one version.
pub(crate) fn version(sh: &Shell) -> Result<String> {
    let packages = packages(sh)?;
    packages
        .into_iter()
        .find(|package| package.is_published)
        .map(|package| package.version)
        .context("no crate is published")
}

fn parse(json: &str) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(json)?;
    let root = Path::new(metadata["workspace_root"].as_str().context("no workspace_root")?);
    array(&metadata["packages"]).map(|package| parse_package(package, root)).collect()
}

fn parse_package(package: &Value, root: &Path) -> Result<Package> {
    let name = package["name"].as_str().context("no name")?.to_owned();
    let manifest = package["manifest_path"].as_str().context("no manifest_path")?;
    let targets_of = |kind: &'static str| {
        array(&package["targets"]).filter(move |target| array(&target["kind"]).any(|of| of == kind))
    };
    Ok(Package {
        crates: array(&package["targets"])
            .filter_map(|target| parse_crate(target, &name, root).transpose())
            .collect::<Result<_>>()?,
        name,
        manifest: inside(root, manifest)?,
        has_description: package["description"].is_string(),
        has_license: package["license"].is_string() || package["license_file"].is_string(),
        dependencies: names(array(&package["dependencies"])),
        inherited: names(
            array(&package["dependencies"])
                .filter(|dependency| dependency["kind"] != "dev" && dependency["optional"] != true),
        ),
        has_library: targets_of("lib").next().is_some(),
        examples: names(targets_of("example")),
        version: package["version"].as_str().context("no version")?.to_owned(),
        features: package["features"]
            .as_object()
            .into_iter()
            .flat_map(|features| features.keys().cloned())
            .collect(),
        is_published: package["publish"].is_null(),
        unpublishable: names(
            array(&package["dependencies"]).filter(|dependency| is_unpublishable(dependency)),
        ),
    })
}

/// None for an example, a test and a benchmark.
fn parse_crate(target: &Value, package: &str, root: &Path) -> Result<Option<Crate>> {
    let name = match target["kind"][0].as_str() {
        Some("lib") => package,
        Some("bin") => target["name"].as_str().context("no name")?,
        _ => return Ok(None),
    };
    let source = target["src_path"].as_str().context("no src_path")?;
    Ok(Some(Crate { name: name.to_owned(), root: inside(root, source)? }))
}

fn inside(root: &Path, path: &str) -> Result<String> {
    Ok(Path::new(path).strip_prefix(root)?.to_string_lossy().replace('\\', "/"))
}

fn is_unpublishable(dependency: &Value) -> bool {
    let from_git = dependency["source"].as_str().is_some_and(|source| source.starts_with("git+"));
    let path_alone = dependency["path"].is_string() && dependency["req"] == "*";
    dependency["kind"] != "dev" && (from_git || path_alone)
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
                "version": "1.2.3", "publish": null, "features": {"cli": [], "default": []},
                "dependencies": [{"name": "x", "kind": null, "rename": "y", "req": "^1"}, {"name": "z", "kind": "dev"}],
                "targets": [
                    {"kind": ["lib"], "name": "a", "src_path": "/w/crates/a/src/lib.rs"},
                    {"kind": ["example"], "name": "shown", "src_path": "/w/crates/a/examples/shown.rs"},
                    {"kind": ["bin"], "name": "tool", "src_path": "/w/crates/a/src/bin/tool.rs"}
                ]
            }, {
                "name": "b", "manifest_path": "/w/crates/b/Cargo.toml", "version": "1.2.3",
                "targets": [
                    {"kind": ["bin"], "name": "b", "src_path": "/w/crates/b/src/main.rs"},
                    {"kind": ["test"], "name": "lib", "src_path": "/w/crates/b/tests/lib.rs"}
                ]
            }]}"#,
        )
        .unwrap();
        let [a, b] = &packages[..] else { panic!("{packages:?}") };
        assert_eq!((a.name.as_str(), a.manifest.as_str()), ("a", "crates/a/Cargo.toml"));
        assert_eq!((a.version.as_str(), a.is_published), ("1.2.3", true));
        let roots: Vec<_> = a.crates.iter().map(|one| (one.name.as_str(), one.root.as_str())).collect();
        assert_eq!(roots, [("a", "crates/a/src/lib.rs"), ("tool", "crates/a/src/bin/tool.rs")]);
        assert_eq!(a.features, ["cli", "default"]);
        assert_eq!((a.has_library, b.has_library), (true, false));
        assert_eq!((a.has_description, a.has_license), (false, true));
        assert_eq!(
            (&a.dependencies[..], &a.inherited[..], &a.examples[..]),
            (&["x".into(), "z".into()][..], &["x".into()][..], &["shown".into()][..])
        );
    }

    #[test]
    fn a_registry_wants_versions_and_no_git() {
        for (dependency, found) in [
            (r#"{"source": "registry+x", "req": "^1", "kind": null, "path": null}"#, false),
            (r#"{"source": null, "req": "^0.1", "kind": null, "path": "/w/crates/b"}"#, false),
            (r#"{"source": null, "req": "*", "kind": null, "path": "/w/crates/b"}"#, true),
            (r#"{"source": null, "req": "*", "kind": "dev", "path": "/w/crates/b"}"#, false),
            (r#"{"source": "git+https://x", "req": "*", "kind": "build", "path": null}"#, true),
        ] {
            assert_eq!(is_unpublishable(&serde_json::from_str(dependency).unwrap()), found, "{dependency}");
        }
    }
}
