use super::*;
use crate::tidy::file;

/// What is found in a crate with these files below `src`, whose modules have this order.
fn found(order: &str, files: &[(&str, &str)]) -> Vec<String> {
    let layers = parse(&format!("[order]\na = [{order}]\n")).unwrap();
    let one = Crate { name: "a".into(), root: "a/src/lib.rs".into() };
    let package = Package { name: "a".into(), crates: vec![one], ..Package::default() };
    let files: Vec<_> = files.iter().map(|(path, text)| file(&format!("a/src/{path}"), text)).collect();
    check(&layers, &[package], &files).iter().map(ToString::to_string).collect()
}

/// What is found if `low` has this text. Above it stands `high`, whose `High` the root exports too.
fn found_in_low(text: &str) -> Vec<String> {
    found(
        r#""low", "high""#,
        &[
            ("lib.rs", "mod high;\nmod low;\npub use high::High;\npub fn own() {}\n"),
            ("low.rs", text),
            ("high/mod.rs", "mod deep;\npub struct High;\npub use deep::Deep;\nuse crate::low::Low;\n"),
            ("high/deep.rs", "pub struct Deep;\n"),
        ],
    )
}

#[test]
fn who_stands_below_may_not_use_who_stands_above() {
    assert_eq!(found_in_low("pub struct Low;\n"), [""; 0]);
    for text in [
        "use crate::high::High;\n",
        "use super::high::High;\n",
        "use crate::{high::High as Tall};\n",
        "use crate::{\nhigh::{self, High}};\n",
        "use crate::high;\n",
        "use crate::high::*;\n",
        "use crate::High;\n",
        "use crate::*;\nfn low() -> High { loop {} }\n",
        "fn low() { crate::high::High; }\n",
        "fn low() -> Vec<crate::high::High> { loop {} }\n",
        "fn low() { use crate::high::Deep; }\n",
        "fn low() { matches!(x, (crate::high::High)); }\n",
        "mod inner { use super::super::high::High; }\n",
    ] {
        let found = found_in_low(text);
        assert!(!found.is_empty(), "nothing is found in {text}");
        for finding in &found {
            assert!(
                finding.ends_with(": low uses high, which stands above it (xtask/layers.toml)"),
                "{finding}"
            );
        }
    }
    let second_line = found_in_low("use std::fmt;\nuse crate::high::High;\n");
    assert_eq!(second_line, ["a/src/low.rs:2: low uses high, which stands above it (xtask/layers.toml)"]);
}

#[test]
fn the_root_stands_above_all() {
    let found = found_in_low("fn low() { crate::own(); }\n");
    assert!(found[0].starts_with("a/src/low.rs:1: low uses the root"), "{found:?}");
}

#[test]
fn names_of_others_are_no_modules_of_ours() {
    for text in [
        "use ::high::High;\n",
        "use other::high::High;\n",
        "//! [`crate::high::High`]\nfn low() {}\n",
        "pub(in crate::low) fn low() {}\n",
        "fn low(high: u8) -> u8 { high }\n",
    ] {
        assert_eq!(found_in_low(text), [""; 0], "{text}");
    }
}

#[test]
fn tests_may_use_everything() {
    for text in [
        "#[cfg(test)]\nmod tests { use crate::high::High; }\n",
        "#[cfg(test)]\nmod tests;\n",
        "#[cfg(test)]\nuse crate::high::High;\n",
        "#[cfg(all(test, feature = \"x\"))]\nfn low() { crate::high::High; }\n",
        "struct Low;\nimpl Low { #[cfg(test)] fn low() { crate::high::High; } }\n",
    ] {
        assert_eq!(found_in_low(text), [""; 0], "{text}");
    }
    assert_eq!(found_in_low("#[cfg(any(test, unix))]\nuse crate::high::High;\n").len(), 1);
}

#[test]
fn every_module_has_a_floor_and_every_floor_a_module() {
    let files = [("lib.rs", "mod high;\nmod low;\n"), ("high.rs", ""), ("low.rs", "")];
    assert_eq!(found(r#""low", "high""#, &files), [""; 0]);
    assert_eq!(
        found(r#""low""#, &files),
        ["a/src/high.rs:1: high is missing in xtask/layers.toml, give it a floor"]
    );
    assert_eq!(
        found(r#""low", "middle", "high""#, &files),
        ["xtask/layers.toml:1: a has no module middle, take it off"]
    );
}

#[test]
fn a_crate_with_modules_is_listed_or_pending() {
    let package = |name: &str| Package {
        name: name.into(),
        crates: vec![Crate { name: name.into(), root: format!("{name}/src/main.rs") }],
        ..Package::default()
    };
    let packages = [package("a"), package("b"), package("c")];
    let modules = "mod one { use super::two; }\nmod two { use super::one; }\n";
    let files = [
        file("a/src/main.rs", "fn main() {}\n"),
        file("b/src/main.rs", modules),
        file("c/src/main.rs", modules),
    ];
    let layers = parse("pending = [\"c\"]\n[order]\nd = []\n").unwrap();
    let found: Vec<_> = check(&layers, &packages, &files).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "b/src/main.rs:1: b is not in xtask/layers.toml, list its modules from the bottom to the top",
            "xtask/layers.toml:1: there is no crate d",
        ]
    );
}

/// What is found among the files of the folder `room`.
fn found_in_room(room: &str, files: &[(&str, &str)]) -> Vec<String> {
    let all = [&[("lib.rs", "mod room;\n"), ("room/mod.rs", room)], files].concat();
    found(r#""room""#, &all)
}

#[test]
fn files_of_one_folder_form_no_circle() {
    let room = "mod chair;\nmod lamp;\nmod table;\n";
    let (chair, table) = ("use super::table::Table;\npub struct Chair;\n", "pub struct Table;\n");
    let lamp = ("room/lamp.rs", "\nuse super::chair::Chair;\n");
    assert_eq!(found_in_room(room, &[("room/chair.rs", chair), ("room/table.rs", table), lamp]), [""; 0]);

    let deep = [("room/table/mod.rs", "mod leg;\n"), ("room/table/leg.rs", "\n\nuse crate::room::lamp;\n")];
    assert_eq!(
        found_in_room(room, &[("room/chair.rs", chair), lamp, deep[0], deep[1]]),
        ["a/src/room/chair.rs:1: a circle: chair.rs:1 uses table/mod.rs, table/leg.rs:3 uses lamp.rs, \
          lamp.rs:2 uses chair.rs; make floors of it"]
    );
}

#[test]
fn what_the_folder_hands_on_belongs_to_the_file_that_has_it() {
    let found = found_in_room(
        "mod chair;\nmod table;\npub use chair::Chair;\npub use table::Table;\n",
        &[
            ("room/chair.rs", "use super::Table;\npub struct Chair;\n"),
            ("room/table.rs", "use super::*;\npub struct Table(Chair);\n"),
        ],
    );
    assert_eq!(
        found,
        [
            "a/src/room/chair.rs:1: a circle: chair.rs:1 uses table.rs, table.rs:2 uses chair.rs; make floors of it"
        ]
    );
}

#[test]
fn a_folder_and_its_files_use_each_other() {
    let room = "mod chair;\npub struct Wall;\nfn f() { chair::Chair; }\n";
    assert_eq!(found_in_room(room, &[("room/chair.rs", "use super::Wall;\npub struct Chair;\n")]), [""; 0]);
}
