use crate::targets::{checked_diff, correlation, frames, messages, store_rows};

/// A piece of code that any bytes are given to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, for the command line.
    pub name: &'static str,
    /// What it runs, and the property that it checks.
    pub about: &'static str,
    /// Runs it, and panics on a fault. Returns whether the bytes were valid: decoded, accepted or read.
    pub run: fn(&[u8]) -> bool,
    /// Inputs to begin with, most of which are good.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "messages",
        about: "every message by its command: what decodes encodes back to the same bytes",
        run: messages::run,
        seeds: messages::seeds,
    },
    Target {
        name: "frames",
        about: "a stream cut into messages: the same ones however it comes in pieces",
        run: frames::run,
        seeds: frames::seeds,
    },
    Target {
        name: "correlation",
        about: "any sequence of requests, answers, pongs and time: each request ends once, bounds hold",
        run: correlation::run,
        seeds: correlation::seeds,
    },
    Target {
        name: "checked_diff",
        about: "a list diff, checked and applied: what is accepted is the true list",
        run: checked_diff::run,
        seeds: checked_diff::seeds,
    },
    Target {
        name: "store_rows",
        about: "a database with changed bytes: every row is right, missing, or reported as damaged",
        run: store_rows::run,
        seeds: store_rows::seeds,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_good_for_something() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            let good = seeds.iter().filter(|seed| (target.run)(seed)).count();
            assert!(good * 2 > seeds.len(), "{}: {good} of {}", target.name, seeds.len());
        }
    }
}
