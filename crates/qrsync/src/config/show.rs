use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::layers::{Layers, Origin, keys, variable};
use super::reference::Reference;

/// Column at which the comments begin, where the value leaves room.
const COMMENT_COLUMN: usize = 40;

/// Columns of a line of comment.
const COMMENT_WIDTH: usize = 100;

/// A file that can be read back, with the origin of each value beside it.
pub(crate) fn toml(layers: &Layers) -> anyhow::Result<String> {
    let mut text =
        "# QRSYNC_ and a key's path in capitals, as in QRSYNC_SYNC_WINDOW, set it too.\n".to_owned();
    section(&mut text, layers, &in_use(layers), &Reference::new()?, "", &layers.tree)?;
    Ok(text)
}

/// The page that explains every key.
pub(crate) fn reference() -> anyhow::Result<String> {
    Ok(Reference::new()?.markdown())
}

/// Every key by its path.
pub(crate) fn json(layers: &Layers) -> Value {
    let in_use = in_use(layers);
    let entry = |key: String| {
        let origin = layers.origin(&key);
        let value = at(&layers.tree, &key);
        let mut entry = json!({ "value": value, "origin": origin.kind() });
        if let Some(used) = at(&in_use, &key).filter(|_| value.is_none()) {
            entry["used"] = used.clone();
        }
        if let Some(source) = origin.source() {
            entry["source"] = source.into();
        }
        entry["variable"] = variable(&key).into();
        (key, entry)
    };
    keys(&layers.tree).into_iter().map(entry).collect::<Map<_, _>>().into()
}

fn section(
    text: &mut String,
    layers: &Layers,
    in_use: &Value,
    reference: &Reference,
    path: &str,
    tree: &Value,
) -> anyhow::Result<()> {
    let Value::Object(object) = tree else { return Ok(()) };
    let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
    let (sections, values): (Vec<_>, Vec<_>) = object.iter().partition(|(_, value)| value.is_object());
    for (name, value) in values {
        let key = format!("{prefix}{name}");
        let origin = layers.origin(&key);
        let range = reference.range(&key);
        let range = if range.is_empty() { range } else { format!(" Range: {range}.") };
        let meaning = reference.meaning(&key).and_then(|meaning| meaning.lines().next()).unwrap_or_default();
        comment(text, &format!("{meaning}{range}"))?;
        let (line, origin) = match value {
            // Nothing can be said in TOML about what is not set.
            Value::Null => match at(in_use, &key) {
                Some(used) => (format!("# {name} = {}", toml::Value::try_from(used)?), origin.to_string()),
                None => (format!("# {name} ="), unset(&origin)),
            },
            value => (format!("{name} = {}", toml::Value::try_from(value)?), origin.to_string()),
        };
        writeln!(text, "{line:<COMMENT_COLUMN$}  # {origin}")?;
    }
    for (name, below) in sections {
        let path = format!("{prefix}{name}");
        writeln!(text)?;
        let meaning = reference.meaning(&format!("{path}.")).and_then(|meaning| meaning.lines().next());
        comment(text, meaning.unwrap_or_default())?;
        writeln!(text, "[{path}]")?;
        section(text, layers, in_use, reference, &path, below)?;
    }
    Ok(())
}

/// Writes a text as lines of comment.
fn comment(text: &mut String, meaning: &str) -> std::fmt::Result {
    let mut line = String::from("#");
    for word in meaning.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_WIDTH {
            writeln!(text, "{line}")?;
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 { writeln!(text, "{line}") } else { Ok(()) }
}

/// The configuration with the values that are in use for keys which are not set; null if its network cannot be used.
fn in_use(layers: &Layers) -> Value {
    let mut config = layers.config.clone();
    let Ok(params) = config.chain_params() else { return Value::Null };
    config.max_tip_age = config.max_tip_age(&params);
    config.data_dir = config.data_dir().ok();
    serde_json::to_value(config).unwrap_or_default()
}

/// The value at the path of a key, if it is set.
fn at<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    tree.pointer(&format!("/{}", key.replace('.', "/"))).filter(|value| !value.is_null())
}

fn unset(origin: &Origin) -> String {
    format!("{origin}: not set")
}
