use std::path::Path;

use super::*;

fn plan(version: &str, previous: Option<&str>) -> Plan {
    let parse = |text: &str| text.parse().unwrap();
    Plan { version: parse(version), previous: previous.map(parse) }
}

/// This repository's last commit, on a branch `main`, to be broken.
struct Clone {
    sh: Shell,
    _directory: tempfile::TempDir,
}

impl Clone {
    fn new() -> Self {
        let sh = Shell::new().unwrap();
        sh.change_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let (origin, path) = (sh.current_dir(), directory.path());
        cmd!(sh, "git clone --quiet {origin} {path}").quiet().run().unwrap();
        sh.change_dir(path);
        cmd!(sh, "git checkout --quiet -B main").quiet().run().unwrap();
        let clone = Self { sh, _directory: directory };
        clone.set_checkpoints(1);
        clone
    }

    /// Gives both tables a newest checkpoint that is so many days old, whatever they say at the moment.
    fn set_checkpoints(&self, days: u64) {
        let now: u64 = cmd!(self.sh, "date +%s").quiet().read().unwrap().parse().unwrap();
        let time = u32::try_from(now - days * 24 * 60 * 60).unwrap().swap_bytes();
        for network in ["main", "test"] {
            let header = format!("{}{time:08x}{}", "00".repeat(68), "00".repeat(8));
            let line = format!("4000000,{},{header},ffffffffffffffffffffffff,\n", "00".repeat(32));
            let path = checkpoints::table(network);
            let table = self.sh.read_file(&path).unwrap();
            let rows = table.lines().filter(|row| !row.starts_with("4000000,")).map(|row| format!("{row}\n"));
            self.sh.write_file(path, rows.collect::<String>() + &line).unwrap();
        }
    }

    /// With a changelog that announces something, as a commit.
    fn with_news() -> Self {
        let clone = Self::new();
        let sh = &clone.sh;
        sh.write_file("CHANGELOG.md", NEWS).unwrap();
        cmd!(sh, "git config user.name a").run().unwrap();
        cmd!(sh, "git config user.email b").run().unwrap();
        cmd!(sh, "git commit --quiet --all --message x").run().unwrap();
        clone
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let text = self.sh.read_file(file).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        self.sh.write_file(file, text.replacen(from, to, 1)).unwrap();
    }

    fn reasons(&self, version: &str) -> Vec<String> {
        let plan = Plan::new(&self.sh, version).unwrap();
        plan.check(&self.sh).unwrap().iter().map(|error| format!("{error:#}")).collect()
    }
}

/// A changelog that has something to release, whatever this repository's says at the moment.
const NEWS: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n";

#[test]
fn every_broken_precondition_is_named() {
    let clone = Clone::new();
    let sh = &clone.sh;
    let commit = || {
        cmd!(sh, "git -c user.name=a -c user.email=b commit --quiet --all --allow-empty --message x")
            .run()
            .unwrap()
    };
    sh.write_file("CHANGELOG.md", NEWS).unwrap();
    commit();
    let current = workspace::version(sh).unwrap();
    for tag in cmd!(sh, "git tag").quiet().read().unwrap().lines() {
        cmd!(sh, "git tag --delete {tag}").quiet().ignore_stdout().run().unwrap();
    }
    assert_eq!(clone.reasons(&current), [""; 0]);

    let reasons = clone.reasons("0.0.1");
    assert!(matches!(&reasons[..], [one] if one.contains("0.0.1 is below")), "{reasons:?}");

    sh.write_file("new", "").unwrap();
    let reasons = clone.reasons(&current);
    assert!(matches!(&reasons[..], [one] if one.contains("not committed:\n?? new")), "{reasons:?}");
    sh.remove_path("new").unwrap();

    cmd!(sh, "git checkout --quiet -b other").run().unwrap();
    let reasons = clone.reasons(&current);
    assert!(matches!(&reasons[..], [one] if one.contains("not main but `other`")), "{reasons:?}");
    cmd!(sh, "git checkout --quiet main").run().unwrap();

    clone.replace("CHANGELOG.md", "- A thing.\n", "");
    clone.replace("deny.toml", "    \"MIT\",\n", "");
    let versioned = format!("crates/spv-netmon\", version = \"{current}\"");
    clone.replace("Cargo.toml", &versioned, "crates/spv-netmon\"");
    clone.set_checkpoints(61);
    commit();
    let reasons = clone.reasons(&current);
    let [news, path, licences, old] = &reasons[..] else { panic!("{reasons:?}") };
    assert!(news.contains("no entries under [Unreleased]"), "{news}");
    assert!(path.contains("spv-integration on spv-netmon"), "{path}");
    // Who of the two has looked depends on what is installed.
    assert!(
        old.contains("main is 61 days old, that of test is 61") && old.contains("xtask checkpoints"),
        "{old}"
    );
    assert!(licences.contains("tokio is under MIT") || licences.contains("cargo-deny objects"), "{licences}");

    assert!(Plan::new(sh, "v1").is_err());
}

#[test]
fn checkpoints_of_a_release_are_recent_and_whole() {
    let clone = Clone::new();
    for (days, will_do) in [(0, true), (60, true), (61, false)] {
        clone.set_checkpoints(days);
        assert_eq!(recent_checkpoints(&clone.sh).is_ok(), will_do, "{days} days");
    }
    clone.set_checkpoints(1);
    let path = checkpoints::table("main");
    let table = clone.sh.read_file(&path).unwrap();
    let by_hash_alone = format!("5000000,{},,~ffffffffffffffffffffffffff,\n", "00".repeat(32));
    clone.sh.write_file(path, table + &by_hash_alone).unwrap();
    let refused = recent_checkpoints(&clone.sh).unwrap_err().to_string();
    assert!(refused.contains("main is known by its hash alone"), "{refused}");
}

#[test]
fn a_release_follows_the_one_before() {
    let current = plan("0.1.0", None).version;
    assert!(plan("0.1.0", None).follows(current).is_ok());
    assert!(plan("0.1.1", Some("0.1.0")).follows(current).is_ok());
    for version in ["0.1.0", "0.3.0", "0.0.9"] {
        let error = plan(version, Some("0.1.0")).follows(current).unwrap_err().to_string();
        assert!(error.contains("does not follow 0.1.0"), "{error}");
    }
}

#[test]
fn what_the_changelog_announces_fits_the_version() {
    let removed = NEWS.replace("Added", "Removed");
    assert!(plan("0.1.1", Some("0.1.0")).fits(NEWS).is_ok());
    assert!(plan("0.2.0", Some("0.1.0")).fits(&removed).is_ok());
    let error = plan("0.1.1", Some("0.1.0")).fits(&removed).unwrap_err().to_string();
    assert!(error.contains("breaks"), "{error}");
    let error = plan("1.0.1", Some("1.0.0")).fits(NEWS).unwrap_err().to_string();
    assert!(error.contains("something new"), "{error}");
}

#[test]
fn a_release_is_one_commit_and_its_tag() {
    let clone = Clone::with_news();
    let sh = &clone.sh;
    let before = cmd!(sh, "git rev-parse HEAD").quiet().read().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan("7.0.0", None);

    crate::release::make(sh, &plan, scratch.path()).unwrap();
    assert_eq!(cmd!(sh, "git rev-parse HEAD").quiet().read().unwrap(), before);
    crate::release::take_over(sh, scratch.path(), &plan.tag()).unwrap();

    assert_eq!(cmd!(sh, "git rev-parse HEAD~1").quiet().read().unwrap(), before);
    assert_eq!(cmd!(sh, "git describe").quiet().read().unwrap(), "v7.0.0");
    assert_eq!(cmd!(sh, "git status --porcelain").quiet().read().unwrap(), "");
    assert!(workspace::packages(sh).unwrap().iter().all(|package| package.version == "7.0.0"));
    assert!(sh.read_file("CHANGELOG.md").unwrap().contains("## [Unreleased]\n\n## [7.0.0] - 2"));
    let message = cmd!(sh, "git tag --list --format=%(contents) v7.0.0").quiet().read().unwrap();
    assert_eq!(message.trim_end(), "v7.0.0\n\n### Added\n\n- A thing.");
}

/// Takes as long as building everything: `cargo test -p xtask -- --ignored`.
#[test]
#[ignore = "packages and builds every crate"]
fn a_rehearsal_packages_every_crate_and_leaves_nothing_behind() {
    let clone = Clone::with_news();
    let sh = &clone.sh;
    let before = cmd!(sh, "git rev-parse HEAD").read().unwrap();
    // The gate is a matter of its own.
    ci::remember_that_it_passed(sh).unwrap();

    let version = workspace::version(sh).unwrap();
    crate::release::run(sh, &version, true).unwrap();

    assert_eq!(cmd!(sh, "git rev-parse HEAD").read().unwrap(), before);
    assert_eq!(cmd!(sh, "git status --porcelain").read().unwrap(), "");
    assert_eq!(cmd!(sh, "git tag --list v{version}").read().unwrap(), "");
    let output = workspace::target_directory(sh).unwrap().join(format!("release-{version}"));
    let sums = sh.read_file(output.join("SHA256SUMS")).unwrap();
    assert_eq!(
        sums.lines().count(),
        workspace::packages(sh).unwrap().iter().filter(|package| package.is_published).count()
    );
}
