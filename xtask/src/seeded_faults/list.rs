use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Where the faults are listed.
pub(crate) const LIST: &str = "xtask/seeded-faults.toml";

/// Where they are described.
pub(crate) const DOCUMENT: &str = "docs/seeded-faults.md";

/// A fault to be put into the code on purpose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) name: String,
    /// What would go wrong.
    pub(crate) why: String,
    /// Path from the root of the workspace.
    pub(crate) file: String,
    /// Occurs in the file exactly once.
    pub(crate) find: String,
    pub(crate) replace: String,
    /// Whose test must notice.
    pub(crate) package: String,
    /// `lib`, or the name of an integration test.
    pub(crate) target: String,
    /// Full name of the test.
    pub(crate) test: String,
}

#[derive(Deserialize)]
struct List {
    fault: Vec<Fault>,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Fault>> {
    let list: List = toml::from_str(text).with_context(|| format!("{LIST} is malformed"))?;
    Ok(list.fault)
}

impl Fault {
    /// The crate that has the fault.
    pub(crate) fn krate(&self) -> &str {
        let mut parts = self.file.split('/');
        match (parts.next(), parts.next()) {
            (Some("crates"), Some(name)) => name,
            (Some(name), _) => name,
            _ => &self.file,
        }
    }

    /// Name of the test without its modules.
    pub(crate) fn test_fn(&self) -> &str {
        self.test.rsplit("::").next().unwrap_or(&self.test)
    }
}

/// The whole of [`DOCUMENT`].
pub(crate) fn table(faults: &[Fault]) -> String {
    let mut text = "# Seeded faults\n\n\
        A test that cannot fail proves nothing. `cargo xtask seeded-faults` puts each of these faults into a copy of the\n\
        sources, one at a time, and sees that the test named beside it fails; before that, that it passes. The exact\n\
        changes are in [the list](../xtask/seeded-faults.toml), from which this page is written by\n\
        `cargo xtask seeded-faults --document`.\n\n\
        | Fault | In | What would go wrong | Caught by |\n|---|---|---|---|\n"
        .to_owned();
    for fault in faults {
        // Writing to a string cannot fail.
        writeln!(
            text,
            "| {} | `{}` | {} | `{}` of `{}` |",
            fault.name,
            fault.krate(),
            fault.why,
            fault.test_fn(),
            fault.package
        )
        .ok();
    }
    text
}
