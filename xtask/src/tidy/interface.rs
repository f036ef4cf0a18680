//! What the programs of this workspace offer, read from the sources that declare it with clap and serde.

use std::collections::BTreeSet;

use super::TextFile;

/// Names that texts may use.
#[derive(Default)]
pub(super) struct Interface {
    /// Commands of qrsync, those below another one included.
    pub(super) commands: BTreeSet<String>,
    pub(super) flags: BTreeSet<String>,
    pub(super) tasks: BTreeSet<String>,
    /// Flags of any program here: tasks hand arguments on.
    pub(super) task_flags: BTreeSet<String>,
    /// Environment variables with a name of their own; others are named after a key of the configuration.
    pub(super) variables: BTreeSet<String>,
    /// Fields of structs, and names in the JSON of commands: keys of the configuration and of outputs.
    pub(super) fields: BTreeSet<String>,
}

impl Interface {
    pub(super) fn read(files: &[TextFile]) -> Self {
        let mut interface = Self::default();
        for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
            let flags = flags(&file.text);
            if file.path.starts_with(QRSYNC) {
                interface.commands.extend(variants(&file.text));
                interface.flags.extend(flags.iter().cloned());
                interface.variables.extend(quoted(&file.text).filter(|name| is_variable(name)));
                interface.fields.extend(quoted(&file.text));
            }
            if file.path == "xtask/src/main.rs" {
                interface.tasks.extend(variants(&file.text));
            }
            interface.task_flags.extend(flags);
            if file.path.contains("src/") {
                interface.fields.extend(fields(&file.text));
            }
        }
        interface
    }

    /// Whether an environment variable is read. `QRSYNC_SYNC_WINDOW` sets `sync.window`.
    pub(super) fn has_variable(&self, name: &str) -> bool {
        let path = name.trim_start_matches("QRSYNC_").to_lowercase();
        let mut ends = path.match_indices('_').map(|(at, _)| &path[at + 1..]).chain([path.as_str()]);
        self.variables.contains(name) || ends.any(|end| self.fields.contains(end))
    }
}

/// Kebab-case names of the variants of enums that derive `Subcommand`, `Parser` or `ValueEnum`.
fn variants(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut derived, mut inside) = (false, false);
    for line in text.lines() {
        if line.starts_with("#[derive(") {
            derived = ["Subcommand", "Parser", "ValueEnum"].iter().any(|name| line.contains(name));
        } else if line.contains("enum ") && line.ends_with('{') {
            inside = derived;
        } else if line == "}" {
            (derived, inside) = (false, false);
        } else if inside && line.starts_with("    ") && !line.starts_with("     ") {
            let name: String = line.trim().chars().take_while(char::is_ascii_alphanumeric).collect();
            if name.starts_with(|first: char| first.is_ascii_uppercase()) {
                names.push(kebab_case(&name));
            }
        }
    }
    names
}

/// Names of the flags of fields with `#[arg(long)]`, without their dashes.
fn flags(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    // Between an attribute that makes a flag and its field.
    let mut pending = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[arg(") {
            pending = false;
            if let Some((_, explicit)) = line.split_once("long = \"") {
                names.extend(explicit.split('"').next().map(str::to_owned));
            } else {
                pending = line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "long");
            }
        } else if pending && let Some(name) = field(line) {
            names.push(name.replace('_', "-"));
            pending = false;
        }
    }
    names
}

fn fields(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::trim).filter(|line| line.ends_with(',')).filter_map(field).map(str::to_owned)
}

/// The name in `name: Type` or `pub name: Type`.
fn field(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    let (name, _) = line.split_once(": ")?;
    let is_name = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned)
}

pub(super) fn is_variable(name: &str) -> bool {
    name.strip_prefix("QRSYNC_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    })
}

fn kebab_case(name: &str) -> String {
    let mut result = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !result.is_empty() {
            result.push('-');
        }
        result.push(character.to_ascii_lowercase());
    }
    result
}

const QRSYNC: &str = "crates/qrsync/src/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn commands_flags_and_fields_are_read_from_their_declarations() {
        let source = r#"
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Not a Command
    #[command(after_help = "Examples:
  qrsync sync")]
    Sync(SyncArgs),
    DryRun {
        shell: Shell,
    },
    Config(ConfigArgs),
}
#[derive(Debug)]
enum Other {
    Hidden,
}
struct SyncArgs {
    /// Node
    #[arg(long = "peer", env = "QRSYNC_PEERS")]
    peers: Vec<String>,
    #[arg(short, long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    #[arg(value_name = "along")]
    file: PathBuf,
}
"#;
        let library = "pub struct Summary {\n    pub max_in_flight: usize,\n    window: u8,\n}\n";
        let files = [
            file("crates/qrsync/src/args.rs", source),
            file("integration/src/summary.rs", library),
            file("xtask/src/main.rs", "#[derive(Parser)]\nenum Task {\n    Ci,\n}\n"),
        ];
        let interface = Interface::read(&files);
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(names(&interface.commands), "config dry-run sync");
        assert_eq!(names(&interface.flags), "data-dir peer");
        assert_eq!(names(&interface.task_flags), "data-dir peer");
        assert_eq!(names(&interface.tasks), "ci");
        assert!(interface.fields.contains("max_in_flight") && !interface.fields.contains("gone"));
        for (name, is_read) in [
            ("QRSYNC_PEERS", true),
            ("QRSYNC_WINDOW", true),
            ("QRSYNC_SYNC_WINDOW", true),
            ("QRSYNC_SYNC_WINDOWS", false),
        ] {
            assert_eq!(interface.has_variable(name), is_read, "{name}");
        }
    }
}
