//! Circles among the modules of one folder below the top of a crate, where no order is declared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Module, Segments};
use super::uses::Use;
use crate::tidy::Finding;

/// Of the modules of one folder, who uses whom, and where first.
type Neighbours<'a> = BTreeMap<&'a [String], BTreeMap<&'a [String], &'a Use>>;

pub(super) fn circles(uses: &BTreeSet<Use>, modules: &BTreeMap<Segments, Module>) -> Vec<Finding> {
    let mut neighbours = Neighbours::new();
    for one in uses {
        if let Some((user, used)) = one.neighbours()
            && user.len() > 1
        {
            neighbours.entry(user).or_default().entry(used).or_insert(one);
        }
    }
    let circles: BTreeSet<Vec<&[String]>> = neighbours
        .iter()
        .flat_map(|(user, used)| used.keys().map(move |used| (*user, *used)))
        .filter_map(|(user, used)| way(&neighbours, used, user))
        .map(from_the_first)
        .collect();
    circles.iter().map(|circle| finding(circle, &neighbours, modules)).collect()
}

/// The shortest way from one module to another, both included.
fn way<'a>(neighbours: &Neighbours<'a>, from: &'a [String], to: &'a [String]) -> Option<Vec<&'a [String]>> {
    let mut queue = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::from([from]);
    while let Some(way) = queue.pop_front() {
        let last = *way.last()?;
        if last == to {
            return Some(way);
        }
        let next = neighbours.get(last).into_iter().flat_map(BTreeMap::keys);
        for next in next.filter(|next| seen.insert(next)) {
            queue.push_back([&way[..], &[*next]].concat());
        }
    }
    None
}

/// A circle is the same wherever it begins.
fn from_the_first(mut circle: Vec<&[String]>) -> Vec<&[String]> {
    let first = (0..circle.len()).min_by_key(|&index| circle[index]).unwrap_or(0);
    circle.rotate_left(first);
    circle
}

fn finding(
    circle: &[&[String]],
    neighbours: &Neighbours<'_>,
    modules: &BTreeMap<Segments, Module>,
) -> Finding {
    let parents = &circle[0][..circle[0].len() - 1];
    let root = modules.get(&Vec::new()).map_or("", |root| root.file.as_str());
    let folder = format!("{}/{}/", root.rsplit_once('/').map_or("", |(folder, _)| folder), parents.join("/"));
    let inside = |file: &str| file.strip_prefix(&folder).unwrap_or(file).to_owned();

    let next = circle.iter().cycle().skip(1);
    let steps: Vec<&Use> = circle.iter().zip(next).map(|(user, used)| neighbours[user][used]).collect();
    let told = steps.iter().map(|step| {
        let used = modules.get(step.neighbours().map_or(&[][..], |(_, used)| used));
        let used = used.map_or_else(String::new, |used| inside(&used.file));
        format!("{}:{} uses {used}", inside(&step.file), step.line)
    });
    let told = told.collect::<Vec<_>>().join(", ");
    Finding::violation(&steps[0].file, steps[0].line, format!("a circle: {told}; make floors of it"))
}
