#![doc = include_str!("../README.md")]

mod mutation;
mod recording;
mod target;
mod targets;
mod worlds;

pub use mutation::mutated;
pub use target::{TARGETS, Target, target};
