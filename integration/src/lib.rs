#![doc = include_str!("../README.md")]

// The order in which these modules may use each other is that of xtask/layers.toml; `cargo xtask tidy` checks it.
mod address;
mod clock;
mod counted;
mod log;
mod panicked;
mod resolver;
mod timer;
mod trace;
mod verification;
mod wire;

pub mod chain;
pub mod client;
pub mod config;
pub mod discovery;
pub mod fleet;
pub mod headers;
pub mod lists;
pub mod net;
pub mod plan;
pub mod progress;
pub mod quorums;
pub mod session;
pub mod store;
pub mod verify;

pub use client::Client;
pub use config::{Config, ConfigError, LogFormat, LogSettings, Settings};
pub use counted::counted;
pub use trace::TRACE_TARGET;

/// Describes the metrics of this crate and of the mechanism crates to the installed recorder.
pub fn describe_metrics() {
    spv_correlation::describe_metrics();
    spv_executor::describe_metrics();
    spv_netmon::describe_metrics();
    spv_recovery::describe_metrics();
    spv_scheduler::describe_metrics();
    net::metrics::describe();
    store::metrics::describe();
    discovery::metrics::describe();
    lists::metrics::describe();
    verify::metrics::describe();
    quorums::metrics::describe();
    progress::metrics::describe();
    client::metrics::describe();
}
