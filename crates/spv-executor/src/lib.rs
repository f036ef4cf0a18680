#![doc = include_str!("../README.md")]
//!
//! # How it is built
//!
//! The decisions (who may start now, with whom, for how long, and whether twice) are made by a core without I/O, clock or
//! task. Around it lies one
//! `parking_lot::Mutex`, held for short synchronous sections only and never across an await, and one tracked
//! tokio task per copy of a request in flight. There is no dispatcher task: whoever changes the state (a new request, a
//! finished one, a new peer, a permit that ends) starts what may start because of it.

mod adaptive_depth;
mod budget;
mod call;
mod completed;
mod config;
mod contained;
mod cost;
mod depth;
mod eligibility;
mod error;
mod estimates;
mod executor;
mod forecast;
mod late;
mod losses;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;
mod outcome;
mod permit;
mod plan;
mod progress;
mod rate;
mod sample;
mod selector;
mod shared;
mod slots;
mod timeouts;
mod transport;

pub use completed::Completed;
pub use config::{Config, ConfigError};
pub use cost::Cost;
pub use depth::{Depth, DepthOutOfRange};
pub use error::{ExecuteError, ExecuteResult};
pub use executor::Executor;
pub use late::{LateAnswer, LateError};
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub use permit::Permit;
pub use progress::Progress;
pub use rate::CompletionRate;
pub use sample::Sample;
pub use selector::{Candidate, ExpectedCompletion, LeastLoaded, LowestLatency, PeerSelector, RoundRobin};
pub use slots::PeerLoad;
pub use transport::Transport;
