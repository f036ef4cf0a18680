#![doc = include_str!("../README.md")]

mod blame;
mod clock;
mod config;
mod metrics;
mod operation;
mod peer;
mod quorums;
mod stages;
mod timer;
mod trace;

pub mod client;
pub mod discovery;
pub mod headers;
pub mod plan;
pub mod store;
pub mod sync;
pub mod verify;

pub use client::Client;
pub use config::{Config, ConfigError, Settings};
pub use metrics::describe_metrics;
pub use operation::{LogFormat, LogSettings};
pub use trace::TRACE_TARGET;
