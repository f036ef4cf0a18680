//! The rule that modules have floors: who stands above uses who stands below, and never the other way round.

mod circles;
mod order;
mod source;
mod uses;

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, TextFile};
use crate::workspace::{Crate, Package};
use source::{Module, Segments};
use uses::Use;

pub(super) use order::{LAYERS, Layers, parse};

pub(super) fn check(layers: &Layers, packages: &[Package], files: &[TextFile]) -> Vec<Finding> {
    let texts: BTreeMap<&str, &str> =
        files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for package in packages {
        names.extend(package.crates.iter().map(|one| one.name.as_str()));
        if layers.pending.contains(&package.name) {
            continue;
        }
        for one in &package.crates {
            match source::modules(&one.root, &texts) {
                Ok(modules) => findings.extend(check_crate(one, &modules, layers)),
                Err(error) => findings.push(Finding::violation(&one.root, 1, format!("{error:#}"))),
            }
        }
    }
    let gone = layers.order.keys().filter(|name| !names.contains(name.as_str()));
    findings.extend(gone.map(|name| Finding::violation(LAYERS, 1, format!("there is no crate {name}"))));
    // A path that leads through several modules of one floor is one fault.
    findings.sort();
    findings.dedup();
    findings
}

fn check_crate(one: &Crate, modules: &BTreeMap<Segments, Module>, layers: &Layers) -> Vec<Finding> {
    if modules.len() == 1 {
        return Vec::new();
    }
    let Some(order) = layers.order.get(&one.name) else {
        let message = format!("{} is not in {LAYERS}, list its modules from the bottom to the top", one.name);
        return vec![Finding::violation(&one.root, 1, message)];
    };
    let uses = uses::uses(modules);
    let mut findings = unlisted(order, modules);
    findings.extend(vanished(&one.name, order, modules));
    findings.extend(uses.iter().filter_map(|one| upward(one, order)));
    findings.extend(circles::circles(&uses, modules));
    findings
}

fn unlisted(order: &[String], modules: &BTreeMap<Segments, Module>) -> Vec<Finding> {
    let top = modules.iter().filter_map(|(path, module)| match &path[..] {
        [name] if !order.contains(name) => Some((name, module)),
        _ => None,
    });
    top.map(|(name, module)| {
        Finding::violation(&module.file, 1, format!("{name} is missing in {LAYERS}, give it a floor"))
    })
    .collect()
}

fn vanished(name: &str, order: &[String], modules: &BTreeMap<Segments, Module>) -> Vec<Finding> {
    let vanished = order.iter().filter(|module| !modules.contains_key(&vec![(*module).clone()]));
    vanished
        .map(|module| Finding::violation(LAYERS, 1, format!("{name} has no module {module}, take it off")))
        .collect()
}

fn upward(one: &Use, order: &[String]) -> Option<Finding> {
    let floor = |module: &String| order.iter().position(|name| name == module);
    let message = if one.used.is_empty() {
        format!(
            "{} uses the root of its crate, which stands above all modules, move what it uses down",
            one.user[0]
        )
    } else {
        let ([user], [used]) = one.neighbours()? else { return None };
        if floor(used)? < floor(user)? {
            return None;
        }
        format!("{user} uses {used}, which stands above it ({LAYERS})")
    };
    Some(Finding::violation(&one.file, one.line, message))
}

#[cfg(test)]
mod tests;
