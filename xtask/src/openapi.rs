//! The description of the API as the service serves it: `schemas/openapi.json` with the schemas that it refers to in it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};
use xshell::Shell;

const OUTPUT: &str = "crates/qrsync/src/serve/openapi.json";

/// Writes it.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let root = sh.current_dir();
    sh.write_file(OUTPUT, generate(&root)?)?;
    Ok(())
}

/// The text of the file.
fn generate(root: &Path) -> Result<String> {
    let mut document = read(root, "openapi.json")?;
    let mut schemas = Map::new();
    embed(root, &mut document, "openapi.json", &mut schemas)?;
    let known = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    known.context("openapi.json has components/schemas")?.extend(schemas);
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

/// Makes references to files into references to components, which are added to `schemas`.
fn embed(root: &Path, value: &mut Value, file: &str, schemas: &mut Map<String, Value>) -> Result<()> {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && !reference.starts_with("#/components/")
            {
                let (target, pointer) = reference.split_once('#').unwrap_or((reference, ""));
                let target = if target.is_empty() { file } else { target }.to_owned();
                let stem = target.strip_suffix(".json").context("references are to files of JSON")?;
                let name = format!("{stem}{}", pointer.replace("/$defs/", "."));
                let pointer = pointer.to_owned();
                *reference = format!("#/components/schemas/{name}");
                if !schemas.contains_key(&name) {
                    // In its place before what it refers to, which may be itself.
                    schemas.insert(name.clone(), Value::Null);
                    let whole = read(root, &target)?;
                    let Some(mut schema) = whole.pointer(&pointer).cloned() else {
                        bail!("{target} has no {pointer}, to which {file} refers");
                    };
                    if let Value::Object(schema) = &mut schema {
                        ["$schema", "$id", "$defs"].iter().for_each(|key| _ = schema.shift_remove(*key));
                    }
                    embed(root, &mut schema, &target, schemas)?;
                    schemas.insert(name, schema);
                }
            }
            object.values_mut().try_for_each(|below| embed(root, below, file, schemas))
        }
        Value::Array(values) => values.iter_mut().try_for_each(|below| embed(root, below, file, schemas)),
        _ => Ok(()),
    }
}

fn read(root: &Path, file: &str) -> Result<Value> {
    let path = root.join("schemas").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_that_is_served_has_the_schemas_as_they_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let written = std::fs::read_to_string(root.join(OUTPUT)).unwrap();
        assert!(written == generate(root).unwrap(), "{OUTPUT} is old; `cargo xtask openapi` writes it anew");
    }
}
