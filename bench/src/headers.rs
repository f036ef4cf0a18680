//! Workload W0: a client that is so many headers behind brings its chain to the tip.

mod bound;
mod contestant;
mod distance;
mod exchange;
mod ours;
mod real_time;
mod run;
mod suite;

#[cfg(test)]
mod self_checks;

pub(crate) use contestant::Asker;
pub(crate) use real_time::{Args, run as real_time};
pub(crate) use suite::{FULL, Headers, QUICK};

/// Name of the workload on the command line.
pub(crate) const NAME: &str = crate::workload::HEADERS;
/// So far behind a client can be: longer chains cannot be generated.
pub(crate) const MOST: u32 = 1_000_000;
/// What it is.
pub(crate) const ABOUT: &str =
    "headers: a client that is so many behind connects, and has a valid chain to the tip";
