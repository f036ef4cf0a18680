#![doc = include_str!("../README.md")]

mod batch;
mod claims;
mod config;
mod error;
mod job;
#[cfg_attr(not(feature = "metrics"), path = "no_metrics.rs")]
mod metrics;
mod priority;
mod queue;
mod running_job;
mod scheduler;
mod token_bucket;
mod token_buckets;

pub use batch::{BatchConfig, Conditions};
pub use config::Config;
pub use error::{ConfigError, PushError, QueueFull, UnknownTicket};
pub use job::{Cancelled, Job, Lengths, Next, Pushed, Ticket};
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub use priority::{Priority, Rank};
pub use queue::Queue;
pub use running_job::RunningJob;
pub use scheduler::Scheduler;
pub use token_bucket::TokenBucket;
pub use token_buckets::{TokenBuckets, TokenBucketsConfig};
