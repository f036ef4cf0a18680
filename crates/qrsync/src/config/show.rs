use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::layers::{Layers, Origin, keys, variable};

/// Column at which the comments begin, where the value leaves room.
const COMMENT_COLUMN: usize = 40;

/// A file that can be read back, with the origin of each value beside it.
pub(crate) fn toml(layers: &Layers) -> anyhow::Result<String> {
    let mut text =
        "# QRSYNC_ and a key's path in capitals, as in QRSYNC_SYNC_WINDOW, set it too.\n".to_owned();
    section(&mut text, layers, "", &layers.tree)?;
    Ok(text)
}

/// Every key by its path.
pub(crate) fn json(layers: &Layers) -> Value {
    let entry = |key: String| {
        let origin = layers.origin(&key);
        let value = layers.tree.pointer(&format!("/{}", key.replace('.', "/")));
        let mut entry = json!({ "value": value, "origin": origin.kind() });
        if let Some(used) = in_its_place(layers, &key).filter(|_| value.is_none_or(Value::is_null)) {
            entry["used"] = used;
        }
        if let Some(source) = origin.source() {
            entry["source"] = source.into();
        }
        entry["variable"] = variable(&key).into();
        (key, entry)
    };
    keys(&layers.tree).into_iter().map(entry).collect::<Map<_, _>>().into()
}

fn section(text: &mut String, layers: &Layers, path: &str, tree: &Value) -> anyhow::Result<()> {
    let Value::Object(object) = tree else { return Ok(()) };
    let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
    let (sections, values): (Vec<_>, Vec<_>) = object.iter().partition(|(_, value)| value.is_object());
    for (name, value) in values {
        let origin = layers.origin(&format!("{prefix}{name}"));
        let (line, origin) = match value {
            // Nothing can be said in TOML about what is not set.
            Value::Null => match in_its_place(layers, &format!("{prefix}{name}")) {
                Some(used) => (format!("# {name} = {}", toml::Value::try_from(used)?), origin.to_string()),
                None => (format!("# {name} ="), unset(&origin)),
            },
            value => (format!("{name} = {}", toml::Value::try_from(value)?), origin.to_string()),
        };
        writeln!(text, "{line:<COMMENT_COLUMN$}  # {origin}")?;
    }
    for (name, below) in sections {
        let path = format!("{prefix}{name}");
        writeln!(text, "\n[{path}]")?;
        section(text, layers, &path, below)?;
    }
    Ok(())
}

/// What is used where a key is not set and something is; nothing where there is no such value.
fn in_its_place(layers: &Layers, key: &str) -> Option<Value> {
    let mut config = layers.config.clone();
    let params = config.chain_params().ok()?;
    config.max_tip_age = config.max_tip_age(&params);
    config.data_dir = config.data_dir().ok();
    let used = serde_json::to_value(config).ok()?.pointer(&format!("/{}", key.replace('.', "/")))?.clone();
    (!used.is_null()).then_some(used)
}

fn unset(origin: &Origin) -> String {
    format!("{origin}: not set")
}
