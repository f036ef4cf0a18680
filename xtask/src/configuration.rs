//! The meaning of every configuration key, taken from the documentation of the types that are the configuration.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use syn::{Attribute, Expr, Fields, Item, ItemStruct, Lit, Meta, Type};
use xshell::Shell;

/// Where they are kept: the program prints them, and its reference is made from them.
pub(crate) const MEANINGS: &str = "crates/qrsync/src/config/meanings.json";

/// The files in which the types stand, by the path that a field names them with.
const SOURCES: [(&str, &str); 7] = [
    ("", "integration/src/config/"),
    ("spv_executor", "crates/spv-executor/src/config.rs"),
    ("spv_scheduler", "crates/spv-scheduler/src/"),
    ("spv_recovery", "crates/spv-recovery/src/"),
    ("spv_correlation", "crates/spv-correlation/src/config.rs"),
    ("spv_netmon", "crates/spv-netmon/src/config.rs"),
    ("flags", "crates/qrsync/src/config/flags.rs"),
];

/// Writes them anew.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let read = |path: &Path| sh.read_file(path).with_context(|| format!("cannot read {}", path.display()));
    let mut texts = Vec::new();
    for (_, source) in SOURCES {
        let path = Path::new(source);
        let files = if source.ends_with('/') { sh.read_dir(path)? } else { vec![path.to_owned()] };
        for file in files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
            let name = file.strip_prefix(sh.current_dir()).unwrap_or(&file).display().to_string();
            texts.push((name, read(&file)?));
        }
    }
    let meanings = meanings(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())))?;
    Ok(sh.write_file(MEANINGS, meanings)?)
}

/// A key, or a section if it ends with a dot.
#[derive(Debug, Serialize)]
struct Entry {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<String>,
    meaning: String,
}

/// The file's content, from the sources that are among these files.
pub(crate) fn meanings<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Result<String> {
    let mut structs = BTreeMap::new();
    let mut flags = BTreeMap::new();
    for (path, text) in files {
        let Some((home, _)) = SOURCES.iter().find(|(_, source)| is_of(path, source)) else { continue };
        if *home == "flags" {
            flags = flags_of(text);
            continue;
        }
        let parsed = syn::parse_file(text).with_context(|| format!("{path} is no Rust"))?;
        for item in parsed.items {
            if let Item::Struct(item) = item {
                structs.insert(((*home).to_owned(), item.ident.to_string()), item);
            }
        }
    }
    let mut entries = Vec::new();
    walk(&structs, &flags, "", "Config", "", &mut entries)?;
    Ok(serde_json::to_string_pretty(&entries)? + "\n")
}

fn is_of(path: &str, source: &str) -> bool {
    match path.strip_prefix(source) {
        Some(rest) if source.ends_with('/') => !rest.contains('/'),
        Some(rest) => rest.is_empty(),
        None => false,
    }
}

type Structs = BTreeMap<(String, String), ItemStruct>;

fn walk(
    structs: &Structs,
    flags: &BTreeMap<String, String>,
    home: &str,
    name: &str,
    prefix: &str,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let item = structs
        .get(&(home.to_owned(), name.to_owned()))
        .with_context(|| format!("no struct {name} for the section {prefix:?} was found"))?;
    let Fields::Named(fields) = &item.fields else { return Ok(()) };
    let mut sections = Vec::new();
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let key = format!("{prefix}{ident}");
        let of_type = type_name(&field.ty, home);
        if structs.contains_key(&of_type) {
            sections.push((key, documentation(&field.attrs), of_type));
        } else {
            let flag = flags.get(&key).cloned();
            entries.push(Entry { meaning: documentation(&field.attrs), flag, key });
        }
    }
    for (key, meaning, (home, name)) in sections {
        let prefix = format!("{key}.");
        entries.push(Entry { key: prefix.clone(), flag: None, meaning });
        walk(structs, flags, &home, &name, &prefix, entries)?;
    }
    Ok(())
}

/// The crate and the name of a type; a path without a crate is of the same one.
fn type_name(of: &Type, home: &str) -> (String, String) {
    let Type::Path(path) = of else { return Default::default() };
    let names: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    match names.as_slice() {
        [home, name] => (home.clone(), name.clone()),
        [name] => (home.to_owned(), name.clone()),
        _ => Default::default(),
    }
}

/// The text of documentation comments, a line per paragraph, without links.
fn documentation(attributes: &[Attribute]) -> String {
    let mut paragraphs = vec![String::new()];
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(value) = &attribute.meta else { continue };
        let Expr::Lit(literal) = &value.value else { continue };
        let Lit::Str(line) = &literal.lit else { continue };
        let line = line.value();
        match (line.trim(), paragraphs.last_mut()) {
            ("", _) => paragraphs.push(String::new()),
            (line, Some(paragraph)) if !paragraph.is_empty() => paragraph.push_str(&format!(" {line}")),
            (line, Some(paragraph)) => paragraph.push_str(line),
            (_, None) => {}
        }
    }
    without_links(paragraphs.join("\n").trim())
}

/// `[text](target)` and `[text]` become `text`.
fn without_links(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        result.push_str(before);
        let Some((name, behind)) = after.split_once(']') else { break };
        result.push_str(name);
        rest = match behind.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, behind)) => behind,
            None => behind,
        };
    }
    result + rest
}

/// Keys to the flags that set them, as `Flag::new` joins them.
fn flags_of(text: &str) -> BTreeMap<String, String> {
    let mut flags = BTreeMap::new();
    let quoted: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    for pair in quoted.windows(2) {
        // `--quiet` is a way to set the level, and not the one to name.
        if let [flag, key] = pair
            && flag.starts_with("--")
            && !key.starts_with("--")
            && *flag != "--quiet"
        {
            flags.entry((*key).to_owned()).or_insert_with(|| (*flag).to_owned());
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_types_with_their_documentation() {
        let config = "/// All.\npub struct Config {\n    /// Which [`Net`](crate::Net) it is.\n    ///\n    /// More of\n    /// it.\n    pub network: String,\n    /// A part.\n    pub sync: Settings,\n}";
        let settings = "pub struct Settings {\n    /// Asks.\n    pub executor: spv_executor::Config,\n}";
        let executor = "pub struct Config {\n    /// At most.\n    pub max: u32,\n}";
        let flags = "text(\"--network\", \"network\", x)";
        let files = [
            ("integration/src/config/mod.rs", config),
            ("integration/src/config/settings.rs", settings),
            ("crates/spv-executor/src/config.rs", executor),
            ("crates/qrsync/src/config/flags.rs", flags),
            ("integration/src/other.rs", "pub struct Config;"),
        ];
        let entries: serde_json::Value = serde_json::from_str(&meanings(files.into_iter()).unwrap()).unwrap();
        let expected = serde_json::json!([
            { "key": "network", "flag": "--network", "meaning": "Which `Net` it is.\nMore of it." },
            { "key": "sync.", "meaning": "A part." },
            { "key": "sync.executor.", "meaning": "Asks." },
            { "key": "sync.executor.max", "meaning": "At most." },
        ]);
        assert_eq!(entries, expected);
    }
}
