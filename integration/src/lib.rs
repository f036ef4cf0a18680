#![doc = include_str!("../README.md")]

mod blame;
mod clock;
mod config;
mod metrics;
mod operation;
mod peer;
mod plan;
mod quorums;
mod stages;
mod trace;
mod verify;

pub mod client;
pub mod headers;
pub mod store;
pub mod sync;

pub use client::Client;
pub use config::{Config, ConfigError, Settings};
pub use metrics::describe_metrics;
pub use operation::{LogFormat, LogSettings};
pub use trace::TRACE_TARGET;
