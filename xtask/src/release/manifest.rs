//! The root manifest, which holds the version of all crates.

/// The manifest with `version` as that of the workspace and of every dependency within it.
pub(super) fn with_version(manifest: &str, version: &str) -> String {
    let mut in_package = false;
    let mut result = String::with_capacity(manifest.len());
    for line in manifest.split_inclusive('\n') {
        if line.starts_with('[') {
            in_package = line.trim_end() == "[workspace.package]";
        }
        let is_ours = in_package && line.starts_with("version = ") || line.contains("{ path = ");
        result += &if is_ours { replaced(line, version) } else { line.to_owned() };
    }
    result
}

fn replaced(line: &str, version: &str) -> String {
    let replaced = || {
        let (before, rest) = line.split_once("version = \"")?;
        let (_, after) = rest.split_once('"')?;
        Some(format!("{before}version = \"{version}\"{after}"))
    };
    replaced().unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_our_versions_change_and_no_other() {
        let manifest = "[workspace.package]\nversion = \"0.1.0\"\nrust-version = \"1.90\"\n[workspace.dependencies]\n\
                        a = { path = \"crates/a\", version = \"0.1.0\", features = [\"x\"] }\nb = { version = \"0.1.0\" }\n";
        let expected = "[workspace.package]\nversion = \"0.2.0\"\nrust-version = \"1.90\"\n[workspace.dependencies]\n\
                        a = { path = \"crates/a\", version = \"0.2.0\", features = [\"x\"] }\nb = { version = \"0.1.0\" }\n";
        assert_eq!(with_version(manifest, "0.2.0"), expected);
    }
}
