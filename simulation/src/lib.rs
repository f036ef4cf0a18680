#![doc = include_str!("../README.md")]

mod bound;
mod report;
mod run;
mod scenario;

pub use report::Report;
pub use run::{Failure, Run, run};
pub use scenario::{SCENARIOS, Scenario, scenario};
