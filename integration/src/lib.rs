#![doc = include_str!("../README.md")]

mod blame;
mod clock;
mod config;
mod metrics;
mod peer;
mod quorums;

pub mod headers;
pub mod plan;
pub mod store;
pub mod sync;
pub mod verify;

pub use config::{Config, ConfigError, Settings};
pub use metrics::describe_metrics;
