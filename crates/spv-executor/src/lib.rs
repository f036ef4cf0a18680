#![doc = include_str!("../README.md")]
//!
//! # How it is built
//!
//! The decisions (who may start now) are made by a core without I/O, clock or task. Around it lies one
//! `parking_lot::Mutex`, held for short synchronous sections only and never across an await, and one tracked
//! tokio task per request in flight. There is no dispatcher task: whoever changes the state (a new request, a
//! finished one, a new peer) starts what may start because of it.

mod batch;
mod completed;
mod config;
mod depth;
mod error;
mod executor;
mod flight;
mod late;
mod metrics;
mod plan;
mod progress;
mod rate;
mod selector;
mod shared;
mod slots;
mod transport;

pub use completed::{Completed, ExecuteResult};
pub use config::{Config, ConfigError};
pub use depth::{Depth, DepthOutOfRange};
pub use error::ExecuteError;
pub use executor::Executor;
pub use late::{LateAnswer, LateError};
pub use metrics::describe_metrics;
pub use progress::Progress;
pub use selector::{Candidate, LeastLoaded, PeerSelector, RoundRobin};
pub use slots::PeerLoad;
pub use transport::Transport;
