//! What the binary prints with `--json` is what the files in `schemas/` say. They are JSON Schema 2020-12; the part of it
//! that they use is checked here, and anything else in them is refused.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use dashcore::consensus::serialize;
use dashcore::network::message_qrinfo::GetQRInfo;
use dashcore::network::message_sml::GetMnListDiff;
use hex_conservative::DisplayHex;
use serde_json::{Map, Value};
use spv_simnet::QRInfoConstruction;

use crate::support::process::{Running, qrsync, run, sync_command};
use crate::support::{all_faulty, generated_world, honest, start};

/// Asserts that `value` is as `schemas/NAME.json` says, and has nothing that it does not say.
#[track_caller]
pub(crate) fn assert_valid(name: &str, value: &Value) {
    if let Err(error) = check(value, name) {
        panic!("{name}: {error}\n{value}");
    }
}

fn check(value: &Value, name: &str) -> Result<(), String> {
    let file = format!("{name}.json");
    let schema = read(&file);
    Place { file: &file, schema: &schema }.check(value, "", &BTreeSet::new())
}

fn read(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A schema and the file that it is in, which references start from.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    schema: &'a Value,
}

impl Place<'_> {
    /// `beside` are properties that the schemas around this one, which describe the same value, know.
    fn check(self, value: &Value, path: &str, beside: &BTreeSet<String>) -> Result<(), String> {
        let wrong = |what: String| Err(format!("at {path:?}: {what}"));
        let schema = self.schema.as_object().expect("a schema is an object");
        for (keyword, rule) in schema {
            let is_kept = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => true,
                "properties" | "additionalProperties" => true,
                "type" => types(rule).any(|name| has_type(value, name)),
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
                "pattern" if rule == "^[0-9a-f]{64}$" => value.as_str().is_none_or(is_hash),
                "required" => {
                    let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    let missing = names.filter(|name| value.get(name).is_none()).collect::<Vec<_>>();
                    if !missing.is_empty() {
                        return wrong(format!("{missing:?} missing"));
                    }
                    true
                }
                "items" => {
                    let items = value.as_array().into_iter().flatten().enumerate();
                    for (index, item) in items {
                        self.at(rule).check(item, &format!("{path}/{index}"), &BTreeSet::new())?;
                    }
                    true
                }
                "$ref" => {
                    self.referred(rule, |place| place.check(value, path, &self.known_with(beside)))?;
                    true
                }
                "allOf" => {
                    for part in rule.as_array().unwrap() {
                        self.at(part).check(value, path, &self.known_with(beside))?;
                    }
                    true
                }
                "anyOf" => {
                    let parts = rule.as_array().unwrap().iter();
                    let tried: Vec<_> = parts.map(|part| self.at(part).check(value, path, beside)).collect();
                    if tried.iter().all(Result::is_err) {
                        let errors: Vec<_> = tried.into_iter().filter_map(Result::err).collect();
                        return wrong(format!("none of: {}", errors.join("; ")));
                    }
                    true
                }
                _ => panic!("{}: {keyword} is not understood here", self.file),
            };
            if !is_kept {
                return wrong(format!("not {keyword} {rule}"));
            }
        }
        self.check_properties(schema, value, path, beside)
    }

    fn check_properties(
        self,
        schema: &Map<String, Value>,
        value: &Value,
        path: &str,
        beside: &BTreeSet<String>,
    ) -> Result<(), String> {
        let (Some(object), true) = (value.as_object(), has_type_object(schema)) else { return Ok(()) };
        let known = self.known_with(beside);
        for (name, value) in object {
            let path = format!("{path}/{name}");
            let described = schema.get("properties").and_then(|properties| properties.get(name));
            match described.or_else(|| schema.get("additionalProperties")) {
                Some(rule) => self.at(rule).check(value, &path, &BTreeSet::new())?,
                None if known.contains(name) => {}
                None => return Err(format!("at {path:?}: not described")),
            }
        }
        Ok(())
    }

    /// Properties that this schema and those it is made of describe, and those of `beside`.
    fn known_with(self, beside: &BTreeSet<String>) -> BTreeSet<String> {
        let mut known = beside.clone();
        let properties = self.schema.get("properties").and_then(Value::as_object);
        known.extend(properties.into_iter().flat_map(Map::keys).cloned());
        for part in self.schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            known = self.at(part).known_with(&known);
        }
        if let Some(reference) = self.schema.get("$ref") {
            known = self.referred(reference, |place| place.known_with(&known));
        }
        known
    }

    fn at<'b>(&'b self, schema: &'b Value) -> Place<'b> {
        Place { file: self.file, schema }
    }

    fn referred<T>(self, reference: &Value, then: impl FnOnce(Place<'_>) -> T) -> T {
        let reference = reference.as_str().unwrap();
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let file = if file.is_empty() { self.file } else { file };
        let whole = read(file);
        let schema =
            whole.pointer(pointer).unwrap_or_else(|| panic!("{}: {reference} leads nowhere", self.file));
        then(Place { file, schema })
    }
}

fn types(rule: &Value) -> impl Iterator<Item = &str> {
    let one = rule.as_str();
    one.into_iter().chain(rule.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{name} is no type"),
    }
}

fn has_type_object(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|rule| types(rule).any(|name| name == "object"))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_stored_is_printed_as_its_schema_says() {
    let network = start(&generated_world(), honest(2)).await;
    let data = tempfile::tempdir().unwrap();
    let summary = Running::start(&mut sync_command(&network.addresses(), data.path())).finish().json();
    assert_valid("sync", &summary);
    let print =
        |args: &[&str]| run([args, &["--json", "--data-dir", data.path().to_str().unwrap()]].concat()).json();
    assert_valid("status", &print(&["status"]));
    let masternodes = print(&["masternodes"]);
    assert_valid("masternodes", &masternodes);
    let name = masternodes["masternodes"][0]["pro_tx_hash"].as_str().unwrap();
    assert_valid("masternode", &print(&["masternode", name]));
    let quorums = print(&["quorums"]);
    assert_valid("quorums", &quorums);
    let quorum = &quorums["quorums"][0];
    let (kind, hash) = (quorum["type"].to_string(), quorum["quorum_hash"].as_str().unwrap());
    assert_valid("quorums", &print(&["quorum", &kind, hash]));
    assert_valid("diff", &print(&["diff", "16"]));
    assert_valid("signer", &print(&["signer", "chainlock", "--height", "408"]));
    let world = generated_world();
    let lock = (0..world.tip()).rev().find_map(|height| world.chain_lock(height)).unwrap();
    assert_valid("verify", &print(&["verify", "chainlock", &serialize(&lock).to_lower_hex_string()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_failed_is_printed_as_its_schema_says() {
    let network = start(&generated_world(), all_faulty(2, "refuse-all", 1)).await;
    let data = tempfile::tempdir().unwrap();
    let finished = Running::start(&mut sync_command(&network.addresses(), data.path())).finish();
    let summary: Value = serde_json::from_str(finished.stdout()).unwrap();
    assert_ne!(summary["state"], "Synced");
    assert_valid("sync", &summary);
}

#[test]
fn what_needs_no_data_is_printed_as_its_schema_says() {
    assert_valid("config", &run(["config", "show", "--json", "--from", "3"]).json());
    let demo = ["demo", "--peers", "2", "--masternodes", "8", "--cycles", "2", "--rtt", "0", "--json"];
    assert_valid("demo", &run(demo).json());

    let directory = tempfile::tempdir().unwrap();
    let world = generated_world();
    let chain = world.active_chain();
    let [genesis, middle, tip] = [0, 300, world.tip()].map(|height| world.block_hash(height).unwrap());
    let request = GetQRInfo { base_block_hashes: vec![genesis], block_request_hash: tip, extra_share: true };
    let info = chain.qr_info(&request, QRInfoConstruction::Efficient).unwrap();
    let diff = |base_block_hash| {
        serialize(&chain.mn_list_diff(&GetMnListDiff { base_block_hash, block_hash: tip }).unwrap())
    };
    for (kind, payload) in
        [("qrinfo", serialize(&info)), ("mnlistdiff", diff(genesis)), ("mnlistdiff", diff(middle))]
    {
        let path = directory.path().join("payload.bin");
        fs::write(&path, payload).unwrap();
        assert_valid("decode", &run(["decode", kind, path.to_str().unwrap(), "--json"]).json());
    }
}

#[test]
fn a_simulated_network_is_printed_as_its_schema_says() {
    let world = "generated:masternodes=8,cycles=2,seed=4";
    let mut simnet = Running::start(qrsync().args(["simnet", "--world", world, "--json"]));
    let mut lines = BufReader::new(simnet.child().stdout.take().unwrap()).lines();
    let mut print = || serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_valid("simnet", &print());
    simnet.interrupt();
    assert_valid("simnet", &print());
}

#[test]
fn what_a_schema_does_not_say_is_found() {
    let block = || serde_json::json!({ "height": 1, "block_hash": "0".repeat(64), "chain_locked": false });
    let good =
        serde_json::json!({ "from": block(), "to": block(), "added": [], "removed": [], "changed": [] });
    check(&good, "diff").unwrap();
    for (pointer, value) in [
        ("/from/chain_locked", Value::Null),
        ("/from/height", (-1).into()),
        ("/from/height", 0.5.into()),
        ("/to/block_hash", "00".into()),
        ("/to", 3.into()),
        ("/added", Value::Null),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        check(&bad, "diff").unwrap_err();
    }
    let mut more = good.clone();
    more["to"]["extra"] = 1.into();
    check(&more, "diff").unwrap_err();
    let mut less = good;
    less.as_object_mut().unwrap().remove("added");
    check(&less, "diff").unwrap_err();
}
