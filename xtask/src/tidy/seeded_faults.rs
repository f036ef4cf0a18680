//! The rules that keep the list of seeded faults true.

use std::collections::BTreeSet;

use super::{Finding, TextFile};
use crate::seeded_faults::{DOCUMENT, Fault, LIST, table};
use crate::workspace::Package;

pub(super) fn check(faults: &[Fault], packages: &[Package], files: &[TextFile]) -> Vec<Finding> {
    let mut names = BTreeSet::new();
    let mut findings: Vec<Finding> = faults
        .iter()
        .filter_map(|fault| {
            let message = if names.insert(&fault.name) {
                wrong(fault, packages, files)?
            } else {
                "its name is taken, choose another".to_owned()
            };
            Some(Finding::violation(LIST, 1, format!("{}: {message}", fault.name)))
        })
        .collect();
    let document = files.iter().find(|file| file.path == DOCUMENT);
    if document.is_none_or(|file| file.text != table(faults)) {
        let message = "not what the list says, run `cargo xtask seeded-faults --document`".to_owned();
        findings.push(Finding::violation(DOCUMENT, 1, message));
    }
    findings
}

fn wrong(fault: &Fault, packages: &[Package], files: &[TextFile]) -> Option<String> {
    let times = files
        .iter()
        .find(|file| file.path == fault.file)
        .map_or(0, |file| file.text.matches(&fault.find).count());
    if times != 1 {
        return Some(format!("its text occurs {times} times in {}, not once", fault.file));
    }
    let manifest =
        packages.iter().find(|package| package.name == fault.package).map(|package| &package.manifest);
    let Some(folder) = manifest.and_then(|manifest| manifest.strip_suffix("Cargo.toml")) else {
        return Some(format!("there is no package {}", fault.package));
    };
    let [function, generated] = [format!("fn {}(", fault.test_fn()), format!("{}: \"", fault.test_fn())];
    let has_test = |file: &TextFile| {
        file.path.starts_with(folder) && (file.text.contains(&function) || file.text.contains(&generated))
    };
    (!files.iter().any(has_test)).then(|| format!("{} has no test {}", fault.package, fault.test_fn()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded_faults::parse;
    use crate::tidy::file;

    const LISTED: &str = "[[fault]]\nname = \"f\"\nwhy = \"w\"\nfile = \"crates/a/src/lib.rs\"\nfind = \"x\"\n\
                          replace = \"y\"\npackage = \"a\"\ntarget = \"lib\"\ntest = \"tests::t\"\n";

    fn found(code: &str) -> Vec<String> {
        let faults = parse(LISTED).unwrap();
        let package =
            Package { name: "a".into(), manifest: "crates/a/Cargo.toml".into(), ..Package::default() };
        let files = [file("crates/a/src/lib.rs", code), file(DOCUMENT, &table(&faults))];
        check(&faults, &[package], &files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_fault_needs_its_text_once_and_its_test() {
        assert_eq!(found("x; fn t() {}"), [""; 0]);
        assert!(found("x x fn t() {}")[0].contains("2 times"));
        assert!(found("fn t() {}")[0].contains("0 times"));
        assert!(found("x fn tt() {}")[0].contains("no test t"));
    }

    #[test]
    fn names_are_unique_and_the_page_is_up_to_date() {
        let faults = parse(&LISTED.repeat(2)).unwrap();
        let package =
            Package { name: "a".into(), manifest: "crates/a/Cargo.toml".into(), ..Package::default() };
        let files = [file("crates/a/src/lib.rs", "x fn t() {}"), file(DOCUMENT, "")];
        let found: Vec<_> = check(&faults, &[package], &files).iter().map(ToString::to_string).collect();
        assert!(found[0].contains("name is taken") && found[1].contains("--document"), "{found:?}");
    }
}
