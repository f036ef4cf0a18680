//! Rules about the crates: who may depend on whom, and what every manifest says.

use super::{Finding, TextFile};
use crate::workspace::{MECHANISM_CRATES, Package};

pub(super) fn check(packages: &[Package], files: &[TextFile]) -> Vec<Finding> {
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let manifest = files.iter().find(|file| file.path == package.manifest);
        let manifest = manifest.map_or("", |file| file.text.as_str());
        let readme = package.manifest.replace("Cargo.toml", "README.md");
        let has_readme = files.iter().any(|file| file.path == readme);
        findings.extend(forbidden_dependencies(package, &ours, manifest));
        findings.extend(always_built(package, manifest));
        findings.extend(for_programs_only(package, manifest));
        findings.extend(incomplete_manifest(package, has_readme, manifest));
    }
    findings
}

fn forbidden_dependencies(package: &Package, ours: &[&str], manifest: &str) -> Vec<Finding> {
    if !MECHANISM_CRATES.contains(&package.name.as_str()) {
        return Vec::new();
    }
    let forbidden = |name: &str| {
        ours.contains(&name) || name == "dashcore" || name == "dash" || name.starts_with("dash-")
    };
    // A crate names itself where its tests want its features.
    let others = package.dependencies.iter().filter(|name| **name != package.name);
    let dependencies = others.filter(|name| forbidden(name));
    let violation = |name: &String| {
        let message = format!("{} depends on {name}, be generic over what it brings", package.name);
        Finding::violation(&package.manifest, line_of(manifest, name), message)
    };
    dependencies.map(violation).collect()
}

/// What a user of a mechanism crate may not want is a feature, off by default and named alike in all of them.
fn always_built(package: &Package, manifest: &str) -> Vec<Finding> {
    if !MECHANISM_CRATES.contains(&package.name.as_str()) {
        return Vec::new();
    }
    let built = package.inherited.iter().filter(|name| OPTIONAL.contains(&name.as_str()));
    let violation = |name: &String| {
        let message = format!("{} always builds {name}, make it optional and a feature", package.name);
        Finding::violation(&package.manifest, line_of(manifest, name), message)
    };
    let mut findings: Vec<_> = built.map(violation).collect();
    let lacks = ["metrics", "serde"].into_iter().any(|name| !package.features.iter().any(|own| own == name));
    if lacks || package.features.iter().any(|feature| feature == "default") {
        let message = format!("{} has not the features metrics and serde, off by default", package.name);
        findings.push(Finding::violation(&package.manifest, 1, message));
    }
    findings
}

/// Whoever uses a library of ours builds no command line, exporter, HTTP server or simulator.
fn for_programs_only(package: &Package, manifest: &str) -> Vec<Finding> {
    if !package.is_published_library() {
        return Vec::new();
    }
    let found = package.inherited.iter().filter(|name| FOR_PROGRAMS.contains(&name.as_str()));
    let violation = |name: &String| {
        let message = format!("{} is a library and depends on {name}, which is for programs", package.name);
        Finding::violation(&package.manifest, line_of(manifest, name), message)
    };
    found.map(violation).collect()
}

fn incomplete_manifest(package: &Package, has_readme: bool, manifest: &str) -> Vec<Finding> {
    let rules = [
        (inherits(manifest, "lints"), "does not inherit the lints, add [lints] with workspace = true"),
        (inherits(manifest, "rust-version"), "has its own Rust version, add rust-version.workspace = true"),
        (package.has_description, "has no description, add one"),
        (package.has_license, "has no licence, add license.workspace = true"),
        (has_readme, "has no README.md, write one"),
        (
            !package.is_published || manifest.contains("\nkeywords = "),
            "is published and has no keywords, add them",
        ),
        (
            !package.is_published || manifest.contains("\n[package.metadata.docs.rs]"),
            "is published and does not say what docs.rs shows, add [package.metadata.docs.rs]",
        ),
        (
            !package.is_published_library() || !package.examples.is_empty(),
            "is published and has no example, add one to its examples/",
        ),
    ];
    let broken = rules.into_iter().filter(|(kept, _)| !kept);
    broken
        .map(|(_, what)| Finding::violation(&package.manifest, 1, format!("{} {what}", package.name)))
        .collect()
}

/// Whether a manifest takes `key` from the workspace, in any of the three ways to write that.
fn inherits(manifest: &str, key: &str) -> bool {
    let table = format!("[{key}]");
    let mut in_table = false;
    for line in manifest.lines() {
        let line: String = line.split_whitespace().collect();
        if line.starts_with('[') {
            in_table = line == table;
        }
        let entry = if in_table { Some(line.as_str()) } else { line.strip_prefix(key) };
        if matches!(entry, Some("workspace=true" | ".workspace=true" | "={workspace=true}")) {
            return true;
        }
    }
    false
}

fn line_of(manifest: &str, key: &str) -> usize {
    let is_key = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    manifest.lines().position(is_key).map_or(1, |index| index + 1)
}

/// What the mechanism crates build with a feature alone.
const OPTIONAL: [&str; 3] = ["humantime-serde", "metrics", "serde"];

const FOR_PROGRAMS: [&str; 11] = [
    "anyhow",
    "clap",
    "clap_complete",
    "clap_mangen",
    "hyper",
    "hyper-util",
    "indicatif",
    "metrics-exporter-prometheus",
    "sd-notify",
    "spv-simnet",
    "tracing-subscriber",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            has_description: true,
            has_license: true,
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            ..Package::default()
        }
    }

    const GOOD: &str = "[package]\nrust-version.workspace = true\n\n[lints]\nworkspace = true\n";

    #[test]
    fn mechanism_crates_depend_on_nothing_of_ours_and_nothing_of_dash() {
        let manifest = "[dependencies]\ntokio = \"1\"\n[dev-dependencies]\ndash-types.workspace = true\n";
        let allowed = package("spv-executor", &["tokio", "dashmap"]);
        assert_eq!(forbidden_dependencies(&allowed, &["spv-netmon"], manifest), []);

        let caught = package("spv-executor", &["tokio", "dash-types", "dashcore", "spv-netmon"]);
        let found: Vec<_> = forbidden_dependencies(&caught, &["spv-netmon"], manifest)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found.len(), 3);
        assert_eq!(
            found[0],
            "crates/spv-executor/Cargo.toml:4: spv-executor depends on dash-types, be generic over what it brings"
        );

        let free = package("spv-masternodes", &["dashcore"]);
        assert_eq!(forbidden_dependencies(&free, &["dashcore"], manifest), []);
    }

    #[test]
    fn mechanism_crates_build_metrics_and_serde_with_a_feature_alone() {
        let features = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let good = Package { features: features(&["metrics", "serde"]), ..package("spv-netmon", &[]) };
        assert_eq!(always_built(&good, ""), []);
        let always = Package { inherited: features(&["serde", "tokio"]), ..good };
        let found: Vec<_> =
            always_built(&always, "\nserde.workspace = true").iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "crates/spv-netmon/Cargo.toml:2: spv-netmon always builds serde, make it optional and a feature"
            ]
        );
        for others in [&["serde"][..], &["default", "metrics", "serde"]] {
            let other = Package { features: features(others), ..package("spv-netmon", &[]) };
            assert_eq!(always_built(&other, "").len(), 1, "{others:?}");
        }
        assert_eq!(always_built(&package("spv-masternodes", &[]), ""), []);
    }

    #[test]
    fn libraries_do_not_depend_on_what_is_for_programs() {
        let manifest = "[dependencies]\ntokio = \"1\"\nclap.workspace = true\n";
        let inherited = ["clap", "tokio"].map(str::to_owned).to_vec();
        let library =
            Package { is_published: true, has_library: true, inherited, ..package("a", &["anyhow"]) };
        let found: Vec<_> = for_programs_only(&library, manifest).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["crates/a/Cargo.toml:3: a is a library and depends on clap, which is for programs"]
        );

        let program = Package { has_library: false, ..library };
        assert_eq!(for_programs_only(&program, manifest), []);
    }

    #[test]
    fn inheritance_is_recognised_in_every_spelling() {
        for (manifest, inherited) in [
            ("[lints]\nworkspace = true", true),
            ("lints.workspace = true", true),
            ("lints = { workspace = true }", true),
            ("[dependencies.x]\nworkspace = true", false),
            ("[lints.rust]\nunsafe_code = \"deny\"", false),
        ] {
            assert_eq!(inherits(manifest, "lints"), inherited, "{manifest}");
        }
    }

    #[test]
    fn a_manifest_lacking_something_is_told_what() {
        let whole = [file("crates/a/Cargo.toml", GOOD), file("crates/a/README.md", "# a")];
        assert_eq!(check(&[package("a", &[])], &whole), []);

        let bare = Package {
            name: "a".to_owned(),
            manifest: "crates/a/Cargo.toml".to_owned(),
            ..Package::default()
        };
        assert_eq!(check(&[bare], &[file("crates/a/Cargo.toml", "[package]")]).len(), 5);
    }

    #[test]
    fn what_is_published_is_made_for_strangers() {
        let published = Package { is_published: true, has_library: true, ..package("a", &[]) };
        assert_eq!(incomplete_manifest(&published, true, GOOD).len(), 3);
        let program = Package { is_published: true, ..package("a", &[]) };
        assert_eq!(incomplete_manifest(&program, true, GOOD).len(), 2);
        let complete =
            GOOD.to_owned() + "\nkeywords = [\"x\"]\n[package.metadata.docs.rs]\nall-features = true\n";
        let shown = Package { examples: vec!["shown".into()], ..published };
        assert_eq!(incomplete_manifest(&shown, true, &complete), []);
        assert_eq!(incomplete_manifest(&package("a", &[]), true, GOOD), []);
    }
}
