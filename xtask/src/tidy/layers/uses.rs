//! Finds out which module uses which, through imports of imports too.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Module, Segments};

/// That one module uses another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    pub(super) user: Segments,
    pub(super) used: Segments,
    /// Where, from the root of the workspace.
    pub(super) file: String,
    pub(super) line: usize,
}

impl Use {
    /// The neighbours, children of one module, of which one uses the other here; none between a module and those
    /// inside it.
    pub(super) fn neighbours(&self) -> Option<(&[String], &[String])> {
        let same = self.user.iter().zip(&self.used).take_while(|(user, used)| user == used).count();
        Some((self.user.get(..=same)?, self.used.get(..=same)?))
    }
}

/// In order, each once. That the root uses a module counts for nothing; a module uses the root (no segments) if what it
/// names is defined there.
pub(super) fn uses(modules: &BTreeMap<Segments, Module>) -> BTreeSet<Use> {
    let mut uses = BTreeSet::new();
    for (user, module) in modules.iter().filter(|(user, _)| !user.is_empty()) {
        for mention in &module.mentions {
            // What an import brought is counted where it is imported.
            if module.imports.contains_key(&mention.path[0]) {
                continue;
            }
            let mut search = Search { modules, passed: BTreeSet::new(), followed: BTreeSet::new() };
            search.follow(user, &mention.path);
            uses.extend(search.passed.into_iter().map(|used| Use {
                user: user.clone(),
                used,
                file: module.file.clone(),
                line: mention.line,
            }));
        }
    }
    uses
}

/// Follows a path, segment by segment, to what it names.
struct Search<'a> {
    modules: &'a BTreeMap<Segments, Module>,
    /// The modules on the way. The root is one only if the way ends there: otherwise it merely hands on.
    passed: BTreeSet<Segments>,
    /// Names looked up so far, by the module; imports may lead in circles.
    followed: BTreeSet<(Segments, String)>,
}

impl Search<'_> {
    /// Whether the path names something of this crate.
    fn follow(&mut self, here: &[String], path: &[String]) -> bool {
        let mut at = if path[0] == "crate" { Vec::new() } else { here.to_vec() };
        for (index, segment) in path.iter().enumerate() {
            match segment.as_str() {
                "crate" | "self" => continue,
                "super" => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            let child = [&at[..], std::slice::from_ref(segment)].concat();
            if !self.modules.contains_key(&child) {
                return self.look_up(&at, segment, &path[index + 1..]);
            }
            self.passed.insert(child.clone());
            at = child;
        }
        true
    }

    /// Whether the module has something of this name, be it its own or an import.
    fn look_up(&mut self, at: &[String], name: &str, rest: &[String]) -> bool {
        let modules = self.modules;
        let Some(module) = modules.get(at).filter(|_| self.followed.insert((at.to_vec(), name.to_owned())))
        else {
            return false;
        };
        if module.items.contains(name) {
            self.passed.insert(at.to_vec());
            return true;
        }
        if let Some(imports) = module.imports.get(name) {
            for import in imports {
                self.follow(at, &[import, rest].concat());
            }
            return true;
        }
        let rest = [&[name.to_owned()], rest].concat();
        module.globs.iter().any(|glob| self.follow(at, &[glob, &rest[..]].concat()))
    }
}
