#![doc = include_str!("../README.md")]

mod bound;
mod follow;
mod report;
mod run;
mod scenario;

pub use follow::{Check, FollowFailure, Followed, follow};
pub use report::Report;
pub use run::{Failure, Run, run};
pub use scenario::{SCENARIOS, Scenario, scenario};
